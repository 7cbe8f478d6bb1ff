"""The memory that a layer goes through."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import pytest

from pylib.guest.payload.buffers import Flow, Ring, arena
from pylib.guest.payload.native import address_of

_NO_ADVICE = 12345


@pytest.mark.parametrize("advice", [mmap.MADV_HUGEPAGE, _NO_ADVICE])
@pytest.mark.parametrize("size", [4096, 1 << 20, 5 << 20])
def test_memory_is_blank_and_aligned_also_without_huge_pages(
    advice: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", advice)
    memory = arena(size)
    assert bytes(memory) == bytes(size)
    assert address_of(memory) % 4096 == 0


def test_large_memory_may_be_in_huge_pages() -> None:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[never]" in setting.read_text(encoding="ascii"):
        pytest.skip("the kernel gives no huge pages")
    memory = arena(4 << 20)
    start = address_of(memory)
    asked = False
    for words in map(str.split, Path("/proc/self/smaps").read_text().splitlines()):
        if re.fullmatch("[0-9a-f]+-[0-9a-f]+", words[0]):
            first, end = (int(it, 16) for it in words[0].split("-"))
            asked = first <= start < end
        elif asked and words[0] == "THPeligible:":
            assert words[1] == "1"
            return
    raise AssertionError("the memory is nowhere")


def test_a_ring_has_so_many_buffers_that_share_nothing() -> None:
    ring = Ring(Flow(), 3, 4096)
    taken = [ring.take() for _ in range(3)]
    for number, buffer in enumerate(taken, 1):
        buffer.view[:] = bytes([number]) * 4096
    assert [bytes(buffer.view) for buffer in taken] == [bytes([it]) * 4096 for it in (1, 2, 3)]
    taken[1].share(1)
    taken[1].release()
    assert ring.take() is taken[1]
