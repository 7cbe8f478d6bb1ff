"""What acceptance looks for in a snapshot: cells, their pods, the weights of a pod, its VM."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pylib.diagnose.scene import is_ready, server_of
from pylib.facts import gke
from pylib.names import MODEL_ROOT
from pylib.snapshot.bodies import Body, dig, named, part, parts, word, words
from pylib.snapshot.model import Snapshot

_PROVIDER = re.compile(r"gce://(?P<project>[^/]+)/(?P<zone>[^/]+)/(?P<name>[^/]+)")
"""kubernetes/cloud-provider-gcp providers/gce/gce_util.go: how a GKE node names its VM."""


@dataclass(frozen=True)
class Weights:
    """The volume that a pod has its weights on; ``body`` is ``None`` when it was not read."""

    volume: str
    body: Body | None

    @property
    def disk(self) -> re.Match[str] | None:
        """The Compute Engine disk behind it; ``None`` when the volume is none of PD CSI's."""
        csi = part(self.body, "spec", "csi")
        if word(csi, "driver") != gke.PD_CSI:
            return None
        return gke.VOLUME_HANDLE.fullmatch(word(csi, "volumeHandle"))

    @property
    def is_shared(self) -> bool:
        """Whether its disk should be attached READ_ONLY."""
        return dig(self.body, "spec", "csi", "readOnly") is True


@dataclass(frozen=True)
class Vm:
    """The VM that a node is."""

    project: str
    zone: str
    name: str


def ready_pods(snapshot: Snapshot, cell: str | None = None) -> Iterator[Body]:
    """Serving pods that are ready and that nobody has deleted, of one cell or of all."""
    for pod in snapshot.of("Pod"):
        ending = dig(pod, "metadata", "deletionTimestamp") is not None
        of_cell = cell in (None, words(pod, "metadata", "labels").get("cell"))
        if of_cell and server_of(pod) and is_ready(pod) and not ending:
            yield pod


def node_of(pod: Body) -> str:
    """Name of the node that a pod runs on."""
    return word(pod, "spec", "nodeName")


def weights_of(snapshot: Snapshot, pod: Body) -> Weights | None:
    """Where a pod has its weights; ``None`` when no claim is mounted at their place."""
    mount = named(parts(server_of(pod), "volumeMounts"), MODEL_ROOT, "mountPath")
    volume = named(parts(pod, "spec", "volumes"), word(mount, "name"))
    claim = word(volume, "persistentVolumeClaim", "claimName")
    if not claim:
        return None
    name = word(snapshot.get("PersistentVolumeClaim", claim), "spec", "volumeName")
    return Weights(name, snapshot.get("PersistentVolume", name))


def vm_of(snapshot: Snapshot, node: str) -> Vm | None:
    """The VM of a node; ``None`` when the node is none of Compute Engine's, or was not read."""
    match = _PROVIDER.fullmatch(word(snapshot.get("Node", node), "spec", "providerID"))
    return Vm(**match.groupdict()) if match else None
