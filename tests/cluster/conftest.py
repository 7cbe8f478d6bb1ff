"""Fixtures of the control plane: one per test process, a namespace of its own per test."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylib.errors import KubeError
from pylib.kube import Kube
from tests.cluster.bed.bed import TOOLS, Bed, missing_binaries
from tests.cluster.bed.wait import until
from tests.cluster.installing import Installer, wrapped
from tests.cluster.release import POOL, ZONE_A, Helm


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """The control plane of this test process; it starts when the first test asks for it."""
    if absent := missing_binaries():
        pytest.skip(f"not built: {', '.join(absent)}; run scripts/install-tools cluster")
    with Bed() as one:
        yield one


@pytest.fixture
def kube(bed: Bed) -> Kube:
    """The control plane's API, as its administrator."""
    return bed.kube


@pytest.fixture
def namespace(bed: Bed, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace; it, the volumes of its claims and all nodes of the test go after it."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    name = f"{words[:28].strip('-')}-{os.urandom(2).hex()}"
    bed.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    until(
        lambda: bed.kube.get("v1", "ServiceAccount", "default", name),
        30,
        "the namespace has its service account",
    )
    try:
        yield name
    finally:
        tidy(bed, name)


_MAKERS = (
    "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "/apis/apps/v1/namespaces/{}/deployments",
    "/apis/apps/v1/namespaces/{}/replicasets",
    "/apis/batch/v1/namespaces/{}/jobs",
)


def tidy(bed: Bed, namespace: str) -> None:
    """Take a test's workloads, volumes and nodes away, and set what it changed in kwok back.

    The namespace itself goes by and by: its controller waits five seconds before it begins.
    """
    kube = bed.kube
    bed.stages.reset()
    for path in _MAKERS:
        kube.raw("DELETE", path.format(namespace), {"propagationPolicy": "Background"})
    for pod in kube.list("v1", "Pod", namespace):
        kube.delete("v1", "Pod", pod["metadata"]["name"], namespace, grace_seconds=0)
    kube.delete("v1", "Namespace", namespace)
    for node in kube.list("v1", "Node"):
        bed.remove_node(node["metadata"]["name"])
    for volume in kube.list("v1", "PersistentVolume"):
        if volume["spec"].get("claimRef", {}).get("namespace") == namespace:
            _release(kube, volume["metadata"]["name"])


def _release(kube: Kube, volume: str) -> None:
    """Delete a volume whose claim is going: its protection need not be waited for."""
    kube.delete("v1", "PersistentVolume", volume)
    try:
        kube.patch("v1", "PersistentVolume", volume, None, {"metadata": {"finalizers": None}})
    except KubeError as error:
        if error.reason != "NotFound":
            raise


@pytest.fixture
def helm() -> Path:
    """Helm 4, as the project pins it."""
    return _tool("helm")


@pytest.fixture(params=["helm", "helm3"])
def any_helm(request: pytest.FixtureRequest) -> Path:
    """Helm 4, then the last Helm 3."""
    return _tool(request.param)


def _tool(name: str) -> Path:
    path = TOOLS / name
    if not path.exists():
        pytest.skip(f"{name} is not installed; run scripts/install-tools {name}")
    return path


@pytest.fixture
def nodes(bed: Bed, namespace: str) -> None:
    """Two GPU nodes of cell ``a``, gone with the namespace."""
    for name in ("gpu-1", "gpu-2"):
        bed.add_node(name, zone=ZONE_A, pool=POOL)


@pytest.fixture
def each(bed: Bed, any_helm: Path, nodes: None) -> Helm:
    """Each helm, on those nodes."""
    return Helm(any_helm, bed)


@pytest.fixture
def four(bed: Bed, helm: Path, nodes: None) -> Helm:
    """Helm 4, which applies on the server, on those nodes."""
    return Helm(helm, bed)


@pytest.fixture
def install(bed: Bed, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    """Helm 4, unless the test says another."""
    monkeypatch.setenv("VFS_HELM", str(TOOLS / "helm"))
    return Installer(bed, namespace, tmp_path)


@pytest.fixture
def slow_helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A helm that, at an upgrade, waits in the middle until the file ``go`` is there, once."""
    return wrapped(
        tmp_path,
        monkeypatch,
        """
        touch "$folder/began"
        while [ ! -e "$folder/go" ]; do sleep 0.05; done
        """,
    )
