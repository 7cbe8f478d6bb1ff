"""A published image as Kubernetes' snapshot objects, so that claims can be made from it.

The driver takes an image where it takes a snapshot: kubernetes-sigs/
gcp-compute-persistent-disk-csi-driver pkg/common/utils.go, ``projects/P/global/images/N``.
"""

from __future__ import annotations

from typing import Any

from pylib.cloud.records import Image
from pylib.facts.gke import PD_CSI
from pylib.names import MAX_NAME
from pylib.yamlio import dump

_API = "snapshot.storage.k8s.io/v1"


def volume_snapshot(image: Image, namespace: str) -> str:
    """YAML of a VolumeSnapshotContent, which keeps the image when it is deleted, and of the
    VolumeSnapshot in ``namespace`` that claims name as their source."""
    name = image.name[: MAX_NAME - len("-vsc")].rstrip("-")
    content: dict[str, Any] = {
        "apiVersion": _API,
        "kind": "VolumeSnapshotContent",
        "metadata": {"name": f"{name}-vsc"},
        "spec": {
            "deletionPolicy": "Retain",
            "driver": PD_CSI,
            "source": {"snapshotHandle": image.link},
            "volumeSnapshotRef": {"name": f"{name}-vs", "namespace": namespace},
        },
    }
    snapshot: dict[str, Any] = {
        "apiVersion": _API,
        "kind": "VolumeSnapshot",
        "metadata": {"name": f"{name}-vs", "namespace": namespace},
        "spec": {"source": {"volumeSnapshotContentName": f"{name}-vsc"}},
    }
    return "---\n".join(dump(item) for item in (content, snapshot))
