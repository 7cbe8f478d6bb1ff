"""The external attacher of PD CSI: says of each VolumeAttachment whether its disk is attached.

Real: Kubernetes' attach/detach controller makes and deletes the attachments, and writes the events
of a failure.  Simulated: Compute Engine, which is a table of disks unless there is a ``cloud``; an
attachment has no finalizer, so it goes before its disk does.  Followed: an unknown disk is not
found, and a disk that one node has attached READ_WRITE no other node gets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from pylib.errors import KubeError
from pylib.facts.gke import PD_CSI
from pylib.kube import Body, Kube
from tests.cluster.bed.agent_events import now
from tests.cluster.bed.reflect import Reflector

_API = "storage.k8s.io/v1"
_RETRY_SECONDS = 1.0


class Cloud(Protocol):
    """Where disks, by volume handle, are real ones."""

    def attach(self, handle: str, node: str) -> None:
        """Have the disk mounted at its folder; nothing to do when it is."""

    def detach(self, handle: str, node: str) -> None:
        """Take the disk from the node."""


class Attacher:
    """Answers for the nodes of which ``plays`` is true; ``disks`` are known by volume handle."""

    def __init__(
        self,
        kube: Kube,
        disks: Mapping[str, Path],
        plays: Callable[[str], bool],
        cloud: Cloud | None = None,
    ) -> None:
        self._kube = kube
        self._disks = disks
        self._plays = plays
        self._cloud = cloud
        self._held: dict[str, tuple[str, str, bool]] = {}
        self._failed: dict[str, Body] = {}
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self._reflector = Reflector(kube, _API, "VolumeAttachment", self._changed)
        threading.Thread(target=self._try_again, name="attacher", daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._ends.set()
        self._reflector.close()

    def _changed(self, uid: str, body: Body | None) -> None:
        with self._lock:
            if body is None:
                self._failed.pop(uid, None)
                if (held := self._held.pop(uid, None)) and self._cloud:
                    self._cloud.detach(held[0], held[1])
            elif uid not in self._held and uid not in self._failed and self._is_ours(body):
                self._attach(uid, body)

    def _is_ours(self, body: Body) -> bool:
        return body["spec"]["attacher"] == PD_CSI and self._plays(body["spec"]["nodeName"])

    def _try_again(self) -> None:
        while not self._ends.wait(_RETRY_SECONDS):
            with self._lock:
                for uid, body in list(self._failed.items()):
                    self._attach(uid, body)

    def _attach(self, uid: str, body: Body) -> None:
        """Attach, or say why not; what fails is tried again, as the real attacher does."""
        name, node = body["metadata"]["name"], body["spec"]["nodeName"]
        try:
            volume = self._kube.get("v1", "PersistentVolume", _volume(body))
            if volume is None:
                return
            handle = volume["spec"]["csi"]["volumeHandle"]
            read_only = volume["spec"]["csi"].get("readOnly", False)
            status: dict[str, Any] = {"attached": True, "attachError": None}
            if problem := self._problem(handle, node, read_only=read_only):
                self._failed[uid] = body
                status = {"attached": False, "attachError": {"time": now(), "message": problem}}
            else:
                self._failed.pop(uid, None)
                self._held[uid] = (handle, node, read_only)
                if self._cloud:
                    self._cloud.attach(handle, node)
            self._kube.patch(
                _API, body["kind"], name, None, {"status": status}, subresource="status"
            )
        except KubeError:
            self._failed[uid] = body

    def _problem(self, handle: str, node: str, *, read_only: bool) -> str:
        """Why Compute Engine would refuse; the driver's words around it."""
        if handle not in self._disks:
            missing = f"googleapi: Error 404: The resource '{handle}' was not found, notFound"
            return f"rpc error: code = NotFound desc = Could not find disk {handle}: {missing}"
        for other, where, shared in self._held.values():
            if other == handle and where != node and not (shared and read_only):
                return (
                    "rpc error: code = Internal desc = Failed to Attach: failed when waiting for "
                    "zonal op: RESOURCE_IN_USE_BY_ANOTHER_RESOURCE - The disk resource "
                    f"'{handle}' is already being used by '{where}'"
                )
        return ""


def _volume(body: Body) -> str:
    return str(body["spec"]["source"]["persistentVolumeName"])
