"""What is due later: steps of operations, timers of VMs.  It is kept, so a restart loses none."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pylib.cloud.clock import Clock
from pylib.emulator.clock import ManualClock
from pylib.emulator.errors import Json
from pylib.emulator.store import Store


@dataclass(frozen=True)
class Job:
    """One thing to do at ``due``, in seconds since 1970; ``key`` is what it is about."""

    id: int
    due: float
    kind: str
    key: str
    data: Json


class Runner(Protocol):
    """Does a job of its kind; it opens its own transactions."""

    def __call__(self, job: Job) -> None:
        """Do it."""


class Jobs:
    """The queue, and the thread that works it off; with a manual clock, who moves the clock."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._runners: dict[str, Runner] = {}
        self._turn = threading.RLock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._apart: list[threading.Thread] = []

    def register(self, kind: str, runner: Runner) -> None:
        """Say who does the jobs of a kind."""
        self._runners[kind] = runner

    def add(self, kind: str, key: str, due: float, data: Json | None = None) -> None:
        """Do this at ``due``."""
        self._store.execute(
            "INSERT INTO job (due, kind, key, data) VALUES (?,?,?,?)",
            *(due, kind, key, json.dumps(data or {})),
        )

    def cancel(self, kind: str, key: str) -> None:
        """Do not do this, if it was to be done."""
        self._store.execute("DELETE FROM job WHERE kind=? AND key=?", kind, key)

    def next_due(self) -> float | None:
        """When the next job is due; ``None`` when there is none."""
        rows = self._store.execute("SELECT MIN(due) FROM job")
        return None if rows[0][0] is None else float(str(rows[0][0]))

    def run_due(self) -> None:
        """Do all that is due, in order."""
        with self._turn:
            while (job := self._take()) is not None:
                self._runners[job.kind](job)
                self._store.execute("DELETE FROM job WHERE id=?", job.id)

    def _take(self) -> Job | None:
        rows = self._store.execute(
            "SELECT id, due, kind, key, data FROM job WHERE due<=? ORDER BY due, id LIMIT 1",
            self._clock.time(),
        )
        if not rows:
            return None
        number, due, kind, key, data = rows[0]
        return Job(int(str(number)), float(str(due)), str(kind), str(key), json.loads(str(data)))

    def start(self) -> None:
        """Begin to work the queue off."""
        if isinstance(self._clock, ManualClock):
            self._clock.keep(self)
            return
        self._stopped.clear()
        self._thread = threading.Thread(target=self._work, name="emulator-jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Do no more; what is queued stays queued."""
        if isinstance(self._clock, ManualClock):
            self._clock.drop(self)
            return
        self._stopped.set()
        with self._store.changed:
            self._store.changed.notify_all()
        for thread in (self._thread, *self._apart):
            if thread is not None:
                thread.join()

    def apart(self, slow: Callable[[], None]) -> None:
        """Do what is slow beside the queue, so that other jobs go on meanwhile."""
        thread = threading.Thread(target=slow, name="emulator-work", daemon=True)
        self._apart = [one for one in self._apart if one.is_alive()] + [thread]
        thread.start()

    def _work(self) -> None:
        while not self._stopped.is_set():
            self.run_due()
            with self._store.changed:
                if not self._stopped.is_set():
                    self._store.changed.wait(self._pause())

    def _pause(self) -> float:
        due = self.next_due()
        return 1.0 if due is None else min(1.0, max(0.0, due - self._clock.time()))

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Whether ``done`` became true within ``seconds``; a manual clock moves by itself."""
        if isinstance(self._clock, ManualClock):
            return self._skip(self._clock, done, self._clock.time() + seconds)
        deadline = self._clock.monotonic() + seconds
        with self._store.changed:
            while not done():
                left = deadline - self._clock.monotonic()
                if left <= 0 or self._stopped.is_set():
                    return False
                self._store.changed.wait(left)
        return True

    def _skip(self, clock: ManualClock, done: Callable[[], bool], deadline: float) -> bool:
        while not done():
            due = self.next_due()
            if due is None or due > deadline:
                clock.sleep(deadline - clock.time())
                return done()
            clock.sleep(due - clock.time())
        return True
