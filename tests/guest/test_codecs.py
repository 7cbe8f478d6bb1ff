"""Decompressors, fed and drained in small portions."""

from __future__ import annotations

import ctypes
import gzip
import os
import shutil
import subprocess
import zlib
from collections.abc import Iterator

import pytest

from pylib.guest.inflater import extension
from pylib.guest.payload import isal
from pylib.guest.payload.codecs import Codec, Plain, codec_for
from pylib.guest.payload.failure import GuestError

DATA = os.urandom(5000) + b"a" * 20_000


@pytest.fixture(params=["zlib", "isal"])
def inflate(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Whose inflate it is."""
    name = str(request.param)
    if name == "isal" and extension() is None:
        pytest.skip("the package isal has no library for this machine")
    monkeypatch.setenv(isal.SETTING, str(extension()) if name == "isal" else "")
    isal.inflater.cache_clear()
    assert isal.inflater().name == name
    yield name
    isal.inflater.cache_clear()


def decoded(blob: bytes, step: int = 700, room: int = 900) -> bytes:
    """What comes out, in portions."""
    codec: Codec = codec_for(blob[:4])
    out = b""
    target = ctypes.create_string_buffer(room)
    for at in range(0, len(blob), step):
        part = ctypes.create_string_buffer(blob[at : at + step], len(blob[at : at + step]))
        codec.push(ctypes.addressof(part), len(part))
        while True:
            count = codec.fill(ctypes.addressof(target), room)
            out += target.raw[:count]
            if count < room:
                break
    codec.finish()
    return out


def zstd(data: bytes) -> bytes:
    """By the program of that name."""
    if shutil.which("zstd") is None:
        pytest.skip("there is no program zstd")
    words = ("zstd", "-q", "-c")
    return subprocess.run(words, input=data, capture_output=True, check=True).stdout


def member(data: bytes, flags: int = 0, level: int = 6, strategy: int = 0) -> bytes:
    """A gzip member with what its header may have: RFC 1952 section 2.3.1."""
    parts = {4: b"\x03\0abc", 8: b"name\0", 16: b"comment\0", 2: b"xx"}
    head = b"".join(part for flag, part in parts.items() if flags & flag)
    packer = zlib.compressobj(level, wbits=-15, strategy=strategy)
    body = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH) + packer.flush()
    return b"\x1f\x8b\x08" + bytes([flags]) + b"\0" * 6 + head + body + b"\xee" * 8


def test_several_gzip_members_are_one(inflate: str) -> None:
    assert decoded(gzip.compress(DATA) + gzip.compress(b"more")) == DATA + b"more"


KINDS = [(0, 0), (6, zlib.Z_FIXED), (6, zlib.Z_HUFFMAN_ONLY), (9, 0)]
"""Level and strategy."""


@pytest.mark.parametrize("room", [1, 7, 258, 4096, 1 << 20])
@pytest.mark.parametrize("step", [1, 2, 7, 8, 9, 1000, 1 << 20])
def test_blocks_of_every_kind_in_any_portions(inflate: str, step: int, room: int) -> None:
    """Headers, too, and trailers lie across portions; their sums are not looked at."""
    data = b"".join(b"%d " % (number * 7919) for number in range(200))
    blob = b"".join(member(data, flags, *KINDS[flags % 4]) for flags in range(0, 32, 3))
    assert decoded(blob, step, room) == data * 11


def test_members_longer_than_a_window(inflate: str) -> None:
    data = os.urandom(100_000) * 3 + b"a" * 200_000
    assert decoded(member(data) * 2, 4099, 65_537) == data * 2
    assert decoded(member(b"") * 3 + member(data), 1 << 20, 1 << 20) == data


def test_zstd_frames_and_skippable_ones() -> None:
    skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    assert decoded(zstd(DATA)) == DATA
    assert decoded(skippable + zstd(DATA) + zstd(b"more")) == DATA + b"more"


def test_what_is_not_compressed_is_copied() -> None:
    assert isinstance(codec_for(b""), Plain)
    assert decoded(DATA) == DATA


@pytest.mark.parametrize("cut", [5, 20, 3000])
def test_a_gzip_that_breaks_off_is_refused(inflate: str, cut: int) -> None:
    with pytest.raises(GuestError, match="is no good gzip: it ends in the middle"):
        decoded(gzip.compress(DATA)[:-cut])


def test_what_follows_a_gzip_is_refused(inflate: str) -> None:
    with pytest.raises(GuestError, match="is no good gzip: incorrect header check"):
        decoded(gzip.compress(DATA) + b"garbage")
    with pytest.raises(GuestError, match="is no good gzip: it ends in the middle"):
        decoded(gzip.compress(DATA) + gzip.compress(b"more")[:4])


@pytest.mark.parametrize(
    ("body", "zlib_says", "isal_says"),
    [
        (b"\x07", "invalid block type", "invalid block"),
        (b"\x01\x01\x00\x00\x00", "invalid stored block lengths", "invalid block"),
        (b"\x03\x02\x00\x00\x00\x00", "invalid distance too far back", "invalid distance"),
    ],
)
def test_wrong_blocks_are_told(inflate: str, body: bytes, zlib_says: str, isal_says: str) -> None:
    said = {"zlib": zlib_says, "isal": isal_says}[inflate]
    with pytest.raises(GuestError, match=f"is no good gzip: {said} "):
        decoded(b"\x1f\x8b\x08" + b"\0" * 7 + body + b"\0" * 20)


def test_a_gzip_that_is_damaged_is_refused(inflate: str) -> None:
    packed = bytearray(gzip.compress(DATA))
    packed[20:40] = b"\xff" * 20
    with pytest.raises(GuestError, match=r"is no good gzip: invalid .*(zlib|ISA-L) code"):
        decoded(bytes(packed))


def test_a_zstd_that_breaks_off_or_is_damaged_is_refused() -> None:
    with pytest.raises(GuestError, match="is no good zstd: it ends in the middle"):
        decoded(zstd(DATA)[:-20])
    packed = bytearray(zstd(DATA))
    packed[8:60] = b"\xff" * 52
    with pytest.raises(GuestError, match="is no good zstd: "):
        decoded(bytes(packed))
