"""Making and deleting one resource, so that it happens once, whatever happens in between."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pylib.bake.target import Resource, Target, failed, ours, published, ready
from pylib.cloud.api import Compute
from pylib.cloud.faults import CallError, Class, Kind
from pylib.cloud.records import Operation
from pylib.cloud.wait import wait
from pylib.errors import BakeError
from pylib.journal import Entry, Journal

REQUEST_ID_SECONDS = 3300
"""How long a request_id is trusted: 60 minutes are promised, less the time that a call takes:
https://google.aip.dev/155."""

DISK_SECONDS = 600
VM_SECONDS = 600
DELETE_SECONDS = 600
IMAGE_SECONDS = 7200

AGAIN = frozenset({Kind.RATE, Kind.TRANSIENT, Kind.NOT_READY})
"""Ends of an operation after which a new request may succeed; the old one's id repeats its end."""
AGAIN_TRIES = 6
AGAIN_FIRST = 10.0
AGAIN_LONGEST = 300.0
"""Six images of one disk an hour, one in ten minutes, is the rate that must be waited out:
https://cloud.google.com/compute/docs/images/create-custom#limitations."""

SETTLE_TRIES = 4
SETTLE_SECONDS = 5.0
"""How long a name is watched that a lost call may yet fill, or that a read does not show yet."""


class StrangerError(BakeError):
    """Something of the wanted name is there, and is not this run's; it was not touched."""


def new_request_id() -> str:
    """A random UUID, which Compute Engine wants non-zero."""
    return str(uuid.uuid4())


@dataclass
class Workbench:
    """Acts for one run, journal first."""

    compute: Compute
    journal: Journal
    run_id: str
    new_id: Callable[[], str] = field(default=new_request_id)

    def note(self, step: str, event: str, request_id: str = "", **data: Any) -> None:
        """Journal one event."""
        at = self.compute.clock.time()
        self.journal.append(Entry(step, event, at, request_id, data))

    def ensure(
        self,
        step: str,
        target: Target,
        insert: Callable[[str], Operation],
        seconds: float,
    ) -> str:
        """Numeric id of ``target``, which is made by ``insert(request_id)`` unless it is there.

        Raises :class:`StrangerError`, :class:`CallError`, or :class:`BakeError` when it is made
        but not fit.
        """
        done = self.journal.last(step, "done")
        if done is not None:
            return str(done.data["id"])
        found = self._look(target)
        if found is None:
            found = self._insert(step, target, insert, seconds)
        found = self._until_ready(target, found, seconds)
        self.note(step, "done", id=found.id)
        return found.id

    def delete(self, step: str, target: Target, *, known_id: str | None) -> None:
        """Delete ``target`` if it is this run's; what is a stranger's, or published, stays.

        Raises CallError while it may still be there.
        """
        pause = AGAIN_FIRST
        for attempt in range(AGAIN_TRIES):
            found = target.find(self.compute)
            if found is None or not ours(found, self.run_id, known_id) or published(found):
                return
            request_id = self.new_id()
            self.note(step, "begin-delete", request_id, **target.data())
            try:
                wait(self.compute, _delete(self.compute, target, request_id), DELETE_SECONDS)
            except CallError as error:
                if error.kind is Kind.ABSENT:
                    return
                again = error.kind in {*AGAIN, Kind.IN_USE, Kind.UNKNOWN}
                if not again or attempt == AGAIN_TRIES - 1:
                    raise
                self.compute.clock.sleep(pause)
                pause = min(AGAIN_LONGEST, 2 * pause)
            else:
                return

    def settled(self, target: Target) -> Resource | None:
        """What has the name, after looking long enough for a lost call to show."""
        for attempt in range(SETTLE_TRIES):
            found = target.find(self.compute)
            if found is not None or attempt == SETTLE_TRIES - 1:
                return found
            self.compute.clock.sleep(SETTLE_SECONDS)
        raise AssertionError("the last look returns")

    def _insert(
        self, step: str, target: Target, insert: Callable[[str], Operation], seconds: float
    ) -> Resource:
        pause, request_id = AGAIN_FIRST, self._request_id(step)
        for attempt in range(AGAIN_TRIES):
            self.note(step, "begin", request_id, **target.data())
            try:
                wait(self.compute, insert(request_id), seconds)
            except CallError as error:
                if error.action is Class.RECONCILE:
                    found = self._look(target)
                    if found is not None:
                        return found
                repeat = error.kind in AGAIN or error.kind is Kind.EXISTS
                if not repeat or attempt == AGAIN_TRIES - 1:
                    raise
                self._clear_failed(step, target)
                self.compute.clock.sleep(pause)
                pause, request_id = min(AGAIN_LONGEST, 2 * pause), self.new_id()
            else:
                found = self.settled(target)
                if found is None:
                    raise BakeError(f"{target}: was made, and is not there any more.")
                return self._claimed(target, found)
        raise AssertionError("the last attempt returns or raises")

    def _clear_failed(self, step: str, target: Target) -> None:
        """An image stays, FAILED, after an operation that failed, and keeps the name taken."""
        found = self._look(target)
        if found is not None and failed(found):
            self.delete(f"delete-{step}", target, known_id=found.id)

    def _request_id(self, step: str) -> str:
        """That of an unfinished try, which the service then knows; or a new one."""
        begun = self.journal.last(step, "begin")
        if begun is not None and begun.request_id:
            age = self.compute.clock.time() - begun.at
            if 0 <= age < REQUEST_ID_SECONDS:
                return begun.request_id
        return self.new_id()

    def _look(self, target: Target) -> Resource | None:
        found = target.find(self.compute)
        return None if found is None else self._claimed(target, found)

    def _claimed(self, target: Target, found: Resource) -> Resource:
        if not ours(found, self.run_id, None):
            owner = found.labels.get("bake-owner") or "somebody"
            raise StrangerError(
                f"{target} exists already and is not this run's (made by {owner}); it was left "
                "alone. Choose another name (imageCache.name), or delete it:\n"
                f"    {target.command}"
            )
        return found

    def _until_ready(self, target: Target, found: Resource, seconds: float) -> Resource:
        clock = self.compute.clock
        end = clock.monotonic() + seconds
        while not ready(target, found):
            if failed(found):
                raise BakeError(f"{target} has status {found.status}; it will not be ready.")
            if clock.monotonic() > end:
                message = f"{target} is {found.status} after {seconds:.0f} s"
                raise CallError(str(target), Kind.UNKNOWN, message)
            clock.sleep(SETTLE_SECONDS)
            again = self._look(target)
            if again is None:
                raise BakeError(f"{target} went away while it was being made.")
            found = again
        return found


def _delete(compute: Compute, target: Target, request_id: str) -> Operation:
    if target.kind == "disk":
        return compute.delete_disk(target.place, target.name, request_id)
    if target.kind == "instance":
        return compute.delete_instance(target.place, target.name, request_id)
    return compute.delete_image(target.project, target.name, request_id)
