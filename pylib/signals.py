"""Runs a coroutine that starts a program, so that a signal reaches the program and is not lost.

``asyncio.run`` alone does not do that.  A handler that raises, raises inside the loop, which then
cancels what starts the program, and a start that is cancelled half-way never ends, or kills the
program outright (CPython 3.11, ``asyncio.base_subprocess``).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_Handler = Callable[[int, FrameType | None], object]


def run_passing_signals(work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` returns.

    The first signal that has a handler cancels ``work``, and its handler is called when ``work``
    has ended; the second one's handler is called at once.
    """
    with asyncio.Runner(loop_factory=_Loop) as runner, _Handlers() as handlers:
        return runner.run(handlers.cancelling(work))


class _Loop(asyncio.SelectorEventLoop):
    """A loop in which the start of a program is never cancelled half-way, nor its end lost."""

    async def subprocess_shell(self, *args: Any, **settings: Any) -> Any:
        """As the loop's own; a cancellation meanwhile counts from the moment it is started."""
        starting = self.create_task(super().subprocess_shell(*args, **settings))
        cancelled = False
        while not starting.done():
            try:
                await asyncio.wait([starting])
            except asyncio.CancelledError:
                cancelled = True
        task = asyncio.current_task()
        if cancelled and task is not None:
            task.cancel()  # raises where the caller next waits: for the program that now runs
        started: tuple[Any, ...] = starting.result()
        started[0].terminate = functools.partial(_terminate, started[0])
        return started


def _terminate(transport: asyncio.SubprocessTransport) -> None:
    """As the transport's own, which would also reap a program that has just ended.

    Its exit code would then be gone for the loop's watcher, which says so on standard error.
    """
    if transport.get_returncode() is None:
        with contextlib.suppress(ProcessLookupError):  # the watcher has reaped it meanwhile
            os.kill(transport.get_pid(), signal.SIGTERM)


class _Handlers:
    """Takes the place of the handlers that signals have, until the work has ended."""

    def __init__(self) -> None:
        self._before: dict[int, _Handler] = {}
        self._came: list[int] = []
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> _Handlers:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._before[number] = handler
                    signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._came:
            self._before[self._came[0]](self._came[0], None)

    async def cancelling(self, work: Coroutine[Any, Any, T]) -> T:
        """``work``, in the task that a signal cancels."""
        self._task = asyncio.current_task()
        if self._came:
            self._cancel()
        return await work

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            self._before[number](number, frame)
            return
        self._came.append(number)
        self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task.get_loop().call_soon_threadsafe(lambda: None)  # wakes a loop that waits
