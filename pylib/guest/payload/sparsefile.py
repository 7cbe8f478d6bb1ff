"""Writing a sparse file: its data where it belongs, holes elsewhere, its checksum over both."""

from __future__ import annotations

import os

from pylib.guest.payload.buffers import Buffer, Flow, Ring
from pylib.guest.payload.checksum import Check
from pylib.guest.payload.tarhead import Entry
from pylib.guest.payload.tarstream import TarStream
from pylib.guest.payload.tree import Node

_ZEROS = 1 << 20


class _Content:
    """Checksum over data and holes."""

    def __init__(self, scratch: Buffer) -> None:
        self.check = Check()
        self._scratch = scratch

    def data(self, piece: memoryview | bytes) -> None:
        for start in range(0, len(piece), _ZEROS):
            part = piece[start : start + _ZEROS]
            self._scratch.view[: len(part)] = part
            self.check.update(self._scratch.address, len(part))

    def hole(self, length: int) -> None:
        self._scratch.view[:] = bytes(_ZEROS)
        while length > 0:
            self.check.update(self._scratch.address, min(length, _ZEROS))
            length -= _ZEROS


def write_sparse(descriptor: int, entry: Entry, tar: TarStream, node: Node) -> None:
    """Fill an empty file; sets the node's checksum."""
    content = _Content(Ring(Flow(), 1, _ZEROS).take())
    end = 0
    for offset, length in entry.extents or []:
        content.hole(offset - end)
        end = offset
        for piece in tar.pieces(length):
            content.data(piece)
            end += _write(descriptor, piece, end)
    content.hole(entry.size - end)
    os.ftruncate(descriptor, entry.size)
    node.check = content.check.hexdigest()


def _write(descriptor: int, piece: memoryview, offset: int) -> int:
    done = 0
    while done < len(piece):
        done += os.pwrite(descriptor, piece[done:], offset + done)
    return done
