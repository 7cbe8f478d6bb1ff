"""A run: disk, VM, image, check, publication, each once, and again where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pylib.bake import plan
from pylib.bake.plan import Bake, Run
from pylib.bake.publish import About, publish
from pylib.bake.recipe import Content, described, description
from pylib.bake.target import Target
from pylib.bake.watch import Report, console, until_stopped, watch
from pylib.bake.workbench import DISK_SECONDS, IMAGE_SECONDS, VM_SECONDS, Workbench
from pylib.cloud.api import Compute
from pylib.cloud.faults import CallError
from pylib.cloud.records import Disk, Image, InstanceSpec
from pylib.errors import BakeError

Pack = Callable[[Mapping[str, Any]], Mapping[str, str]]
"""Metadata of a VM that does this job."""

PHASES = ("disk", "vm", "fill", "image", "check-disk", "check-vm", "check", "publish", "delete")

_MEND = (
    "stays as it was. If the fault is the disk's, let its Job run once more (delete it, then helm "
    "upgrade its release) and bake again: it brings what is missing, its node unmounts the disk."
)


@dataclass(frozen=True)
class Step:
    """Progress: the step that begins, or what the guest says within it."""

    name: str
    text: str
    report: Report | None = None


@dataclass(frozen=True)
class Stage:
    """The parts that a run needs: cloud and journal, the guest's packer, somebody who listens."""

    bench: Workbench
    run: Run
    pack: Pack
    say: Callable[[Step], None]

    @property
    def compute(self) -> Compute:
        """The cloud."""
        return self.bench.compute

    def target(self, kind: str, name: str) -> Target:
        """A resource of the run."""
        place = self.run.bake.place
        if kind == "image":
            return Target("image", place.images_project, "global", name)
        return Target("disk" if kind == "disk" else "instance", place.project, self.run.zone, name)


def start_data(run: Run) -> dict[str, Any]:
    """What the journal's first entry says, from which a run goes on after a crash."""
    return {
        "run": run.id,
        "zone": run.zone,
        "nonce": run.nonce,
        "started": run.started,
        "bake": fingerprint(run.bake),
    }


def fingerprint(bake: Bake) -> str:
    """Text that differs when anything that was asked for differs."""
    return json.dumps(asdict(bake), sort_keys=True, default=str)


def make(stage: Stage) -> tuple[Image, Content]:
    """The published image of a run, from wherever its journal stands.

    Raises :class:`BakeError` and :class:`pylib.cloud.faults.CallError`.
    """
    bake = stage.run.bake
    boot = _boot_image(stage)
    if bake.verify_only:
        return _looked_at(stage, boot)
    if bake.disk is None:
        disk_id, filled = _filled(stage, boot), _content(stage)
    else:
        disk_id, filled = bake.disk.id, None
    image_id = _candidate(stage, disk_id)
    try:
        content = _verified(stage, boot, filled)
    except BakeError as error:
        if bake.disk is None:
            raise
        raise BakeError(f"{error}\ndisk {bake.disk.name} {_MEND}") from error
    stage.say(Step("publish", f"publish {bake.image_name}"))
    target = stage.target("image", bake.image_name)
    about = About(description(bake.inputs, content), bake.recipe.labels(content), bake.family or "")
    image = publish(stage.bench, target, image_id, about)
    stage.bench.note("publish", "done", id=image.id)
    return image, content


def _looked_at(stage: Stage, boot: str) -> tuple[Image, Content]:
    """The image that is there already, and what is on a disk made from it."""
    target = stage.target("image", stage.run.bake.image_name)
    found = target.find(stage.compute)
    if not isinstance(found, Image) or found.status != "READY":
        raise BakeError(f"{target}: there is no such image to verify, or it is not READY.")
    return found, _verified(stage, boot, described(found.description))


def _boot_image(stage: Stage) -> str:
    """The system of both VMs: looked up once, so that a resumed run boots the same one."""
    known = stage.bench.journal.last("boot-image", "done")
    if known is not None:
        return str(known.data["link"])
    asked = stage.run.bake.place.boot_image
    if asked:
        _, project, _, _, name = asked.split("/")
        found = stage.compute.image(project, name)
    else:
        found = stage.compute.image_of_family(plan.BOOT_PROJECT, plan.BOOT_FAMILY)
    if found is None:
        missing = asked or f"family {plan.BOOT_FAMILY} in {plan.BOOT_PROJECT}"
        raise BakeError(f"there is no image to boot the VM from: {missing}.")
    stage.bench.note("boot-image", "done", link=found.link, id=found.id)
    return found.link


def _filled(stage: Stage, boot: str) -> str:
    """Numeric id of the disk, once the guest has filled it."""
    run, bench, compute = stage.run, stage.bench, stage.compute
    spec = run.disk()
    stage.say(Step("disk", f"create {spec.type} disk {spec.name}, {spec.size_gib} GiB"))
    disk = stage.target("disk", spec.name)
    disk_id = bench.ensure(
        "disk", disk, lambda request: compute.insert_disk(spec, request), DISK_SECONDS
    )
    machine = run.machine(boot, stage.pack(run.guest_job(check=False)), check=False)
    _machine(stage, "vm", machine)
    if bench.journal.last("fill", "done") is None:
        report = _watched(stage, "fill", run.vm, run.nonce)
        bench.note("fill", "done", **run.bake.recipe.content(report).data())
    return disk_id


def _content(stage: Stage) -> Content:
    done = stage.bench.journal.last("fill", "done")
    if done is None:
        raise BakeError("the journal lacks what the guest reported; delete it and start again.")
    return Content.of(done.data)


def _candidate(stage: Stage, disk_id: str) -> str:
    """Numeric id of the image that is cut from a disk that nothing writes to."""
    run, compute = stage.run, stage.compute
    spec = run.image()
    stage.say(Step("image", f"create image {spec.name}"))
    target = stage.target("image", spec.name)
    if stage.bench.journal.last("image", "done") is None:
        if run.bake.disk is None:
            until_stopped(compute, run.zone, run.vm)
        _same_disk(stage, spec.disk, disk_id)
    image_id = stage.bench.ensure(
        "image", target, lambda request: compute.insert_image(spec, request), IMAGE_SECONDS
    )
    if stage.bench.journal.last("cut", "done") is None:
        found = target.find(compute)
        if not isinstance(found, Image) or found.source_disk_id != disk_id:
            raise BakeError(f"{target} was not cut from this run's disk (id {disk_id}).")
        stage.bench.note("cut", "done", id=image_id)
    return image_id


def _same_disk(stage: Stage, name: str, disk_id: str) -> None:
    """Names are given again: only the numeric id tells that this is the disk that was filled."""
    found = stage.compute.disk(stage.run.zone, name)
    if not isinstance(found, Disk) or found.id != disk_id:
        raise BakeError(f"disk {name} is not the one that was filled (id {disk_id}); not imaged.")
    allowed = set() if stage.run.bake.disk else {stage.run.vm}
    strangers = sorted(set(found.users) - allowed)
    if strangers:
        raise BakeError(f"disk {name} is attached to {', '.join(strangers)}; not imaged.")


def _verified(stage: Stage, boot: str, wanted: Content | None) -> Content:
    """What nodes will read is read once before: a new disk from the image, attached read-only.

    Returns what must be there, or where nobody knows that, what the check found.
    """
    run, bench, compute = stage.run, stage.bench, stage.compute
    done = bench.journal.last("check", "done")
    if done is not None:
        return Content.of(done.data)
    spec = run.copy(stage.target("image", run.bake.image_name).link)
    stage.say(Step("check-disk", f"create disk {spec.name} from the image"))
    disk = stage.target("disk", spec.name)
    bench.ensure(
        "check-disk", disk, lambda request: compute.insert_disk(spec, request), DISK_SECONDS
    )
    digest = wanted.digest if wanted else ""
    job = {**run.guest_job(check=True), "verify": {"digest": digest}}
    _machine(stage, "check-vm", run.machine(boot, stage.pack(job), check=True))
    report = _watched(stage, "check", run.check_vm, str(job["nonce"]))
    content = _checked(run, report, wanted)
    bench.note("check", "done", **content.data())
    return content


def _checked(run: Run, report: Report, wanted: Content | None) -> Content:
    """What the check found, which must be ``wanted`` where that is known."""
    recipe, name = run.bake.recipe, run.bake.image_name
    if wanted is None:
        return recipe.content(report)
    if report.digest != wanted.digest:
        said = f"image {name} holds {report.digest or 'nothing'}, not {wanted.digest}"
        raise BakeError(f"{said}; nothing was published.")
    if not recipe.alike(recipe.content(report), wanted):
        raise BakeError(f"image {name} names other contents than it holds; nothing was published.")
    return wanted


def _machine(stage: Stage, step: str, spec: InstanceSpec) -> None:
    compute = stage.compute
    stage.say(Step(step, f"create VM {spec.name}, {spec.machine_type}"))
    target = stage.target("instance", spec.name)
    stage.bench.ensure(
        step, target, lambda request: compute.insert_instance(spec, request), VM_SECONDS
    )


def _watched(stage: Stage, step: str, vm: str, nonce: str) -> Report:
    seconds = stage.run.bake.place.timeout_seconds
    stage.say(Step(step, f"wait for VM {vm}"))

    def progress(report: Report) -> None:
        stage.say(Step(step, report.phase, report))

    try:
        return watch(stage.compute, stage.run.zone, vm, nonce, seconds, progress)
    finally:
        _log(stage, vm)


def _log(stage: Stage, vm: str) -> None:
    """The VM's serial output, into the log bucket; a log that is lost fails no bake."""
    bucket = stage.run.bake.log_bucket
    if bucket is None:
        return
    name = f"{stage.run.id}/{vm}.log"
    try:
        text = console(stage.compute, stage.run.zone, vm)
        stage.compute.put_object(bucket, name, text)
    except CallError as error:
        stage.say(Step("log", f"no log in gs://{bucket}/{name}: {error.detail}"))
