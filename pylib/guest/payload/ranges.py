"""Files by HTTP, in ranges that several processes fetch side by side, each with its connection.

One connection, and one core that decrypts, brings less than a VM's network card could; so there are
more processes than cores, and one large file comes as fast as many.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import NamedTuple

from pylib.guest.payload.caller import Caller
from pylib.guest.payload.crc32c import combined, crc32c
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.pool import Counters, run_all
from pylib.guest.payload.web import BROKEN, RETRIED, TRIES, Reply, pause_before

RANGE = 64 << 20
_BUFFER = 4 << 20
_MOST_PROCESSES = 64


@dataclass(frozen=True)
class Target:
    """A file of ``size`` bytes that ``url`` gives."""

    url: str
    path: Path
    size: int


class Part(NamedTuple):
    """Bytes ``start`` to ``stop`` of a target."""

    target: Target
    start: int
    stop: int


Meaning = Callable[[int], str]
"""What to tell about a status that no further try would mend."""
Begin = Callable[[Callable[[], int]], None]
"""Given, once, what tells the bytes done so far."""


def fetch(
    targets: Sequence[Target],
    new_caller: Callable[[], Caller],
    meaning: Meaning,
    begin: Begin,
) -> list[int]:
    """CRC32C of each target, now on the disk.

    ``new_caller`` makes each process its own connection, and ``begin`` is given who counts the
    bytes.  Raises :class:`GuestError` and :class:`OSError`, also for a file that is there already.
    """
    for target in targets:
        _create(target)
    parts = [part for target in targets for part in _parts(target)]
    count = min(len(parts), 4 * (os.cpu_count() or 1), _MOST_PROCESSES)
    counters, following = Counters(count), multiprocessing.Value("q", 0)
    begin(counters.total)
    workers = [
        partial(_work, parts, following, new_caller, meaning, partial(counters.set, slot))
        for slot in range(count)
    ]
    sums = {number: crc for found in run_all(workers, max(1, count)) for number, crc in found}
    whole = dict.fromkeys((target.path for target in targets), 0)
    for number, part in enumerate(parts):
        crc = whole[part.target.path]
        whole[part.target.path] = combined(crc, sums[number], part.stop - part.start)
    return [whole[target.path] for target in targets]


def _create(target: Target) -> None:
    target.path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        if target.size:
            os.posix_fallocate(descriptor, 0, target.size)
    finally:
        os.close(descriptor)


def _parts(target: Target) -> list[Part]:
    return [
        Part(target, start, min(start + RANGE, target.size))
        for start in range(0, target.size, RANGE)
    ]


def _work(
    parts: Sequence[Part],
    following: Synchronized[int],
    new_caller: Callable[[], Caller],
    meaning: Meaning,
    progress: Callable[[int], None],
) -> list[tuple[int, int]]:
    """Number and CRC32C of the parts that this process came to take, one after the other."""
    found: list[tuple[int, int]] = []
    worker = Worker(new_caller(), meaning, progress)
    while True:
        with following.get_lock():
            number = following.value
            following.value += 1
        if number >= len(parts):
            return found
        found.append((number, worker.fetch(parts[number])))


@dataclass
class Worker:
    """One connection, and the memory that bytes pass through."""

    caller: Caller
    meaning: Meaning
    progress: Callable[[int], None]
    done: int = 0
    _buffer: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, _BUFFER))
    _reply: Reply | None = None

    def fetch(self, part: Part) -> int:
        """CRC32C of a part, now in its file; raises after several tries that brought nothing."""
        at, crc, failures = part.start, 0, 0
        descriptor = os.open(part.target.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            while at < part.stop:
                count, reason = self._some(part, at)
                failures = 0 if count else failures + 1
                if count == 0:
                    self._cut(part, failures, reason)
                    continue
                crc = crc32c(self._buffer, count, crc)
                _write_all(descriptor, memoryview(self._buffer)[:count], at)
                at += count
                self.done += count
                self.progress(self.done)
        finally:
            os.close(descriptor)
            self._reply = None
        return crc

    def _some(self, part: Part, at: int) -> tuple[int, str]:
        """Bytes that came into the buffer, or none and the reason."""
        try:
            if self._reply is None:
                self._reply = self._open(part, at)
            limit = min(_BUFFER, part.stop - at)
            return self._reply.read_into(memoryview(self._buffer)[:limit]), "the reply ended early"
        except BROKEN as error:
            return 0, str(error)

    def _open(self, part: Part, at: int) -> Reply:
        reply = self.caller.send(part.target.url, {"Range": f"bytes={at}-{part.stop - 1}"})
        if reply.status in RETRIED:
            raise ConnectionError(f"status {reply.status}")
        if reply.status not in {200, 206}:
            raise GuestError(self.meaning(reply.status))
        span = reply.header("Content-Range") or "all"
        whole = reply.status == 200 and (at, part.stop) == (0, part.target.size)
        if not whole and not span.startswith(f"bytes {at}-{part.stop - 1}/"):
            raise GuestError(
                f"{part.target.url}: asked for bytes {at} to {part.stop - 1}, what comes is {span}"
            )
        return reply

    def _cut(self, part: Part, failures: int, reason: str) -> None:
        """Try again from where the bytes ended, after a pause, on a new connection."""
        self._reply = None
        self.caller.session.forget(part.target.url)
        if failures == TRIES:
            raise GuestError(f"{part.target.url}: nothing comes after {TRIES} tries: {reason}")
        pause_before(failures)


def _write_all(descriptor: int, view: memoryview, offset: int) -> None:
    while view:
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count
