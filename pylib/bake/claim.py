"""The disk behind a claim that a download Job has filled: found, and proven to be at rest.

The Job may be the chart's (download mode) or anybody's that leaves a weights manifest.  Three
things must be true before a disk is imaged: every Job that writes to the claim is complete, no pod
holds the claim, and Compute Engine says that no VM has the disk.  The last one counts: GKE detaches
a disk a while after its pod has ended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pylib.bake.plan import SourceDisk
from pylib.cloud.api import Compute
from pylib.cloud.records import Disk
from pylib.errors import BakeError, KubeError
from pylib.facts.gke import PD_CSI
from pylib.kube import Body, Kube
from pylib.snapshot.bodies import condition, name_of, parts, word

POLL_SECONDS = 5.0
_HANDLE = re.compile(r"projects/(?P<project>[^/]+)/zones/(?P<zone>[^/]+)/disks/(?P<name>[^/]+)")
_OVER = frozenset({"Succeeded", "Failed"})
_FORBIDDEN = 403


@dataclass(frozen=True)
class Filled:
    """A disk at rest; ``state`` changes when anything attaches the disk again."""

    disk: SourceDisk
    size_gib: int
    state: str


@dataclass(frozen=True)
class Claim:
    """A claim by name, and where it is looked for."""

    kube: Kube
    compute: Compute
    namespace: str
    name: str

    def kubectl(self, words: str) -> str:
        """A kubectl command about it."""
        return f"kubectl --context {self.kube.context} -n {self.namespace} {words}"

    def __str__(self) -> str:
        """For messages."""
        return f"claim {self.namespace}/{self.name}"


def filled_disk(claim: Claim, seconds: float, say: Callable[[str], None]) -> Filled:
    """The disk behind ``claim``, once its Jobs are complete and nothing holds it.

    Waits at most ``seconds``.  Raises :class:`BakeError` for a claim, volume or Job that cannot be
    baked from, and KubeError and CallError when something is not known.
    """
    _wait(claim, seconds, say, _unfinished)
    place = _place(claim)
    _wait(claim, seconds, say, lambda it: _holders(it, place))
    found = _disk(claim, place)
    state = f"{found.id}/{found.attached}"
    return Filled(SourceDisk(place.zone, place.name, found.id), found.size_gib, state)


@dataclass(frozen=True)
class _Place:
    volume: str
    zone: str
    name: str


def _wait(
    claim: Claim,
    seconds: float,
    say: Callable[[str], None],
    reasons: Callable[[Claim], Iterator[str]],
) -> None:
    """Until there is no reason to wait; each new one is said once."""
    clock, said = claim.compute.clock, ""
    end = clock.monotonic() + seconds
    while reason := next(reasons(claim), ""):
        if reason != said:
            say(f"wait: {reason}")
            said = reason
        if clock.monotonic() > end:
            raise BakeError(f"{claim}: after {seconds:.0f} s still: {reason}. See --timeout.")
        clock.sleep(POLL_SECONDS)


def _unfinished(claim: Claim) -> Iterator[str]:
    """Jobs on the claim that are not complete yet.  Raises BakeError for one that failed."""
    for job in claim.kube.list("batch/v1", "Job", claim.namespace):
        if not _mounts(job["spec"]["template"]["spec"], claim.name):
            continue
        failure = condition(job, "Failed")
        if word(failure, "status") == "True":
            why = word(failure, "message") or word(failure, "reason")
            logs = claim.kubectl(f"logs job/{name_of(job)}")
            raise BakeError(
                f"{claim}: Job {name_of(job)} failed: {why.rstrip('.')}. See why:\n    {logs}"
            )
        if word(condition(job, "Complete"), "status") != "True":
            yield f"Job {name_of(job)} is not complete"


def _holders(claim: Claim, place: _Place) -> Iterator[str]:
    """Pods, attachments and VMs that have the volume or its disk."""
    for pod in claim.kube.list("v1", "Pod", claim.namespace):
        over = word(pod, "status", "phase") in _OVER
        if _mounts(pod["spec"], claim.name) and not over:
            yield f"Pod {name_of(pod)} has the claim"
    for attachment in _attachments(claim.kube):
        if word(attachment, "spec", "source", "persistentVolumeName") == place.volume:
            yield f"node {word(attachment, 'spec', 'nodeName')} has the volume attached"
    for user in _disk(claim, place).users:
        yield f"VM {user} has disk {place.name}"


def _attachments(kube: Kube) -> list[Body]:
    """All attachments; none for somebody who may not list them, since the disk's own word
    counts."""
    try:
        return kube.list("storage.k8s.io/v1", "VolumeAttachment")
    except KubeError as error:
        if error.status == _FORBIDDEN:
            return []
        raise


def _mounts(spec: Body, claim: str) -> bool:
    return any(
        word(volume, "persistentVolumeClaim", "claimName") == claim
        for volume in parts(spec, "volumes")
    )


def _place(claim: Claim) -> _Place:
    """The disk that the claim's volume names."""
    found = claim.kube.get("v1", "PersistentVolumeClaim", claim.name, claim.namespace)
    if found is None:
        raise BakeError(
            f"there is no {claim}. The claim of a release in download mode is named "
            f"<release>-download; see {claim.kubectl('get pvc')}"
        )
    bound = word(found, "spec", "volumeName")
    volume = claim.kube.get("v1", "PersistentVolume", bound) if bound else None
    if volume is None:
        raise BakeError(f"{claim} is bound to no volume yet: no pod has ever used it.")
    if word(volume, "spec", "volumeMode") == "Block":
        raise BakeError(f"{claim} has volumeMode Block: there is no filesystem with a model on it.")
    driver, handle = (word(volume, "spec", "csi", key) for key in ("driver", "volumeHandle"))
    match = _HANDLE.fullmatch(handle)
    if driver != PD_CSI or match is None:
        said = handle or "no handle"
        raise BakeError(f"{claim} is no zonal disk of {PD_CSI}, but {driver or 'no CSI'}: {said}")
    if match["project"] != claim.compute.project:
        message = f"{claim} is on a disk of project {match['project']}"
        raise BakeError(f"{message}; the config's project is {claim.compute.project}.")
    return _Place(bound, match["zone"], match["name"])


def _disk(claim: Claim, place: _Place) -> Disk:
    found = claim.compute.disk(place.zone, place.name)
    if found is None:
        raise BakeError(f"{claim} is on disk {place.name} in {place.zone}, which is not there.")
    return found
