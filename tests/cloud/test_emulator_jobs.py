"""The emulator's queue of what is due, with a clock that stands still and one that runs."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylib.cloud.clock import SystemClock
from pylib.emulator import ManualClock
from pylib.emulator.jobs import Jobs
from pylib.emulator.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty state."""
    one = Store(tmp_path / "state.sqlite")
    yield one
    one.close()


def test_a_clock_that_is_slept_on_passes_each_job_at_its_time(store: Store) -> None:
    clock = ManualClock(100.0)
    jobs = Jobs(store, clock)
    seen: list[tuple[str, float]] = []
    jobs.register("note", lambda job: seen.append((job.key, clock.time())))
    jobs.register("again", lambda job: jobs.add("note", "added", job.due + 5))
    for key, due in (("late", 130.0), ("first", 110.0), ("never", 999.0), ("past", 50.0)):
        jobs.add("note", key, due)
    jobs.add("again", "", 120.0)
    jobs.cancel("note", "never")
    jobs.start()
    clock.sleep(40)
    assert seen == [("past", 100.0), ("first", 110.0), ("added", 125.0), ("late", 130.0)]
    assert clock.time() == clock.monotonic() == 140.0
    jobs.stop()
    jobs.add("note", "unseen", 150.0)
    clock.sleep(100)
    assert len(seen) == 4


def test_jobs_outlive_a_restart(tmp_path: Path) -> None:
    clock = ManualClock(0.0)
    first = Store(tmp_path / "state.sqlite")
    Jobs(first, clock).add("note", "kept", 1.0, {"a": 1})
    first.close()
    second = Store(tmp_path / "state.sqlite")
    jobs = Jobs(second, clock)
    seen: list[object] = []
    jobs.register("note", lambda job: seen.append(job.data))
    jobs.start()
    clock.sleep(1)
    jobs.stop()
    second.close()
    assert seen == [{"a": 1}]


def test_waiting_with_a_clock_that_stands_still_moves_it(store: Store) -> None:
    clock = ManualClock(0.0)
    jobs = Jobs(store, clock)
    seen: list[str] = []
    jobs.register("note", lambda job: seen.append(job.key))
    jobs.start()
    jobs.add("note", "a", 30.0)
    assert jobs.wait(lambda: seen == ["a"], 60)
    assert clock.time() == 30.0
    assert not jobs.wait(lambda: False, 60)
    assert clock.time() == 90.0
    jobs.stop()


def test_with_a_running_clock_a_thread_does_the_jobs(store: Store) -> None:
    clock = SystemClock()
    jobs = Jobs(store, clock)
    done = threading.Event()
    jobs.register("note", lambda _: done.set())
    jobs.start()
    with store.transaction():
        jobs.add("note", "a", clock.time() + 0.01)
    assert done.wait(20)
    assert not jobs.wait(lambda: False, 0.01)
    jobs.stop()


def test_who_waits_is_let_go_when_the_queue_stops(store: Store) -> None:
    jobs = Jobs(store, SystemClock())
    jobs.start()
    answers: list[bool] = []
    asked = threading.Event()

    def never() -> bool:
        asked.set()
        return False

    waiter = threading.Thread(target=lambda: answers.append(jobs.wait(never, 600)))
    waiter.start()
    assert asked.wait(20)
    jobs.stop()
    waiter.join(20)
    assert answers == [False]


def test_slow_work_is_done_when_the_queue_has_stopped(store: Store) -> None:
    jobs = Jobs(store, SystemClock())
    jobs.start()
    goes_on = threading.Event()
    ended: list[bool] = []
    jobs.apart(lambda: ended.append(goes_on.wait(20)))
    goes_on.set()
    jobs.stop()
    assert ended == [True]


def _spoil(store: Store) -> None:
    with store.transaction():
        store.note("a", 2.0)
        store.execute("INSERT INTO job (id, due) VALUES (1, 0), (1, 0)")


def test_what_fails_inside_a_transaction_leaves_nothing(store: Store) -> None:
    store.note("a", 1.0)
    with pytest.raises(sqlite3.IntegrityError):
        _spoil(store)
    assert store.noted("a", 0.0) == 1
