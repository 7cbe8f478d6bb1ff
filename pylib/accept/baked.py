"""What the lock file says was baked, held against what Google Cloud has.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.accept.model import Check, Evidence, State
from pylib.bake.plan import PHASE, PUBLISHED
from pylib.config.model import Disk
from pylib.lock import LockedDisk, LockedImage, LockedRevision

IMAGE = "baked image"
DISK = "weights disk made"

_READY = "READY"


def checks(evidence: Evidence) -> Iterator[Check]:
    """The image cache, the current revision's image, and its disks."""
    config, lock = evidence.config, evidence.lock
    if config.imageCache.enabled:
        if lock.imageCache is None:
            yield _not_locked(evidence, IMAGE, "image", "bake image")
        else:
            yield _image(evidence, lock.imageCache, ours=not config.imageCache.existing)
    if isinstance(config.weights, Disk):
        revision = current(evidence)
        if revision is None:
            yield _not_locked(evidence, DISK, "weights", "bake weights")
            return
        if revision.image is not None:
            yield _image(evidence, revision.image, ours=not config.weights.existing)
        for disk in revision.disks.values():
            yield _disk(evidence, disk)


def current(evidence: Evidence) -> LockedRevision | None:
    """The revision that pods mount."""
    weights = evidence.lock.weights
    if weights is None:
        return None
    return next((it for it in weights.revisions if it.name == weights.current), None)


def link_of(image: LockedImage) -> str:
    """Partial URL of an image, which evidence has it by."""
    return f"projects/{image.project}/global/images/{image.name}"


def _not_locked(evidence: Evidence, name: str, what: str, verb: str) -> Check:
    why = f"the lock file has no {what}, so nothing says which one should be there"
    command = f"python -m pylib {verb} -f {evidence.config_file}"
    return Check(name, evidence.config.release.name, State.UNCHECKED, why=why, next=command)


def _image(evidence: Evidence, locked: LockedImage, *, ours: bool) -> Check:
    read = evidence.images.get(link_of(locked))
    about = f"image {locked.name}"
    command = f"gcloud compute images describe {locked.name} --project={locked.project}"
    if read is None or read.why_not:
        why = read.why_not if read else "it was not read"
        return Check(IMAGE, about, State.UNCHECKED, why=why, next=command)
    image = read.found
    if image is None:
        return _failed(IMAGE, about, "", f"project {locked.project} has no such image", command)
    phase = image.labels.get(PHASE, "none")
    seen = f"id {image.id}, {image.status}, {PHASE}: {phase}"
    why = _other_id(locked.id, image.id) or _not_ready(image.status)
    if not why and ours and phase != PUBLISHED:
        why = f"its label {PHASE} is {phase}, not {PUBLISHED}: no bake has verified it"
    return _failed(IMAGE, about, seen, why, command) if why else _passed(IMAGE, about, seen)


def _disk(evidence: Evidence, locked: LockedDisk) -> Check:
    read = evidence.disks.get((locked.zone, locked.name))
    about = f"disk {locked.name} in {locked.zone}"
    project = evidence.config.project
    command = (
        f"gcloud compute disks describe {locked.name} --project={project} --zone={locked.zone}"
    )
    if read is None or read.why_not:
        why = read.why_not if read else "it was not read"
        return Check(DISK, about, State.UNCHECKED, why=why, next=command)
    disk = read.found
    if disk is None:
        return _failed(DISK, about, "", f"project {project} has no such disk", command)
    seen = f"id {disk.id}, {disk.status}, {disk.type}, {disk.size_gib} GiB"
    why = _other_id(locked.id, disk.id) or _not_ready(disk.status)
    return _failed(DISK, about, seen, why, command) if why else _passed(DISK, about, seen)


def _other_id(locked: str | None, found: str) -> str:
    if locked in (None, found):
        return ""
    return f"the lock file says id {locked}: this is another one of the same name"


def _not_ready(status: str) -> str:
    return "" if status == _READY else f"it is not {_READY}"


def _passed(name: str, about: str, seen: str) -> Check:
    return Check(name, about, State.PASSED, seen)


def _failed(name: str, about: str, seen: str, why: str, command: str) -> Check:
    return Check(name, about, State.FAILED, seen, why, command)
