"""Work in processes of its own: forked one for each task, so many at a time, all or nothing.

A process that dies without a word, killed for its memory say, is a failure like any other.
"""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import Generic, TypeVar, cast

from pylib.guest.payload.failure import GuestError, line_of, message_of
from pylib.guest.payload.native import die_with_parent

T = TypeVar("T")
_COUNTER = struct.Struct("q")


class Counters:
    """Numbers that processes write and their parent reads, without locks: one slot each."""

    def __init__(self, count: int) -> None:
        self._memory = mmap.mmap(-1, max(1, count) * _COUNTER.size)
        self._count = count

    def set(self, slot: int, value: int) -> None:
        """Write one's own slot."""
        _COUNTER.pack_into(self._memory, slot * _COUNTER.size, value)

    def total(self) -> int:
        """Sum of all."""
        return sum(
            _COUNTER.unpack_from(self._memory, slot * _COUNTER.size)[0]
            for slot in range(self._count)
        )


@dataclass(frozen=True)
class _Failure:
    message: str
    line: str


@dataclass(frozen=True)
class _Child(Generic[T]):
    number: int
    process: int
    pipe: Connection


def run_all(tasks: Sequence[Callable[[], T]], at_once: int) -> list[T]:
    """Results in the order of ``tasks``, which start in that order.

    Raises :class:`GuestError` for the first that fails; the others are killed then.
    """
    results: dict[int, T] = {}
    running: dict[Connection, _Child[T]] = {}
    waiting = list(enumerate(tasks))[::-1]
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                child = _start(*waiting.pop())
                running[child.pipe] = child
            for pipe in wait(list(running)):
                child = running.pop(cast("Connection", pipe))
                results[child.number] = _finished(child)
    finally:
        for child in running.values():
            os.kill(child.process, signal.SIGKILL)
            os.waitpid(child.process, 0)
    return [results[number] for number in range(len(tasks))]


def _start(number: int, task: Callable[[], T]) -> _Child[T]:
    receiver, sender = Pipe(duplex=False)
    process = os.fork()
    if process == 0:
        receiver.close()
        _be_child(task, sender)
    sender.close()
    return _Child(number, process, receiver)


def _be_child(task: Callable[[], T], sender: Connection) -> None:
    """Never returns: what the parent would clean up is none of the child's business."""
    try:
        die_with_parent()
        try:
            outcome = pickle.dumps(task())
        except Exception as error:
            outcome = pickle.dumps(_Failure(message_of(error), line_of(error)))
        sender.send_bytes(outcome)
        sender.close()
    finally:
        os._exit(0)


def _finished(child: _Child[T]) -> T:
    try:
        outcome = pickle.loads(child.pipe.recv_bytes())
    except EOFError:
        _, status = os.waitpid(child.process, 0)
        raise GuestError(_death(os.waitstatus_to_exitcode(status))) from None
    os.waitpid(child.process, 0)
    child.pipe.close()
    if isinstance(outcome, _Failure):
        raise GuestError(outcome.message, outcome.line)
    return cast("T", outcome)


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return "a process of the bake was killed: the VM has too little memory for this image"
    return f"a process of the bake ended without a word, with status {code}"
