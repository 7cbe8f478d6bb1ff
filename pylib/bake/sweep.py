"""Deleting what a plan of :mod:`pylib.bake.gc` says, each thing looked at again right before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pylib.bake.gc import Row
from pylib.bake.interrupt import interruptible
from pylib.bake.workbench import AGAIN, DELETE_SECONDS, new_request_id
from pylib.cloud.faults import CallError, Kind
from pylib.cloud.inventory import Inventory, Marked
from pylib.cloud.wait import wait
from pylib.errors import VfsError

TRIES = 5
FIRST_PAUSE = 5.0
_AGAIN = frozenset({*AGAIN, Kind.IN_USE, Kind.UNKNOWN, Kind.CONDITION})

DELETED = "deleted"
GONE = "gone"
CHANGED = "changed"
FAILED = "failed"


@dataclass(frozen=True)
class Swept:
    """What became of one row: ``gone`` before its turn, ``changed`` since the plan and left
    alone, ``failed`` with the reason, or ``deleted``."""

    row: Row
    result: str
    why: str = ""


def sweep(
    cloud: Inventory,
    rows: Sequence[Row],
    say: Callable[[str], None],
    new_id: Callable[[], str] = new_request_id,
) -> list[Swept]:
    """Delete the rows that are to go; one failure does not keep it from the next.

    Raises KeyboardInterrupt after a signal, when it has said what is left.
    """
    todo = [row for row in rows if row.delete]
    done: list[Swept] = []
    with interruptible():
        try:
            for row in todo:
                done.append(_swept(cloud, row, new_id))
                say(f"{done[-1].result:7} {row.found}")
        except KeyboardInterrupt:
            rest = "\n".join(f"    {row.found.command}" for row in todo[len(done) :])
            say(f"stopped; run it again, or delete by hand what is left:\n{rest}")
            raise
    return done


def _swept(cloud: Inventory, row: Row, new_id: Callable[[], str]) -> Swept:
    try:
        result = _delete(cloud, row.found, new_id)
    except VfsError as error:
        return Swept(row, FAILED, str(error).splitlines()[0])
    why = "changed since it was listed; left alone" if result == CHANGED else ""
    return Swept(row, result, why)


def _delete(cloud: Inventory, planned: Marked, new_id: Callable[[], str]) -> str:
    """Names are given again, and a run may go on: only what is as it was listed is deleted."""
    pause, asked = FIRST_PAUSE, False
    for attempt in range(TRIES):
        found = cloud.again(planned)
        if found is None:
            return DELETED if asked else GONE
        if not _same(planned, found):
            return CHANGED
        asked = True
        try:
            wait(cloud, cloud.delete(planned, new_id()), DELETE_SECONDS)
        except CallError as error:
            if error.kind is not Kind.ABSENT and (error.kind not in _AGAIN or attempt == TRIES - 1):
                raise
            cloud.clock.sleep(pause)
            pause *= 2
        else:
            return DELETED
    return DELETED


def _same(planned: Marked, found: Marked) -> bool:
    """Whether it is the very same resource, with the same labels, and no VM that was off runs."""
    started = found.status == "RUNNING" and planned.status != "RUNNING"
    return found.id == planned.id and found.labels == planned.labels and not started
