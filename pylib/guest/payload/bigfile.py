"""Large files: written past the page cache, in threads of their own.

A file's bytes are copied once into aligned buffers, summed while a core's cache still has them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from threading import Event, Lock

from pylib.guest.payload.buffers import Buffer, Channel, Flow, Ring
from pylib.guest.payload.checksum import Check

BIG = 256 << 10
"""From this size on a file is worth its own open mode and the hand-over to other threads."""
_BUFFER = 1 << 20
_BUFFERS = 12
_PAGE = 4096
_WRITERS = 2

Finish = Callable[[int, str], None]
"""Called with descriptor and check when all is written; closes the descriptor."""


class BigFile:
    """One file on its way to the disk."""

    def __init__(self, owner: BigFiles, descriptor: int, finish: Finish) -> None:
        self.descriptor = descriptor
        self.done = Event()
        self.size = 0
        self._owner = owner
        self._check = Check()
        self._finish = finish
        self._buffer: Buffer | None = None
        self._pending = 1
        self._lock = Lock()

    def write(self, piece: memoryview) -> None:
        """Add a piece; its memory is free again on return."""
        while piece:
            buffer = self._buffer or self._owner.take()
            self._buffer = buffer
            room = min(len(piece), _BUFFER - buffer.length)
            buffer.view[buffer.length : buffer.length + room] = piece[:room]
            buffer.length += room
            piece = piece[room:]
            if buffer.length == _BUFFER:
                self._submit(buffer)

    def close(self) -> None:
        """There is no more; the file is finished when its last buffer is written."""
        if self._buffer is not None:
            self._submit(self._buffer)
        self.settle()

    def _submit(self, buffer: Buffer) -> None:
        self._buffer = None
        self._check.update_buffer(buffer)
        with self._lock:
            self._pending += 1
        buffer.share(1)
        self._owner.submit(self, buffer, self.size)
        self.size += buffer.length

    def settle(self) -> None:
        """One of what the file waits for is over."""
        with self._lock:
            self._pending -= 1
            last = self._pending == 0
        if last:
            os.ftruncate(self.descriptor, self.size)  # the last page was written whole
            self._finish(self.descriptor, self._check.hexdigest())
            self.done.set()


class BigFiles:
    """The threads that write, for one layer."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._ring = Ring(flow, _BUFFERS, _BUFFER)
        self._writes: Channel[tuple[BigFile, Buffer, int] | None] = flow.channel()
        self._running = False

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
        return BigFile(self, descriptor, finish)

    def take(self) -> Buffer:
        """An empty buffer."""
        buffer = self._ring.take()
        buffer.length = 0
        return buffer

    def submit(self, file: BigFile, buffer: Buffer, offset: int) -> None:
        """Have a buffer written."""
        self._writes.put((file, buffer, offset))

    def wait_for(self, file: BigFile) -> None:
        """Until a file is finished; raises when the flow has failed before."""
        while not file.done.wait(0.05):
            self._flow.check()

    def end(self) -> None:
        """Let the threads end once they have done what they have."""
        for _ in range(_WRITERS if self._running else 0):
            self._writes.put(None)

    def _start(self) -> None:
        self._running = True
        for _ in range(_WRITERS):
            self._flow.spawn(self._write)

    def _write(self) -> None:
        while (item := self._writes.get()) is not None:
            file, buffer, offset = item
            _write_all(file.descriptor, buffer, offset)
            buffer.release()
            file.settle()


def _create(path: bytes, mode: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags | os.O_DIRECT, mode)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a filesystem without it, such as tmpfs
            raise
    os.unlink(path)
    return os.open(path, flags, mode)


def _write_all(descriptor: int, buffer: Buffer, offset: int) -> None:
    """Write whole pages, as O_DIRECT wants; what is too much is cut off in the end."""
    size = -(-buffer.length // _PAGE) * _PAGE
    done = 0
    while done < size:
        count = os.pwrite(descriptor, buffer.view[done:size], offset + done)
        done += count // _PAGE * _PAGE
        if count < _PAGE:
            raise OSError(errno.EIO, "the disk took less than a page")
