"""Reads the evidence: one snapshot, then each pod, its VM and its logs, then what was baked.

What cannot be read stands in its place with the reason; only a cluster that cannot be reached at
all is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from pylib.accept.baked import link_of
from pylib.accept.found import Vm, node_of, ready_pods, vm_of, weights_of
from pylib.accept.image import log_filter
from pylib.accept.inside import look
from pylib.accept.model import Evidence, Read
from pylib.cloud.api import Compute
from pylib.cloud.logs import Logs
from pylib.cloud.records import Disk, Image, Instance
from pylib.config.model import Config
from pylib.errors import CloudError, KubeError
from pylib.kube import Kube
from pylib.lock import Lock, LockedImage
from pylib.snapshot import cluster_reads
from pylib.snapshot.bodies import Body, name_of
from pylib.snapshot.model import Snapshot
from pylib.snapshot.reading import take as take_snapshot

T = TypeVar("T")

LOG_LINES = 200
"""Messages of GKE's snapshotter read of one node."""


class Google(Compute, Logs, Protocol):
    """What acceptance reads of Google Cloud."""


def take(
    kube: Kube,
    cloud: Read[Google],
    config: Config,
    lock: Lock,
    *,
    namespace: str,
    timeout: float,
    config_file: str = "config.yaml",
) -> Evidence:
    """All that is judged; ``timeout`` is for each completion, in seconds."""
    snapshot = take_snapshot(kube, config.release.name, namespace)
    pods = list(ready_pods(snapshot))
    nodes = {node: vm_of(snapshot, node) for node in dict.fromkeys(map(node_of, pods))}
    return Evidence(
        snapshot=snapshot,
        config=config,
        lock=lock,
        config_file=config_file,
        inside={name_of(pod): look(kube, snapshot, pod, timeout) for pod in pods},
        vms={node: _vm(cloud, vm) for node, vm in nodes.items()},
        snapshotter={node: _messages(cloud, snapshot, node) for node in nodes},
        attachments=_attachments(kube, snapshot, pods),
        images={link_of(image): _image(cloud, image) for image in _images(lock)},
        disks=_disks(cloud, lock),
    )


def _asked(cloud: Read[Google], ask: Callable[[Google], T | None]) -> Read[T]:
    if cloud.found is None:
        return Read(None, cloud.why_not)
    try:
        return Read(ask(cloud.found))
    except CloudError as error:
        return Read(None, str(error).partition("\n")[0])


def _vm(cloud: Read[Google], vm: Vm | None) -> Read[Instance]:
    if vm is None:
        return Read(None, "the node does not say which VM of Compute Engine it is")
    if cloud.found is not None and vm.project != cloud.found.project:
        return Read(None, f"the node is a VM of project {vm.project}")
    return _asked(cloud, lambda google: google.instance(vm.zone, vm.name))


def _messages(cloud: Read[Google], snapshot: Snapshot, node: str) -> Read[tuple[str, ...]]:
    return _asked(
        cloud, lambda google: google.logged(log_filter(snapshot, google.project, node), LOG_LINES)
    )


def _attachments(
    kube: Kube, snapshot: Snapshot, pods: list[Body]
) -> dict[tuple[str, str], Read[Body]]:
    found: dict[tuple[str, str], Read[Body]] = {}
    for pod in pods:
        weights, node = weights_of(snapshot, pod), node_of(pod)
        if weights and weights.disk and (node, weights.volume) not in found:
            name = cluster_reads.attachment_name(weights.body, node)
            found[node, weights.volume] = _attachment(kube, name)
    return found


def _attachment(kube: Kube, name: str) -> Read[Body]:
    try:
        return Read(kube.get("storage.k8s.io/v1", "VolumeAttachment", name))
    except KubeError as error:
        return Read(None, str(error))


def _images(lock: Lock) -> list[LockedImage]:
    revisions = lock.weights.revisions if lock.weights else ()
    current = [it.image for it in revisions if lock.weights and it.name == lock.weights.current]
    return [image for image in (lock.imageCache, *current) if image is not None]


def _image(cloud: Read[Google], image: LockedImage) -> Read[Image]:
    return _asked(cloud, lambda google: google.image(image.project, image.name))


def _disks(cloud: Read[Google], lock: Lock) -> dict[tuple[str, str], Read[Disk]]:
    found: dict[tuple[str, str], Read[Disk]] = {}
    for revision in lock.weights.revisions if lock.weights else ():
        if lock.weights and revision.name == lock.weights.current:
            for disk in revision.disks.values():
                zone, name = disk.zone, disk.name
                found[zone, name] = _disk(cloud, zone, name)
    return found


def _disk(cloud: Read[Google], zone: str, name: str) -> Read[Disk]:
    return _asked(cloud, lambda google: google.disk(zone, name))
