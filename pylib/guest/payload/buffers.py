"""Memory that threads of one layer hand around: fixed buffers, and channels that can be poisoned.

A :class:`Flow` is one layer's threads.  The first that fails poisons all channels, and so ends the
others; nobody waits for ever.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar, cast

from pylib.guest.payload.native import address_of

T = TypeVar("T")
_HUGE = 2 << 20
"""Bytes of a huge page of x86."""


def arena(size: int) -> memoryview:
    """``size`` bytes of zeros, page-aligned.

    In huge pages where the kernel has some: all of a layer goes through such memory several times,
    and the disk takes fewer and larger requests of it.  Only private memory has them by default.
    """
    memory = mmap.mmap(-1, size + _HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = -address_of(memory) % _HUGE
    with contextlib.suppress(OSError):  # a kernel without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)[start : start + size]


class StoppedError(Exception):
    """Another thread of the flow failed; this one has nothing left to do."""


class _Poison:
    """Ends whoever takes it from a channel."""


_POISON = _Poison()


class Channel(Generic[T]):
    """A queue; ``None`` is left to the users as the end of what they pass."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[T | _Poison] = SimpleQueue()

    def put(self, item: T) -> None:
        """Add; never waits, since what is passed are buffers, of which there are few."""
        self._queue.put(item)

    def get(self) -> T:
        """Take the next; raises :class:`StoppedError` once the flow has failed."""
        item = self._queue.get()
        if isinstance(item, _Poison):
            self._queue.put(item)  # for the next one who waits here
            raise StoppedError
        return item

    def poison(self) -> None:
        """Let every later ``get`` raise."""
        self._queue.put(_POISON)


class Buffer:
    """Page-aligned memory, as O_DIRECT wants it; ``length`` bytes of it are in use."""

    __slots__ = ("_free", "_lock", "_users", "address", "length", "ready", "view")

    def __init__(self, memory: memoryview, free: Channel[Buffer], ready: Channel[int]) -> None:
        self.view = memory
        self.address = address_of(memory)
        self.length = 0
        self.ready = ready
        self._free = free
        self._users = 0
        self._lock = Lock()

    def share(self, users: int) -> None:
        """Say how many will call :meth:`release` before the buffer is free again."""
        self._users = users

    def keep(self) -> Buffer:
        """One user more, who must not be the first."""
        with self._lock:
            self._users += 1
        return self

    def release(self) -> None:
        """Give up one's share."""
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            self._free.put(self)


class Ring:
    """At most ``count`` buffers of ``size`` bytes; taken when first needed, used again after."""

    def __init__(self, flow: Flow, count: int, size: int) -> None:
        self.size = size
        self._memory = arena(count * size)
        self._taken = 0
        self._flow = flow
        self._free: Channel[Buffer] = flow.channel()
        self._lock = Lock()

    def take(self) -> Buffer:
        """A free buffer; waits for one."""
        with self._lock:
            start = self._taken
            self._taken = min(start + self.size, len(self._memory))
        if start == len(self._memory):
            return self._free.get()
        return Buffer(self._memory[start : start + self.size], self._free, self._flow.channel())


class Flow:
    """Threads that end together."""

    def __init__(self) -> None:
        self._failure: BaseException | None = None
        self._poisons: list[Callable[[], None]] = []
        self._threads: list[Thread] = []
        self._lock = Lock()

    def channel(self) -> Channel[T]:
        """A channel that is poisoned when any thread of the flow fails."""
        made: Channel[T] = Channel()
        with self._lock:
            self._poisons.append(made.poison)
            failed = self._failure is not None
        if failed:
            made.poison()
        return made

    def spawn(self, work: Callable[[], None]) -> None:
        """Run ``work`` beside the others."""
        thread = Thread(target=self._guard, args=(work,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def fail(self, error: BaseException) -> None:
        """Remember the first error, and stop all."""
        with self._lock:
            if self._failure is None:
                self._failure = error
            poisons = list(self._poisons)
        for poison in poisons:
            poison()

    def check(self) -> None:
        """Raise :class:`StoppedError` once a thread has failed."""
        if self._failure is not None:
            raise StoppedError

    def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` in this thread, wait for all others, raise what failed first."""
        result: T | None = None
        try:
            with contextlib.suppress(StoppedError):
                result = work()
        except Exception as error:
            self.fail(error)
        for thread in self._threads:
            thread.join()
        if self._failure is not None:
            raise self._failure
        return cast("T", result)

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            with contextlib.suppress(StoppedError):
                work()
        except BaseException as error:  # a thread has nobody else to tell
            self.fail(error)
