"""Small files and folders read in the order in which they lie on the disk, many with one read.

Each alone would cost the disk a read of its own, and a cloud disk has some thousands of those a
second.  The filesystem, mounted read-only, says where a file's bytes are; they are read from the
disk's blocks there, as the filesystem would read them.  A folder's block is read by the filesystem
itself; having its neighbours read too is enough, since it keeps folders together.
https://www.kernel.org/doc/html/latest/filesystems/fiemap.html
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct

from pylib.guest.payload.buffers import Flow, Ring
from pylib.guest.payload.checksum import check_at
from pylib.guest.payload.contents import Sums
from pylib.guest.payload.tree import Extents

SMALL = 256 << 10
"""Larger files are worth reads of their own."""
_IOC_FIEMAP = 0xC020660B
_HEAD, _EXTENT = Struct("=QQIIII"), Struct("=QQQQQIIII")
_LAST = 0x1
"""The only flag of an extent whose bytes lie plainly in blocks: no hole follows it, and it is
neither unwritten, nor inside the inode, nor encoded."""
_PAGE = 4096
_MOST = 64
"""Pieces of a file that are looked at; one of more is not worth it."""
_RUN = 4 << 20
_GAP = 96 << 10
"""Bytes between two files that are cheaper to read than to leave out."""


_WINDOW = 512 << 10
"""Bytes around a folder's block that are read with it."""


def extents_of(descriptor: int, most: int = _MOST) -> Extents:
    """Where an open file lies; nothing unless it lies plainly in blocks, in ``most`` pieces."""
    asked = bytearray(_HEAD.size + most * _EXTENT.size)
    _HEAD.pack_into(asked, 0, 0, (1 << 64) - 1, 0, 0, most, 0)
    try:
        fcntl.ioctl(descriptor, _IOC_FIEMAP, asked)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return ()  # a filesystem that cannot tell, such as tmpfs
    mapped = _HEAD.unpack_from(asked)[3]
    found = [_EXTENT.unpack_from(asked, _HEAD.size + at * _EXTENT.size) for at in range(mapped)]
    flags = [extent[5] for extent in found]
    if flags != [0] * (mapped - 1) + [_LAST]:
        return ()
    return tuple(extent[:3] for extent in found)


def extents_at(path: bytes, most: int = _MOST) -> Extents:
    """:func:`extents_of` the file at ``path``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return extents_of(descriptor, most)
    finally:
        os.close(descriptor)


def place_of(path: bytes, size: int) -> int | None:
    """Offset on the disk of a file that lies there in one piece, else ``None``."""
    extents = extents_at(path, 1)
    if not extents:
        return None
    ((logical, physical, length),) = extents
    return physical if logical == 0 and length >= size else None


@dataclass(frozen=True, order=True)
class Piece:
    """A file's bytes on the disk; ``number`` tells the caller which file it is."""

    start: int
    size: int
    number: int


def runs(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Pieces in the order of the disk, as many together as one read can have."""
    run: list[Piece] = []
    for piece in sorted(pieces):
        if run and not _is_near(run, piece):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _is_near(run: Sequence[Piece], piece: Piece) -> bool:
    end = run[-1].start + run[-1].size
    return piece.start <= end + _GAP and piece.start + piece.size + _PAGE <= run[0].start + _RUN


class DiskReader:
    """Reads runs of a block device past the page cache, and folders into it."""

    def __init__(self, device: str) -> None:
        self._descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
        self._cached = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        self._windows: set[int] = set()
        self._buffer = Ring(Flow(), 1, _RUN).take()

    def sums(self, run: Sequence[Piece]) -> Iterator[tuple[int, Sums]]:
        """Number and sums of each piece; raises :class:`OSError`."""
        start = run[0].start
        size = -(-(run[-1].start + run[-1].size - start) // _PAGE) * _PAGE
        count = os.preadv(self._descriptor, [self._buffer.view[:size]], start)
        for piece in run:
            at = piece.start - start
            if at + piece.size > count:
                raise OSError(f"the disk gave {count} of {size} bytes at {start}")
            content = self._buffer.view[at : at + piece.size]
            md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
            yield piece.number, Sums(md5, check_at(self._buffer.address + at, piece.size))

    def expect(self, folder: bytes) -> None:
        """Have the block of a folder, which will be listed, read together with others."""
        start = place_of(folder, 1)
        if start is not None and start // _WINDOW not in self._windows:
            self._windows.add(start // _WINDOW)
            at = start // _WINDOW * _WINDOW
            os.posix_fadvise(self._cached, at, _WINDOW, os.POSIX_FADV_WILLNEED)
