"""The weights disk: on the node, and READ_ONLY, by Compute Engine's word and Kubernetes'.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.accept.found import node_of, vm_of, weights_of
from pylib.accept.model import Check, Evidence, State
from pylib.cloud.records import Attached
from pylib.config.model import Claim
from pylib.snapshot.bodies import Body, dig, name_of

ATTACHED = "weights disk attached READ_ONLY"


def checks(evidence: Evidence, pod: Body) -> Iterator[Check]:
    """The disk of one pod's weights; nothing for weights that are on no claim."""
    weights = weights_of(evidence.snapshot, pod)
    if weights is None:
        return
    node = node_of(pod)
    about = f"Pod/{name_of(pod)}"
    if weights.body is None:
        why = "its PersistentVolume was not read"
        yield Check(ATTACHED, about, State.UNCHECKED, why=why, next=evidence.kubectl("get pvc,pv"))
        return
    disk = weights.disk
    if isinstance(evidence.config.weights, Claim) and not (disk and weights.is_shared):
        return  # somebody else's volume, which does not say that it is shared
    if disk is None:
        why = "its volume is no disk of the PD CSI driver"
        command = evidence.kubectl(f"get pv {weights.volume} -o yaml")
        yield Check(ATTACHED, about, State.UNCHECKED, why=why, next=command)
        return
    about = f"disk {disk['disk']} on node {node}"
    yield _attached(evidence, about, node, weights.volume, disk["disk"])


def _attached(evidence: Evidence, about: str, node: str, volume: str, disk: str) -> Check:
    """Compute Engine's word decides; Kubernetes' stands beside it."""
    said, doubt = _kubernetes(evidence, node, volume)
    command = _describe(evidence, node)
    read = evidence.vms.get(node)
    if read is None or read.why_not or read.found is None:
        why = read.why_not if read and read.why_not else f"Compute Engine knows no VM {node}"
        return Check(ATTACHED, about, State.UNCHECKED, said, why, command)
    found = next((it for it in read.found.disks if it.disk == disk), None)
    seen = ", ".join(filter(None, [_words(found), said]))
    if found is None:
        why = f"VM {read.found.name} does not have the disk that its pod mounts"
    elif not found.read_only:
        why = "so no other node can attach it: its PersistentVolume was without csi.readOnly then"
    else:
        why = doubt
    if not why:
        return Check(ATTACHED, about, State.PASSED, seen)
    return Check(ATTACHED, about, State.FAILED, seen, why, command)


def _words(found: Attached | None) -> str:
    if found is None:
        return "not attached"
    return f"attached {'READ_ONLY' if found.read_only else 'READ_WRITE'}"


def _kubernetes(evidence: Evidence, node: str, volume: str) -> tuple[str, str]:
    """What the VolumeAttachment says, and what is wrong with that."""
    read = evidence.attachments.get((node, volume))
    if read is None or read.why_not:
        return "VolumeAttachment not read", ""
    if read.found is None:
        return "no VolumeAttachment", "Kubernetes has no attachment of the volume to the node"
    name = f"VolumeAttachment/{name_of(read.found)[:12]}…"
    if dig(read.found, "status", "attached") is True:
        return f"{name} attached", ""
    return f"{name} not attached", "Kubernetes does not call it attached"


def _describe(evidence: Evidence, node: str) -> str:
    vm = vm_of(evidence.snapshot, node)
    name, zone = (vm.name, vm.zone) if vm else (node, "ZONE")
    project = vm.project if vm else evidence.config.project
    return (
        f"gcloud compute instances describe {name} --project={project} --zone={zone} "
        "--format='table(disks[].source.basename(),disks[].mode)'"
    )
