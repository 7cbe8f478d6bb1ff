"""Reading files back, past the page cache, for their sums: eight at a time where that is faster.

The cache would only be filled with what is read once, and would answer with what was written where
the disk must.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pylib.guest.payload.buffers import arena
from pylib.guest.payload.checksum import Check
from pylib.guest.payload.md5code import BLOCK, LANES
from pylib.guest.payload.md5x8 import Code, Eight, padding
from pylib.guest.payload.md5x8 import code as code_here
from pylib.guest.payload.native import address_of

_CHUNK = 1 << 20
_PAGE = 4096
_ROOM = _CHUNK + _PAGE
"""Memory for a chunk, and for what MD5 adds to the last."""


class Source(NamedTuple):
    """A regular file and the bytes it should have; no more are read.

    With a ``descriptor``, open for O_DIRECT, that is read, and closed then.
    """

    path: bytes
    size: int
    descriptor: int = -1


class Sums(NamedTuple):
    """``md5`` and ``check``, the quick checksum, of what a file holds, in hex."""

    md5: str
    check: str


class UnreadError(OSError):
    """File ``number`` of those to be read could not be."""

    def __init__(self, number: int, error: OSError) -> None:
        super().__init__(error.errno, error.strerror)
        self.number = number


def sums_of(sources: Iterable[Source]) -> Iterator[tuple[int, Sums]]:
    """Number and sums of each, in the order in which they are done.

    Raises :class:`UnreadError`.
    """
    code = code_here()
    return _one_by_one(sources) if code is None else _eight_by_eight(sources, code)


class _File:
    """One file after another, a chunk at a time, in aligned memory of its own.

    ``length`` bytes of ``view`` are the present chunk, ``total`` were read of the file so far;
    ``ended`` when no more follow, and also before the first file.
    """

    def __init__(self, memory: memoryview) -> None:
        self.view = memory
        self.address = address_of(memory)
        self.number = -1
        self.length = self.total = 0
        self.ended = True
        self._size = 0
        self._descriptor = -1
        self._check = Check()

    def open(self, number: int, source: Source) -> None:
        """Begin with a file."""
        self.number, self._size, self.total, self.ended = number, source.size, 0, False
        self._check = Check()
        self._descriptor = source.descriptor
        if self._descriptor >= 0:
            return
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(source.path, flags)
        except OSError as error:
            raise UnreadError(number, error) from None

    def read(self) -> None:
        """The next chunk; O_DIRECT takes whole pages, and gives less at the end."""
        room = min(_CHUNK, -(-(self._size - self.total) // _PAGE) * _PAGE)
        try:
            self.length = os.preadv(self._descriptor, [self.view[:room]], self.total)
        except OSError as error:
            raise UnreadError(self.number, error) from None
        self.total += self.length
        self.ended = self.length < room or self.total >= self._size
        self._check.update(self.address, self.length)

    def check(self) -> str:
        """Quick checksum of all that was read."""
        return self._check.hexdigest()

    def close(self) -> None:
        """Let go of the file, if there is one."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _one_by_one(sources: Iterable[Source]) -> Iterator[tuple[int, Sums]]:
    file = _File(arena(_ROOM))
    for number, source in enumerate(sources):
        digest = hashlib.md5(usedforsecurity=False)
        file.open(number, source)
        try:
            while not file.ended:
                file.read()
                digest.update(file.view[: file.length])
        finally:
            file.close()
        yield number, Sums(digest.hexdigest(), file.check())


class _Lane:
    """A file in its lane: ``blocks`` lie ready at ``address``, where memory can always be read."""

    def __init__(self, memory: memoryview) -> None:
        self.file = _File(memory)
        self.is_open = False
        self.address = self.file.address
        self.blocks = 0

    def open(self, number: int, source: Source) -> None:
        """Begin with a file, of which nothing is ready."""
        self.file.open(number, source)
        self.is_open = True

    def fill(self) -> None:
        """Have more blocks ready."""
        self.file.read()
        length = self.file.length
        if self.file.ended:
            added = padding(self.file.total)
            self.file.view[length : length + len(added)] = added
            length += len(added)
        self.address, self.blocks = self.file.address, length // BLOCK

    def skip(self, blocks: int) -> None:
        """These are done."""
        done = min(blocks, self.blocks)
        self.address += done * BLOCK
        self.blocks -= done
        if not self.blocks:
            self.address = self.file.address

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()
        self.is_open = False


def _eight_by_eight(sources: Iterable[Source], code: Code) -> Iterator[tuple[int, Sums]]:
    eight = Eight(code)
    memory = arena(LANES * _ROOM)
    lanes = [_Lane(memory[lane * _ROOM : (lane + 1) * _ROOM]) for lane in range(LANES)]
    waiting = iter(enumerate(sources))
    try:
        while True:
            for slot, lane in enumerate(lanes):
                yield from _filled(lane, slot, eight, waiting)
            blocks = min((lane.blocks for lane in lanes if lane.blocks), default=0)
            if not blocks:
                return
            eight.update([lane.address for lane in lanes], blocks)
            for lane in lanes:
                lane.skip(blocks)
    finally:
        for lane in lanes:
            lane.close()


def _filled(
    lane: _Lane, slot: int, eight: Eight, waiting: Iterator[tuple[int, Source]]
) -> Iterator[tuple[int, Sums]]:
    """Have blocks ready in a lane while any file is left; a file that is done on the way."""
    while not lane.blocks:
        if lane.is_open and lane.file.ended:
            lane.close()
            yield lane.file.number, Sums(eight.hexdigest(slot), lane.file.check())
        elif lane.is_open:
            lane.fill()
        elif (following := next(waiting, None)) is not None:
            lane.open(*following)
            eight.begin(slot)
        else:
            return
