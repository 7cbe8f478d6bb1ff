"""Reading a layer's large files back from the disk while what follows them is still unpacked.

The disk has time for it then; later it would have to be waited for.  It shows that the blocks where
a file lay held its bytes.  That they are still the file's when all is written, and so every file of
which this was not shown, is for :mod:`pylib.guest.payload.compare`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Lock
from typing import NamedTuple

from pylib.guest.payload.buffers import Channel, Flow
from pylib.guest.payload.contents import Source, UnreadError, sums_of
from pylib.guest.payload.extents import extents_of
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.tree import Node

_MOST = 64
"""Files that may wait to be read, since each is open; of more, none is read here."""


class _File(NamedTuple):
    source: Source
    node: Node


class ReadBack:
    """The thread that reads, for one layer.

    Eight files are read at a time, and so it waits until there are eight, or no more come.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._files: Channel[_File | None] = flow.channel()
        self._waiting: set[int] = set()
        self._lock = Lock()
        self._running = False

    def take(self, path: bytes, descriptor: int, node: Node) -> None:
        """Read the file behind ``descriptor``, which is open for O_DIRECT and closed in the end;
        its node gets the sum and the place of what was read.  ``path`` is for messages."""
        extents = extents_of(descriptor)
        with self._lock:
            wanted = bool(extents) and len(self._waiting) < _MOST
            starts = wanted and not self._running
            if wanted:
                self._waiting.add(descriptor)
                self._running = True
        if not wanted:
            os.close(descriptor)
            return
        node.extents = extents
        self._files.put(_File(Source(path, node.size, descriptor), node))
        if starts:
            self._flow.spawn(self._read)

    def end(self) -> None:
        """No more files come."""
        self._files.put(None)

    def _read(self) -> None:
        files: list[_File] = []
        try:
            for number, found in sums_of(self._sources(files)):
                source, node = files[number]
                if found.check != node.check:
                    raise GuestError(f"{_shown(source)} holds other bytes than were written")
                node.md5 = found.md5
        except UnreadError as error:
            unread = _shown(files[error.number].source)
            raise GuestError(f"{unread} cannot be read back: {error}") from None
        finally:
            self._close_all()

    def _sources(self, files: list[_File]) -> Iterator[Source]:
        """Each file as it comes, noted in ``files`` under its number."""
        while (file := self._files.get()) is not None:
            files.append(file)
            with self._lock:
                self._waiting.remove(file.source.descriptor)
            yield file.source

    def _close_all(self) -> None:
        with self._lock:
            for descriptor in self._waiting:
                os.close(descriptor)


def _shown(source: Source) -> str:
    return source.path.decode("utf-8", "backslashreplace")
