"""Undoing a run: everything that its journal says was begun, VMs first, published images never."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pylib.bake.target import Target
from pylib.bake.workbench import Workbench
from pylib.errors import VfsError
from pylib.journal import Journal

_ORDER = {"instance": 0, "disk": 1, "image": 2}


@dataclass(frozen=True)
class Leftover:
    """A resource that may still be there, and why it could not be deleted."""

    target: Target
    reason: str


@dataclass(frozen=True)
class Begun:
    """A resource that a journal names; ``id`` is ``None`` while its making was not confirmed."""

    step: str
    target: Target
    id: str | None


def begun(journal: Journal) -> list[Begun]:
    """Every resource that the run began to make, in the order to delete them."""
    found: dict[Target, Begun] = {}
    for entry in journal.entries:
        if entry.event != "begin":
            continue
        done = journal.last(entry.step, "done")
        known = str(done.data["id"]) if done is not None else None
        target = Target.of(entry.data)
        found[target] = Begun(entry.step, target, known)
    boots = [_boot(item) for item in found.values() if item.target.kind == "instance"]
    return sorted([*found.values(), *boots], key=lambda item: _ORDER[item.target.kind])


def delete_all(bench: Workbench, *, keep: Sequence[Target] = ()) -> list[Leftover]:
    """Delete what the run began, ``keep`` apart; returns what may be left.

    One failure does not keep it from the next.
    """
    left = []
    for item in begun(bench.journal):
        if item.target in keep:
            continue
        try:
            # A call whose answer was lost may take effect after a look that finds nothing.
            lost = item.id is None and item.step != "boot"
            if lost and bench.settled(item.target) is None:
                continue
            bench.delete(f"delete-{item.step}", item.target, known_id=item.id)
        except VfsError as error:
            left.append(Leftover(item.target, str(error).splitlines()[0]))
    return left


def commands(targets: Sequence[Target]) -> str:
    """The commands that delete ``targets``, a line each, indented."""
    return "\n".join(f"    {target.command}" for target in targets)


def _boot(item: Begun) -> Begun:
    """The boot disk has its VM's name; it goes with the VM, unless making the VM failed."""
    target = Target("disk", item.target.project, item.target.place, item.target.name)
    return Begun("boot", target, None)
