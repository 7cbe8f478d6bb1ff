"""Registers an adapter on loopback with a control plane, as its production manifests do in GKE.

Followed: GoogleCloudPlatform/k8s-stackdriver@673c7dd custom-metrics-stackdriver-adapter/deploy/
production/adapter_new_resource_model.yaml (names, priorities, insecureSkipTLSVerify).  Differs: the
Service is of type ExternalName, for the API server finds a loopback address in no other way, and
there is no external metrics API.  The autoscaler's right to read custom metrics is the API server's
own default (role system:controller:horizontal-pod-autoscaler).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pylib.kube import Body, Kube
from tests.cluster.bed.adapter import KubePods, StandIn
from tests.cluster.bed.adapter_objects import GROUP
from tests.cluster.bed.adapter_rules import Cluster
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.certificates import Authority
from tests.cluster.bed.monitoring import FakeMonitoring
from tests.cluster.bed.real_adapter import RealAdapter
from tests.cluster.bed.wait import until

NAMESPACE = "custom-metrics"
SERVICE = "custom-metrics-stackdriver-adapter"

_PRIORITIES = {"v1beta1": 100, "v1beta2": 200}
_API = "apiregistration.k8s.io/v1"
_SECONDS = 30.0


class Adapter(Protocol):
    """The stand-in or the real one."""

    @property
    def port(self) -> int: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


def objects(port: int) -> list[Body]:
    """What makes the API server pass custom.metrics.k8s.io on to a port of loopback."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {
                "type": "ExternalName",
                "externalName": "localhost",
                "ports": [{"port": port, "protocol": "TCP"}],
            },
        },
        *(_registration(version, port) for version in _PRIORITIES),
    ]


def _registration(version: str, port: int) -> Body:
    return {
        "apiVersion": _API,
        "kind": "APIService",
        "metadata": {"name": f"{version}.{GROUP}"},
        "spec": {
            "insecureSkipTLSVerify": True,
            "group": GROUP,
            "groupPriorityMinimum": 100,
            "versionPriority": _PRIORITIES[version],
            "service": {"name": SERVICE, "namespace": NAMESPACE, "port": port},
            "version": version,
        },
    }


def register(kube: Kube, port: int) -> None:
    """Make the API server pass the group on; it has found the adapter when this returns."""
    for body in objects(port):
        kube.apply(body)
    wait_until_available(kube)


def unregister(kube: Kube) -> None:
    """Take the group out of the API."""
    for version in _PRIORITIES:
        kube.delete(_API, "APIService", f"{version}.{GROUP}")
    kube.delete("v1", "Service", SERVICE, NAMESPACE)


def wait_until_available(kube: Kube, *, available: bool = True) -> None:
    """Until the API server has noticed that the adapter is there, or is not."""
    wanted = "True" if available else "False"

    def noticed() -> bool:
        found = [kube.get(_API, "APIService", f"{one}.{GROUP}") for one in _PRIORITIES]
        return all(body is not None and _availability(body) == wanted for body in found)

    until(noticed, _SECONDS, f"the adapter's APIServices have Available={wanted}")


def _availability(registered: Body) -> str:
    conditions = registered.get("status", {}).get("conditions", [])
    return next((one["status"] for one in conditions if one["type"] == "Available"), "")


@contextmanager
def registered(bed: Bed, monitoring: FakeMonitoring, binary: str = "") -> Iterator[Adapter]:
    """An adapter that serves ``bed`` from ``monitoring``; the real one where ``binary`` says so.

    The API is gone after: one that does not answer would keep namespaces from going.
    """
    cluster = Cluster(monitoring.project, monitoring.location, monitoring.cluster)
    authority = Authority.create(bed.folder / "adapter", "adapter-ca")
    certificate = authority.issue(SERVICE, hosts=["localhost", "127.0.0.1"])
    adapter: Adapter
    if binary:
        folder = bed.folder / "adapter"
        adapter = RealAdapter(
            Path(binary),
            folder,
            bed.kubeconfig,
            monitoring.url,
            cluster,
            certificate,
            authority.certificate,
        )
    else:
        pods = KubePods(Kube.connect(bed.kubeconfig))
        adapter = StandIn(pods, monitoring.url, cluster, certificate, bed.front_proxy_ca)
    adapter.start()
    try:
        register(bed.kube, adapter.port)
        yield adapter
    finally:
        unregister(bed.kube)
        adapter.stop()
