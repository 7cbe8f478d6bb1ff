"""One call that ends with a published image, or with nothing left that it does not name."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pylib.bake.cleanup import Leftover, begun, commands, delete_all
from pylib.bake.interrupt import interruptible
from pylib.bake.make import Pack, Stage, Step, fingerprint, make, start_data
from pylib.bake.plan import EXPIRES, INPUTS, PHASE, RUN, Bake, Run, vm_seconds
from pylib.bake.publish import About, publish
from pylib.bake.recipe import Content, described
from pylib.bake.target import Target, published
from pylib.bake.workbench import Workbench, new_request_id
from pylib.cloud.api import Compute
from pylib.cloud.faults import CallError, Class, Kind
from pylib.cloud.records import Image
from pylib.errors import BakeError, CloudError, VfsError
from pylib.journal import Entry, Journal

_RESUMABLE = frozenset({Kind.UNKNOWN, Kind.CREDENTIALS, Kind.TRANSIENT})
"""Failures that say nothing about the run itself: it stays as it is, for the next try."""


def new_token() -> str:
    """Random hex digits that tell runs with the same inputs apart."""
    return secrets.token_hex(3)


@dataclass(frozen=True)
class Tools:
    """What a bake works with; tests give their own ids, tokens and listeners."""

    compute: Compute
    journal: Path
    pack: Pack
    say: Callable[[Step], None]
    new_id: Callable[[], str] = field(default=new_request_id)
    new_token: Callable[[], str] = field(default=new_token)


@dataclass(frozen=True)
class Baked:
    """The image; ``reused`` when it was there already."""

    image: Image
    content: Content
    reused: bool


def run_bake(bake: Bake, tools: Tools, keep: Callable[[Baked], None]) -> Baked:
    """Make the image that ``bake`` asks for, or find it; ``keep`` writes down which one it is,
    after it is published and before anything else of the run is deleted.

    Goes on with the run in the journal, if there is one.  Raises :class:`BakeError` when nothing
    was published, :class:`CloudError` when it was but something is left, each with the commands
    that delete what is left; KeyboardInterrupt after a signal, when all is cleaned up.
    """
    with Journal(tools.journal, bake.recipe.kind) as journal, interruptible():
        run = _resumed(bake, tools, journal)
        if run is None:
            existing = None if bake.verify_only else _existing(bake, tools, journal)
            if existing is not None:
                keep(existing)
                journal.remove()
                return existing
            _alone(bake, tools.compute)
        return _zones(bake, run, tools, journal, keep)


def _resumed(bake: Bake, tools: Tools, journal: Journal) -> Run | None:
    """The run of the journal, if it can go on; one that cannot is cleaned up and forgotten."""
    start = journal.last("run", "start")
    if start is None:
        return None
    data = start.data
    run = Run(bake, data["run"], data["zone"], data["nonce"], int(data["started"]))
    same = data["bake"] == fingerprint(bake) and not _over(run, tools, journal)
    if same and journal.last("run", "abandoned") is None:
        tools.say(Step("resume", f"go on with run {run.id} in {run.zone}"))
        return run
    tools.say(Step("clean", f"delete what run {run.id} left"))
    bench = Workbench(tools.compute, journal, run.id, tools.new_id)
    left = delete_all(bench)
    if left:
        raise CloudError(f"run {run.id} before this one left:\n{_named(left)}")
    journal.clear()
    return None


def _over(run: Run, tools: Tools, journal: Journal) -> bool:
    """Whether the service has deleted the VM that the run waits for, and its disk with it.

    A VM that has stopped by itself is not deleted, so that its run can go on at any time.
    """
    if journal.last("check", "done") is not None:
        return False
    filling = journal.last("cut", "done") is None and not (run.bake.disk or run.bake.verify_only)
    step, name = ("vm", run.vm) if filling else ("check-vm", run.check_vm)
    begun_at = [entry.at for entry in journal.of(step) if entry.event == "begin"]
    now = tools.compute.clock.time()
    if not begun_at or now - begun_at[0] <= vm_seconds(run.bake.place):
        return False
    return tools.compute.instance(run.zone, name) is None


def _zones(
    bake: Bake, run: Run | None, tools: Tools, journal: Journal, keep: Callable[[Baked], None]
) -> Baked:
    """Try one zone after another, as long as the reason is that a zone has nothing to give."""
    out: list[str] = []
    first = (run.zone,) if run else ()
    for zone in (*first, *(zone for zone in bake.place.zones if zone not in first)):
        current = run if run and run.zone == zone else _start(bake, zone, tools, journal)
        try:
            return _one(current, tools, journal, keep)
        except CallError as error:
            if error.action is not Class.OTHER_ZONE:
                raise
            out.append(f"{zone}: {error.detail}")
            tools.say(Step("zone", f"{zone} has no capacity: {error.detail}"))
            journal.clear()
    journal.remove()
    raise BakeError(
        "no zone has capacity for the bake; nothing was made and nothing is left:\n"
        + "\n".join(f"    {line}" for line in out)
        + "\n    Name more zones (--zone), or another machine type (--machine-type)."
    )


def _start(bake: Bake, zone: str, tools: Tools, journal: Journal) -> Run:
    token = tools.new_token()
    now = tools.compute.clock.time()
    run = Run(bake, f"{bake.inputs[:6]}{token}", zone, f"{token}-{tools.new_id()}", int(now))
    journal.append(Entry("run", "start", now, data=start_data(run)))
    return run


def _one(run: Run, tools: Tools, journal: Journal, keep: Callable[[Baked], None]) -> Baked:
    bench = Workbench(tools.compute, journal, run.id, tools.new_id)
    stage = Stage(bench, run, tools.pack, tools.say)
    try:
        image, content = make(stage)
    except BaseException as error:
        if isinstance(error, CallError) and error.kind in _RESUMABLE:
            raise _interrupted_by(error, bench) from error
        _undo(bench, tools, error)
        raise
    baked = Baked(image, content, reused=False)
    keep(baked)
    try:
        _finish(stage, baked)
    except KeyboardInterrupt:
        tools.say(
            Step("left", f"the image is published; delete by hand, or run again:\n{_rest(stage)}")
        )
        raise
    return baked


def _finish(stage: Stage, baked: Baked) -> None:
    """Delete all but the image; the image is good whatever comes of it."""
    stage.say(Step("delete", "delete the VMs and disks of the bake"))
    image = stage.target("image", baked.image.name)
    left = delete_all(stage.bench, keep=(image,))
    if left:
        said = "is good" if stage.run.bake.verify_only else "is published and in the lock file"
        raise CloudError(f"image {baked.image.name} {said}, but this is left:\n{_named(left)}")
    stage.bench.journal.remove()


def _undo(bench: Workbench, tools: Tools, error: BaseException) -> None:
    """Delete what the run began.  Raises, in place of ``error``, when something stays."""
    left: list[Leftover] = []
    if begun(bench.journal):
        tools.say(Step("clean", "delete what the run made"))
        try:
            bench.note("run", "abandoned", reason=type(error).__name__)
            left = delete_all(bench)
        except KeyboardInterrupt:
            tools.say(Step("left", f"cleaning up was cut short; delete by hand:\n{_all(bench)}"))
            raise
        except VfsError as failure:
            # The journal's disk is full: what was begun is known all the same.
            raise _left(error, f"{_all(bench)}\n    ({failure})") from error
    if left:
        raise _left(error, _named(left)) from error
    if not isinstance(error, CallError) or error.action is not Class.OTHER_ZONE:
        bench.journal.remove()


def _left(error: BaseException, what: str) -> VfsError:
    reason = str(error) or type(error).__name__
    return BakeError(f"{reason}\nand this is left; delete it by hand, or run again:\n{what}")


def _interrupted_by(error: CallError, bench: Workbench) -> VfsError:
    left = commands([item.target for item in begun(bench.journal)])
    if not left:
        return error
    return CloudError(
        f"{error}\nThe run stays as it is: the same command goes on with it; a VM that runs on "
        f"is deleted by itself.  To give it up instead:\n{left}"
    )


def _all(bench: Workbench) -> str:
    return commands([item.target for item in begun(bench.journal)])


def _rest(stage: Stage) -> str:
    image = stage.target("image", stage.run.bake.image_name)
    return commands([it.target for it in begun(stage.bench.journal) if it.target != image])


def _named(left: list[Leftover]) -> str:
    return "\n".join(f"{commands([item.target])}    # {item.reason}" for item in left)


def _existing(bake: Bake, tools: Tools, journal: Journal) -> Baked | None:
    """The published image of the same inputs, in the family that is asked for now.

    Raises BakeError when the name is not free.
    """
    project = bake.place.images_project
    found = tools.compute.image(project, bake.image_name)
    if found is None:
        return None
    target = Target("image", project, "global", found.name)
    same = found.labels.get(INPUTS) == bake.inputs
    content = described(found.description)
    good = published(found) and found.status == "READY" and not found.obsolete
    if same and good and content is not None:
        bench = Workbench(tools.compute, journal, found.labels.get(RUN, ""), tools.new_id)
        image = found
        if bake.family and found.family != bake.family:
            image = publish(bench, target, found.id, About("", {}, bake.family))
        return Baked(image, content, reused=True)
    raise BakeError(
        f"{target} exists already: {_why_not(found, same=same)} It was left alone. Write another "
        f"imageCache.name, or delete it:\n    {target.command}"
    )


def _why_not(found: Image, *, same: bool) -> str:
    if RUN not in found.labels:
        return "no bake made it."
    if not same:
        return "it was baked from other inputs or settings."
    if not published(found):
        until = _moment(found.labels.get(EXPIRES))
        phase = found.labels.get(PHASE, "unknown")
        return f"run {found.labels[RUN]} is making it, or died (phase {phase}, until {until})."
    if found.status == "READY" and not found.obsolete:
        return "its description, which says what it holds, was changed."
    return f"it is {'obsolete' if found.obsolete else found.status}."


def _moment(label: str | None) -> str:
    if not (label or "").isdecimal():
        return "an unknown time"
    return datetime.fromtimestamp(int(label or 0), UTC).strftime("%Y-%m-%d %H:%M UTC")


def _alone(bake: Bake, compute: Compute) -> None:
    """Refuse while a VM of another run works on the same inputs: it would be paid for twice."""
    found = compute.labelled_instances(INPUTS, bake.inputs)
    now = compute.clock.time()
    for vm in found.items:
        until = vm.labels.get(EXPIRES, "")
        if until.isdecimal() and int(until) > now:
            raise BakeError(
                f"run {vm.labels.get(RUN)} of {vm.labels.get('bake-owner')} bakes the same "
                f"now, on VM {vm.name} in {vm.zone}. Wait for it, or delete that VM."
            )
