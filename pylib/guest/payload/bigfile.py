"""Large files: written past the page cache, in threads of their own.

Nothing is copied: a file's bytes go to the disk from the blocks into which they were decompressed,
which are kept until then.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from threading import Event, Lock
from typing import NamedTuple

from pylib.guest.payload.buffers import Buffer, Channel, Flow, Ring, arena
from pylib.guest.payload.checksum import Check
from pylib.guest.payload.native import address_of

BIG = 256 << 10
"""From this size on a file is worth its own open mode and the hand-over to other threads."""
_PAGE = 4096
_PAGES = 16
"""Files whose last page may wait to be written."""
_WRITERS = 2

Finish = Callable[[int, str], None]
"""Called with descriptor and check when all is written; closes the descriptor."""


class Part(NamedTuple):
    """Bytes of a file, in a buffer that is kept for them."""

    view: memoryview
    buffer: Buffer


class BigFile:
    """One file of ``size`` bytes on its way to the disk."""

    def __init__(self, owner: BigFiles, descriptor: int, size: int, finish: Finish) -> None:
        self.descriptor = descriptor
        self.done = Event()
        self._size = self._left = size
        self._owner = owner
        self._check = Check()
        self._finish = finish
        self._parts: list[Part] = []
        self._at = 0
        self._pending = 1
        self._lock = Lock()

    def write(self, piece: memoryview, buffer: Buffer) -> None:
        """Add a piece of ``buffer``, which is kept until that is written."""
        self._check.update(address_of(piece), len(piece))
        self._parts.append(Part(piece, buffer.keep()))
        self._left -= len(piece)
        held = sum(len(part.view) for part in self._parts)
        parts = self._cut(held - held % _PAGE)
        if self._parts and not self._left:
            parts.append(self._last_page())
        if parts:
            self._submit(parts)

    def close(self) -> None:
        """There is no more; the file is finished when its last part is written."""
        self.settle()

    def _cut(self, length: int) -> list[Part]:
        """The first bytes that were not written yet."""
        taken = []
        while length:
            view, buffer = self._parts[0]
            if len(view) <= length:
                taken.append(self._parts.pop(0))
            else:
                taken.append(Part(view[:length], buffer.keep()))
                self._parts[0] = Part(view[length:], buffer)
            length -= len(taken[-1].view)
        return taken

    def _last_page(self) -> Part:
        """The last bytes as a whole page, as O_DIRECT wants it: what is too much is cut off in the
        end."""
        page = self._owner.page()
        last = b"".join(part.view for part in self._parts)
        page.view[:] = last.ljust(_PAGE, b"\0")
        for part in self._parts:
            part.buffer.release()
        self._parts = []
        return Part(page.view, page)

    def _submit(self, parts: list[Part]) -> None:
        with self._lock:
            self._pending += 1
        self._owner.submit(self, parts, self._at)
        self._at += sum(len(part.view) for part in parts)

    def settle(self) -> None:
        """One of what the file waits for is over."""
        with self._lock:
            self._pending -= 1
            last = self._pending == 0
        if last:
            os.ftruncate(self.descriptor, self._size)
            self._finish(self.descriptor, self._check.hexdigest())
            self.done.set()


class BigFiles:
    """The threads that write, for one layer; ``at_end`` is called when all is written,
    if there was any file."""

    def __init__(self, flow: Flow, at_end: Callable[[], None]) -> None:
        self._flow = flow
        self._at_end = at_end
        self._pages = Ring(flow, _PAGES, _PAGE)
        self._writes: Channel[tuple[BigFile, list[Part], int] | None] = flow.channel()
        self._running = 0
        self._lock = Lock()

    def open(self, path: bytes, mode: int, size: int, finish: Finish) -> BigFile:
        """Create a file of ``size`` bytes; raises :class:`OSError`, ENOSPC among others."""
        if not self._running:
            self._start()
        descriptor = _create(path, mode)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                os.close(descriptor)
                raise
        return BigFile(self, descriptor, size, finish)

    def page(self) -> Buffer:
        """A page to fill."""
        page = self._pages.take()
        page.share(1)
        return page

    def submit(self, file: BigFile, parts: list[Part], offset: int) -> None:
        """Have parts written, and their buffers released."""
        self._writes.put((file, parts, offset))

    def wait_for(self, file: BigFile) -> None:
        """Until a file is finished; raises when the flow has failed before."""
        while not file.done.wait(0.05):
            self._flow.check()

    def end(self) -> None:
        """Let the threads end once they have done what they have."""
        for _ in range(self._running):
            self._writes.put(None)

    def _start(self) -> None:
        self._running = _WRITERS
        for _ in range(_WRITERS):
            self._flow.spawn(self._write)

    def _write(self) -> None:
        while (item := self._writes.get()) is not None:
            file, parts, offset = item
            _write_parts(file.descriptor, [part.view for part in parts], offset)
            for part in parts:
                part.buffer.release()
            file.settle()
        with self._lock:
            self._running -= 1
            last = self._running == 0
        if last:
            self._at_end()


def _create(path: bytes, mode: int) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags | os.O_DIRECT, mode)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a filesystem without it, such as tmpfs
            raise
    os.unlink(path)
    return os.open(path, flags, mode)


def _write_parts(descriptor: int, parts: Sequence[memoryview], offset: int) -> None:
    """Whole pages in parts of whole sectors of 512 bytes; a disk that has larger ones gets them
    in one part."""
    try:
        _write_all(descriptor, parts, offset)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        whole = arena(sum(map(len, parts)))
        whole[:] = b"".join(parts)
        _write_all(descriptor, [whole], offset)


def _write_all(descriptor: int, parts: Sequence[memoryview], offset: int) -> None:
    while parts:
        count = os.pwritev(descriptor, parts, offset)
        if count < _PAGE:
            raise OSError(errno.EIO, "the disk took less than a page")
        done = count // _PAGE * _PAGE
        offset += done
        parts = _after(parts, done)


def _after(parts: Sequence[memoryview], done: int) -> list[memoryview]:
    """What follows the first bytes."""
    left = []
    for part in parts:
        if done < len(part):
            left.append(part[done:])
        done = max(0, done - len(part))
    return left
