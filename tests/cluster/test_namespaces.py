"""Namespaces as platform teams hand them out: policies, quotas, limits, few rights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pylib.kube import Kube
from tests.chart.helmtool import DOWNLOAD, Values
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.gke import STORAGE_CLASS, storage_class
from tests.cluster.bed.wait import until
from tests.cluster.release import (
    NAME,
    POOL,
    SECONDS,
    ZONE_A,
    Helm,
    pods,
    static_claim,
    wait_ready,
    write_values,
)

RESTRICTED = {
    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")
}
CLAIMED: dict[str, Any] = {"weights": {"kind": "claim", "claim": {"claims": {"a": "models"}}}}
KEYED: dict[str, Any] = {"server": {"apiKey": {"secretName": "key", "as": "file"}}}


@pytest.fixture
def four(bed: Bed, helm: Path) -> Helm:
    """Helm 4, and a node of the cell."""
    bed.add_node("gpu-1", zone=ZONE_A, pool=POOL)
    return Helm(helm, bed)


def put(kube: Kube, kind: str, namespace: str, spec: Mapping[str, Any]) -> None:
    """An object of the core API in the namespace, called as its kind."""
    meta = {"name": kind.lower(), "namespace": namespace}
    kube.create({"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": spec})


def refusals(kube: Kube, namespace: str) -> list[str]:
    """Why pods were not even created, as the events say it."""
    return [
        event["message"]
        for event in kube.list("v1", "Event", namespace)
        if event["reason"] == "FailedCreate"
    ]


def wait_refused(kube: Kube, namespace: str) -> str:
    """The first such event."""
    return until(lambda: refusals(kube, namespace), SECONDS, "a pod is refused")[0]


WEIGHTS: dict[str, Values] = {
    "disk": KEYED,
    "claim": CLAIMED,
    "none": {"weights": {"kind": "none", "none": {"repository": "o/n", "sizeGiB": 1}}},
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_restricted_namespaces_take_the_serving_pods_without_a_warning(
    four: Helm, bed: Bed, kube: Kube, namespace: str, tmp_path: Path, kind: str
) -> None:
    kube.patch("v1", "Namespace", namespace, None, {"metadata": {"labels": RESTRICTED}})
    bed.add_node("cpu", zone=ZONE_A, pool="default", gpus=0)
    if kind == "claim":
        static_claim(kube, namespace, "models", ZONE_A, mode="ReadOnlyMany")
    done = four.install(NAME, namespace, write_values(tmp_path, WEIGHTS[kind]))
    assert done.stderr == ""
    wait_ready(kube, namespace)
    tested = four.test(NAME, namespace)
    assert tested.stderr == ""
    assert "Succeeded" in tested.stdout


def test_restricted_namespaces_take_the_download_without_a_warning(
    four: Helm, bed: Bed, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    kube.patch("v1", "Namespace", namespace, None, {"metadata": {"labels": RESTRICTED}})
    bed.add_node("cpu", zone=ZONE_A, pool="default", gpus=0)
    done = four.install(NAME, namespace, write_values(tmp_path, base=DOWNLOAD))
    assert done.stderr == ""
    until(lambda: pods(kube, namespace, component="download"), SECONDS, "the Job has its pod")


def test_the_warning_would_be_seen(four: Helm, kube: Kube, namespace: str, tmp_path: Path) -> None:
    labels = {"pod-security.kubernetes.io/warn": "restricted"}
    kube.patch("v1", "Namespace", namespace, None, {"metadata": {"labels": labels}})
    volumes = {"extraVolumes": [{"name": "host", "hostPath": {"path": "/"}}]}
    done = four.install(NAME, namespace, write_values(tmp_path, volumes))
    assert "would violate PodSecurity" in done.stderr


QUOTA = {
    "requests.nvidia.com/gpu": "1",
    "requests.cpu": "4",
    "limits.cpu": "8",
    "requests.memory": "8Gi",
    "limits.memory": "8Gi",
    "requests.ephemeral-storage": "20Gi",
    "limits.ephemeral-storage": "20Gi",
    "persistentvolumeclaims": "1",
    "pods": "3",
}
CPU_LIMIT: dict[str, Any] = {"resources": {"limits": {"cpu": "2"}}}


def test_a_quota_with_room_for_every_container_takes_the_release_and_its_test(
    four: Helm, bed: Bed, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    # Without their CPU limits: 'must specify limits.cpu for: check-weights', and no value for it.
    put(kube, "ResourceQuota", namespace, {"hard": QUOTA})
    bed.add_node("cpu", zone=ZONE_A, pool="default", gpus=0)
    four.install(NAME, namespace, write_values(tmp_path, CPU_LIMIT))
    wait_ready(kube, namespace)
    assert "Succeeded" in four.test(NAME, namespace).stdout


SHORT: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "gpus": (
        {"requests.nvidia.com/gpu": "1"},
        {"gpusPerPod": 2},
        "exceeded quota: resourcequota, requested: requests.nvidia.com/gpu=2, "
        "used: requests.nvidia.com/gpu=0, limited: requests.nvidia.com/gpu=1",
    ),
    "no CPU limit": (
        {"limits.cpu": "8"},
        {},
        "failed quota: resourcequota: must specify limits.cpu for: vllm",
    ),
    "memory": (
        {"limits.memory": "1Gi"},
        {},
        "exceeded quota: resourcequota, requested: limits.memory=4Gi, "
        "used: limits.memory=0, limited: limits.memory=1Gi",
    ),
}


@pytest.mark.parametrize("what", SHORT)
def test_a_quota_that_is_too_small_says_so_in_the_replica_sets_events(
    four: Helm, kube: Kube, namespace: str, tmp_path: Path, what: str
) -> None:
    hard, over, words = SHORT[what]
    put(kube, "ResourceQuota", namespace, {"hard": hard})
    four.install(NAME, namespace, write_values(tmp_path, over))
    assert wait_refused(kube, namespace).endswith(words)


def test_a_quota_on_claims_stops_helm_with_its_words(
    four: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    put(kube, "ResourceQuota", namespace, {"hard": {"requests.storage": "500Gi"}})
    text = four.refusal("install", NAME, namespace, write_values(tmp_path))
    assert (
        'persistentvolumeclaims "v-a-3f2a9c01b7de" is forbidden: exceeded quota: resourcequota, '
        "requested: requests.storage=1Ti, used: requests.storage=0, limited: "
        "requests.storage=500Gi"
    ) in text


def limits(**what: Mapping[str, str]) -> dict[str, Any]:
    """A LimitRange's spec for containers."""
    return {"limits": [{"type": "Container", **what}]}


def test_limit_range_defaults_do_not_shrink_the_server_which_says_its_own(
    four: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    small = {"cpu": "3", "memory": "64Mi", "ephemeral-storage": "1Gi"}
    spec = limits(default=small, defaultRequest={**small, "cpu": "100m"})
    put(kube, "LimitRange", namespace, spec)
    four.install(NAME, namespace, write_values(tmp_path))
    wait_ready(kube, namespace)
    server = pods(kube, namespace)[0]["spec"]["containers"][0]["resources"]
    assert server["limits"]["memory"] == "4Gi"
    assert server["limits"]["ephemeral-storage"] == "10Gi"
    assert server["limits"]["cpu"] == "3", "the one that it leaves open"


RANGES: dict[str, tuple[dict[str, Any], str]] = {
    "most": (
        limits(max={"memory": "1Gi"}),
        "maximum memory usage per Container is 1Gi, but limit is 4Gi",
    ),
    "default CPU limit below the request": (
        limits(default={"cpu": "500m"}),
        'spec.containers[0].resources.requests: Invalid value: "1": must be less than or equal '
        "to cpu limit of 500m",
    ),
}


@pytest.mark.parametrize("what", RANGES)
def test_a_limit_range_that_the_server_breaks_says_so_in_the_replica_sets_events(
    four: Helm, kube: Kube, namespace: str, tmp_path: Path, what: str
) -> None:
    spec, words = RANGES[what]
    put(kube, "LimitRange", namespace, spec)
    four.install(NAME, namespace, write_values(tmp_path))
    assert words in wait_refused(kube, namespace)


@pytest.fixture
def no_class(kube: Kube) -> Any:
    """No StorageClass at all, hence no default one; the class comes back afterwards."""
    kube.delete("storage.k8s.io/v1", "StorageClass", STORAGE_CLASS)
    yield
    kube.apply(storage_class(), force=True)


def claim_events(kube: Kube, namespace: str) -> list[str]:
    """What the volume controllers say of claims."""
    return [
        event["message"]
        for event in kube.list("v1", "Event", namespace)
        if event["involvedObject"]["kind"] == "PersistentVolumeClaim"
    ]


def test_serving_needs_no_storage_class_and_a_download_names_the_one_it_misses(
    four: Helm, bed: Bed, kube: Kube, no_class: None, namespace: str, tmp_path: Path
) -> None:
    bed.add_node("cpu", zone=ZONE_A, pool="default", gpus=0)
    four.install(NAME, namespace, write_values(tmp_path))
    wait_ready(kube, namespace)
    four.install("d", namespace, write_values(tmp_path, base=DOWNLOAD))
    until(
        lambda: (
            'storageclass.storage.k8s.io "standard-rwo" not found' in claim_events(kube, namespace)
        ),
        SECONDS,
        "the claim says what it misses",
        show=lambda: claim_events(kube, namespace),
    )
