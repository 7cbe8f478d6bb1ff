"""MD5 of eight files at a time: hashlib's sums, and hashlib where its code is no good."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylib.guest.payload import md5x8
from pylib.guest.payload.md5code import BLOCK, LANES
from pylib.guest.payload.md5x8 import Eight, padding

_RETURN, _EXIT = bytes.fromhex("c3"), bytes.fromhex("b83c000000 bf07000000 0f05")
"""Instructions of x86: ret; and Linux's call 60, which ends the process, with status 7."""
_HERE = md5x8.cpu_flags() if Path("/proc/cpuinfo").exists() else set()
able = pytest.mark.skipif("avx2" not in _HERE, reason="the CPU has no AVX2")


@pytest.fixture(autouse=True)
def unproven() -> Iterator[None]:
    """Each test proves anew."""
    md5x8.code.cache_clear()
    yield
    md5x8.code.cache_clear()


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 119, 120, 1 << 20])
def test_padding_makes_whole_blocks(size: int) -> None:
    added = padding(size)
    assert (size + len(added)) % BLOCK == 0
    assert 9 <= len(added) <= BLOCK + 8
    assert added[0] == 0x80
    assert int.from_bytes(added[-8:], "little") == size * 8


@able
@pytest.mark.parametrize("most", ["avx2", "avx512vl"])
@pytest.mark.parametrize("blocks", [1, 2, 3, 64, 1000])
def test_sums_are_those_of_hashlib_whatever_the_portions(
    blocks: int, most: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if most not in _HERE:
        pytest.skip(f"the CPU has no {most}")
    monkeypatch.setattr(md5x8, "cpu_flags", lambda: {"avx2", most})
    code = md5x8.code()
    assert code is not None
    contents = [os.urandom(blocks * BLOCK - 9 - lane) for lane in range(LANES)]
    padded = [ctypes.create_string_buffer(it + padding(len(it))) for it in contents]
    eight = Eight(code)
    for lane in range(LANES):
        eight.begin(lane)
    done = 0
    while done < blocks:
        portion = min(max(1, done), blocks - done)
        eight.update([ctypes.addressof(it) + done * BLOCK for it in padded], portion)
        done += portion
    found = [eight.hexdigest(lane) for lane in range(LANES)]
    assert found == [hashlib.md5(it, usedforsecurity=False).hexdigest() for it in contents]


@able
@pytest.mark.parametrize(("flags", "wide"), [({"avx2"}, False), ({"avx2", "avx512vl"}, True)])
def test_the_code_is_for_what_the_cpu_can_do(
    flags: set[str], *, wide: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def note(*, wide: bool) -> bytes:
        asked.append(wide)
        return _RETURN

    monkeypatch.setattr(md5x8, "cpu_flags", lambda: flags)
    monkeypatch.setattr(md5x8, "machine_code", note)
    assert md5x8.code() is None
    assert asked == [wide]


@able
def test_a_lane_that_begins_again_leaves_the_others() -> None:
    code = md5x8.code()
    assert code is not None
    eight, empty = Eight(code), ctypes.create_string_buffer(padding(0))
    for lane in range(LANES):
        eight.begin(lane)
    eight.update([ctypes.addressof(empty)] * LANES, 1)
    eight.begin(3)
    assert eight.hexdigest(3) == "0123456789abcdeffedcba9876543210"  # RFC 1321 section 3.3
    assert {eight.hexdigest(lane) for lane in range(LANES) if lane != 3} == {
        hashlib.md5(b"", usedforsecurity=False).hexdigest()
    }


@able
@pytest.mark.parametrize(
    ("code", "said"),
    [
        (_RETURN, "the sums of eight at a time are wrong"),
        (_EXIT, "a process of the bake ended without a word, with status 7"),
    ],
)
def test_code_that_is_no_good_is_left(
    code: bytes, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(md5x8, "machine_code", lambda **_: code)
    assert md5x8.code() is None
    assert caplog.messages == [f"md5 of one file at a time: {said}"]


def test_a_machine_without_it_uses_hashlib(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "flags : fpu sse2")
    assert md5x8.code() is None
    assert caplog.messages == ["md5 of one file at a time: the CPU has no AVX2"]
