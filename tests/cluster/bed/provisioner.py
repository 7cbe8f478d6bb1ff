"""The external provisioner of PD CSI, as far as claims see it: a volume with a disk's handle.

Simulated: no disk is made, unless a test sets ``make_disk``.  Followed: it acts when the scheduler
has chosen a node (WaitForFirstConsumer), the volume is of that node's zone, and Delete removes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pylib.errors import KubeError
from pylib.facts import gke
from pylib.kube import Body, Kube
from tests.cluster.bed.gke import PROJECT

_NODE = "volume.kubernetes.io/selected-node"
_BY = "volume.kubernetes.io/storage-provisioner"

MakeDisk = Callable[[str, str, int], None]
"""Makes the disk of a volume: its zone, its name, GiB; asked again it makes no other."""


def no_disk(zone: str, name: str, gib: int) -> None:
    """Volumes name disks that are not there."""


class Provisioner:
    """A thread that watches claims and volumes until it is closed."""

    def __init__(self, kube: Kube) -> None:
        self.make_disk: MakeDisk = no_disk
        self._kube = kube
        self._ends = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=("PersistentVolumeClaim", self._claim)),
            threading.Thread(target=self._follow, args=("PersistentVolume", self._volume)),
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def close(self) -> None:
        """Let it end; it may take as long as one watch, so nobody waits."""
        self._ends.set()

    def _follow(self, kind: str, act: Any) -> None:
        while not self._ends.is_set():
            try:
                for event, body in self._kube.watch("v1", kind, seconds=30):
                    if event != "DELETED" and not self._ends.is_set():
                        act(body)
            except KubeError:
                self._ends.wait(0.5)

    def _claim(self, claim: Body) -> None:
        meta, spec = claim["metadata"], claim["spec"]
        notes = meta.get("annotations", {})
        if notes.get(_BY) != gke.PD_CSI or spec.get("volumeName") or _NODE not in notes:
            return
        node = self._kube.get("v1", "Node", notes[_NODE])
        if node is None:
            return
        zone = node["metadata"]["labels"][gke.PD_CSI_ZONE]
        volume = _volume_for(claim, zone)
        gib = int(volume["spec"]["capacity"]["storage"].removesuffix("Gi"))
        self.make_disk(zone, volume["metadata"]["name"], gib)
        try:
            self._kube.create(volume)
        except KubeError as error:
            if error.reason != "AlreadyExists":
                raise

    def _volume(self, volume: Body) -> None:
        notes = volume["metadata"].get("annotations", {})
        released = volume.get("status", {}).get("phase") == "Released"
        policy = volume["spec"]["persistentVolumeReclaimPolicy"]
        if released and policy == "Delete" and "pv.kubernetes.io/provisioned-by" in notes:
            self._kube.delete("v1", "PersistentVolume", volume["metadata"]["name"])


def _volume_for(claim: Body, zone: str) -> Body:
    meta, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{meta['uid']}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {"pv.kubernetes.io/provisioned-by": gke.PD_CSI},
        },
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "storageClassName": spec["storageClassName"],
            "persistentVolumeReclaimPolicy": "Delete",
            "csi": {
                "driver": gke.PD_CSI,
                "volumeHandle": f"projects/{PROJECT}/zones/{zone}/disks/{name}",
                "fsType": "ext4",
            },
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {"key": gke.PD_CSI_ZONE, "operator": "In", "values": [zone]}
                            ]
                        }
                    ]
                }
            },
        },
    }
