"""Decompressors, fed and drained in small portions."""

from __future__ import annotations

import ctypes
import gzip
import os
import shutil
import subprocess

import pytest

from pylib.guest.payload.codecs import Codec, Plain, codec_for
from pylib.guest.payload.failure import GuestError

DATA = os.urandom(5000) + b"a" * 20_000


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


def test_several_gzip_members_are_one() -> None:
    assert decoded(gzip.compress(DATA) + gzip.compress(b"more")) == DATA + b"more"


def test_zstd_frames_and_skippable_ones() -> None:
    skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    assert decoded(zstd(DATA)) == DATA
    assert decoded(skippable + zstd(DATA) + zstd(b"more")) == DATA + b"more"


def test_what_is_not_compressed_is_copied() -> None:
    assert isinstance(codec_for(b""), Plain)
    assert decoded(DATA) == DATA


def test_what_breaks_off_is_refused() -> None:
    with pytest.raises(GuestError, match="is no good gzip: it ends in the middle"):
        decoded(gzip.compress(DATA)[:-20])
    with pytest.raises(GuestError, match="is no good zstd: it ends in the middle"):
        decoded(zstd(DATA)[:-20])


def test_what_is_damaged_is_refused() -> None:
    packed = bytearray(gzip.compress(DATA))
    packed[20:40] = b"\xff" * 20
    with pytest.raises(GuestError, match=r"is no good gzip: .*zlib code"):
        decoded(bytes(packed))
    packed = bytearray(zstd(DATA))
    packed[8:60] = b"\xff" * 52
    with pytest.raises(GuestError, match="is no good zstd: "):
        decoded(bytes(packed))
