"""What a node of the agent is: its addresses, its heartbeat, and what is simulated on it."""

from __future__ import annotations

import asyncio
import datetime
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylib.errors import KubeError
from pylib.facts.gke import SECONDARY_BOOT_DISK_LABEL
from pylib.kube import Body, Kube
from tests.cluster.bed.agent_events import Recorder, now
from tests.cluster.bed.agent_logs import ADDRESS

_LOCK_PORT = 10250
_RESET_SECONDS = 600.0
_HEARTBEAT_SECONDS = 10.0
_LEASE_SECONDS = 40
_ATTACHES = "volumes.kubernetes.io/controller-managed-attach-detach"


@dataclass
class Play:
    """What is simulated, in seconds; a test may change it, and later containers follow.

    ``load`` is what vLLM takes to load, ``token`` to make one token, ``pull`` the pull of an image
    that the node has not; ``back_off`` and ``most_back_off`` are the kubelet's own.  What images
    set is ``environment``; ``files`` are texts that commands of an exec find at their paths, for
    what a kernel would say of mounts and devices that are not there.
    """

    load: float = 0.5
    token: float = 0.01
    pull: float = 0.5
    back_off: float = 10.0
    most_back_off: float = 300.0
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


class Network:
    """256 loopback addresses that this process holds: a node's, and those of its pods.

    The API server refuses loopback addresses in EndpointSlices, so that a pod at 127.x.y.z is
    told, and tells, that it is at 10.x.y.z; clients map the first number back.
    """

    def __init__(self) -> None:
        while True:
            self._prefix = f"{16 + secrets.randbelow(239)}.{secrets.randbelow(256)}"
            self._lock = socket.socket()
            try:
                self._lock.bind((f"127.{self._prefix}.1", _LOCK_PORT))
            except OSError:
                self._lock.close()  # another test process has these addresses
            else:
                break
        self._next = 1

    def address(self) -> tuple[str, str]:
        """A pod's address: where it listens, and what it is told."""
        self._next = self._next % 253 + 1
        rest = f"{self._prefix}.{self._next + 1}"
        return f"127.{rest}", f"10.{rest}"

    def close(self) -> None:
        """Let others have the addresses."""
        self._lock.close()


def cached_image(body: Body) -> bool:
    """Whether a node has a secondary boot disk with images."""
    return any(label.startswith(SECONDARY_BOOT_DISK_LABEL) for label in body["metadata"]["labels"])


@dataclass
class Node:
    """One node: its name, what its pods share, and the addresses that it gives out."""

    name: str
    kube: Kube
    recorder: Recorder
    play: Play
    folder: Path
    programs: Path
    disks: Mapping[str, Path]
    network: Network
    port: int
    has_image_cache: bool = False
    images: set[str] = field(default_factory=set)

    async def beat(self) -> None:
        """Report the node ready, and renew its lease, for ever."""
        await asyncio.to_thread(self._report)
        while True:
            try:
                await asyncio.to_thread(self._renew)
            except KubeError:
                await asyncio.sleep(1)
            else:
                await asyncio.sleep(_HEARTBEAT_SECONDS)

    def _report(self) -> None:
        # Kubernetes' controller then attaches volumes to it.
        annotated = {"metadata": {"annotations": {_ATTACHES: "true"}}}
        self.kube.patch("v1", "Node", self.name, None, annotated)
        status = {
            "conditions": _conditions(),
            "addresses": [
                {"type": "InternalIP", "address": ADDRESS},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            "nodeInfo": _info(),
        }
        self.kube.patch(
            "v1", "Node", self.name, None, {"status": status}, subresource="status", how="strategic"
        )

    def _renew(self) -> None:
        time = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        lease: Body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": "kube-node-lease"},
            "spec": {
                "holderIdentity": self.name,
                "leaseDurationSeconds": _LEASE_SECONDS,
                "renewTime": time,
            },
        }
        self.kube.apply(lease, manager="kubelet", force=True)


@dataclass
class BackOff:
    """How long a container that ended waits: at once the first time, then ever longer."""

    first: float
    most: float
    _delay: float = 0.0
    _last: float | None = None

    def next(self, ended: float) -> float:
        """Seconds from ``ended`` until it may start again; times as of :func:`time.monotonic`."""
        if self._last is not None and ended - self._last > _RESET_SECONDS:
            self._delay = 0.0
        self._last = ended
        wait = self._delay
        self._delay = min(2 * self._delay, self.most) if self._delay else self.first
        return wait


def _conditions() -> list[dict[str, Any]]:
    time = now()
    pressures = {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID"),
        "Ready": ("True", "KubeletReady"),
    }
    return [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "lastHeartbeatTime": time,
            "lastTransitionTime": time,
        }
        for kind, (status, reason) in pressures.items()
    ]


def _info() -> dict[str, str]:
    """Versions that the API server wants to see; the node is no machine."""
    said = dict.fromkeys(
        ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage"), "simulated"
    )
    return said | {
        "containerRuntimeVersion": "containerd://2.1.0",
        "kubeletVersion": "v1.36.3",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }
