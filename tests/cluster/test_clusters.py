"""Clusters that lack something: kinds, a version, rights.  Helm says what, before it acts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pylib.kube import Kube
from tests.chart.helmtool import CHART, merged
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.gke import definitions
from tests.cluster.bed.loopback import Answer, Loopback, Request, answer
from tests.cluster.bed.wait import until
from tests.cluster.release import (
    NAME,
    POOL,
    SECONDS,
    ZONE_A,
    Helm,
    static_claim,
    wait_ready,
    write_values,
)

KEDA = {"source": "keda", "keda": {"serverAddress": "http://prometheus:9090"}}
UNKNOWN: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "monitoring.googleapis.com/v1/PodMonitoring": (
        "monitoring.podMonitoring.enabled",
        {},
        "Google Managed Prometheus "
        "(gcloud container clusters update CLUSTER --enable-managed-prometheus).\n"
        "Please install that first, or set:\n"
        "monitoring:\n  podMonitoring:\n    enabled: false",
    ),
    "monitoring.googleapis.com/v1/Rules": (
        "monitoring.rules.enabled",
        {"monitoring": {"rules": {"enabled": True}}},
        "Google Managed Prometheus "
        "(gcloud container clusters update CLUSTER --enable-managed-prometheus).\n"
        "Please install that first, or set:\n"
        "monitoring:\n  rules:\n    enabled: false",
    ),
    "autoscaling.gke.io/v1beta1/AutoscalingMetric": (
        'autoscaling.source "gke"',
        {"autoscaling": {"enabled": True, "source": "gke"}},
        "GKE 1.35.1 or newer with the performance HPA profile.\n"
        "Please install that first, or set:\n"
        "autoscaling:\n  source: stackdriver",
    ),
    "keda.sh/v1alpha1/ScaledObject": (
        'autoscaling.source "keda"',
        {"autoscaling": {"enabled": True, **KEDA}},
        "KEDA.\nPlease install that first, or set:\nautoscaling:\n  source: stackdriver",
    ),
}
"""Kinds of others: the value that asks for one, the values to try, and where it comes from."""

WITHOUT: dict[str, Any] = {"monitoring": {"podMonitoring": {"enabled": False}}}


@pytest.fixture
def bare(bed: Bed, kube: Kube) -> Iterator[None]:
    """No custom resources of GKE or KEDA; they come back afterwards."""
    kinds = [which.rsplit("/", 1) for which in UNKNOWN]
    found = [d for d in definitions() if [_version(d), d["spec"]["names"]["kind"]] in kinds]
    for definition in found:
        name = definition["metadata"]["name"]
        kube.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
    until(lambda: not any(_lists(kube, which) for which in UNKNOWN), SECONDS, "the kinds are gone")
    yield
    for definition in found:
        kube.apply(definition, force=True)
    until(lambda: all(_lists(kube, which) for which in UNKNOWN), SECONDS, "the kinds are back")


def _version(definition: Mapping[str, Any]) -> str:
    return f"{definition['spec']['group']}/{definition['spec']['versions'][0]['name']}"


def _lists(kube: Kube, which: str) -> bool:
    """Whether discovery, which Helm asks, has the kind."""
    version, kind = which.rsplit("/", 1)
    group = version.partition("/")[0]
    groups = kube.raw("GET", "/apis")["groups"]
    if group not in {one["name"] for one in groups}:
        return False
    return kind in {one["kind"] for one in kube.raw("GET", f"/apis/{version}")["resources"]}


def test_a_kind_that_the_cluster_does_not_know_is_refused_with_the_value_to_set(
    bed: Bed, kube: Kube, bare: None, helm: Path, namespace: str, tmp_path: Path
) -> None:
    # Without the rule: 'resource mapping not found for name: "v" [...] ensure CRDs are installed
    # first', which names neither the value nor who brings the kind.
    bed.add_node("gpu-1", zone=ZONE_A, pool=POOL)
    four = Helm(helm, bed)
    for which, (value, over, words) in UNKNOWN.items():
        version, kind = which.rsplit("/", 1)
        text = four.refusal("install", NAME, namespace, write_values(tmp_path, over))
        assert (
            f"{value} needs the kind {kind} ({version}), which this cluster does not know: "
            f"it comes with {words}"
        ) in text
    assert kube.list("v1", "Secret", namespace) == []
    four.install(NAME, namespace, write_values(tmp_path, WITHOUT))
    wait_ready(kube, namespace)


def test_both_helms_know_what_the_cluster_has(
    bed: Bed, any_helm: Path, namespace: str, tmp_path: Path
) -> None:
    # Rendered without a cluster nothing is refused: a pipeline need not know where it will go.
    text = write_values(tmp_path, {"monitoring": {"rules": {"enabled": True}}})
    each = Helm(any_helm, bed)
    words: list[str | Path] = ["template", NAME, CHART, "--values", text, "--kube-version=1.36.0"]
    assert "kind: PodMonitoring" in each.run(*words).stdout
    each.install(NAME, namespace, text)


def old_cluster(request: Request) -> Answer:
    """An API server of Kubernetes 1.29 with nothing in it, as far as Helm looks."""
    if request.path == "/version":
        return answer(200, {"major": "1", "minor": "29", "gitVersion": "v1.29.8-gke.100"})
    if request.path.endswith("/secrets"):
        return answer(200, {"apiVersion": "v1", "kind": "SecretList", "items": []})
    if request.path == "/api":
        return answer(200, {"kind": "APIVersions", "versions": ["v1"]})
    if request.path == "/apis":
        return answer(200, {"apiVersion": "v1", "kind": "APIGroupList", "groups": []})
    if request.path == "/api/v1":
        resources: list[object] = []
        listed = {"kind": "APIResourceList", "groupVersion": "v1", "resources": resources}
        return answer(200, listed)
    return answer(404, {"kind": "Status", "code": 404, "reason": "NotFound"})


def test_a_cluster_below_1_30_is_refused_by_its_version(
    bed: Bed, any_helm: Path, tmp_path: Path
) -> None:
    server = Loopback(old_cluster)
    server.start()
    try:
        text = bed.kubeconfig.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
        document["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{server.port}"}
        old = tmp_path / "kubeconfig"
        old.write_text(yaml.safe_dump(document), encoding="utf-8")
        flag = f"--kubeconfig={old}"
        values = write_values(tmp_path)
        text = Helm(any_helm, bed).refusal("install", NAME, "x", values, flag)
    finally:
        server.stop()
    assert (
        "chart requires kubeVersion: >=1.30.0-0 which is incompatible with Kubernetes "
        "v1.29.8-gke.100"
    ) in text


def grant(kube: Kube, namespace: str, user: str) -> None:
    """Give a user all rights in one namespace, and none in the cluster."""
    rbac = "rbac.authorization.k8s.io/v1"
    meta = {"name": user, "namespace": namespace}
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    kube.create({"apiVersion": rbac, "kind": "Role", "metadata": meta, "rules": rules})
    kube.create(
        {
            "apiVersion": rbac,
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": rbac.partition("/")[0], "kind": "Role", "name": user},
            "subjects": [{"kind": "User", "name": user}],
        }
    )


def test_rights_in_the_namespace_are_enough_but_for_the_volumes_of_disks(
    bed: Bed, kube: Kube, helm: Path, namespace: str, tmp_path: Path
) -> None:
    bed.add_node("gpu-1", zone=ZONE_A, pool=POOL)
    static_claim(kube, namespace, "models", ZONE_A, mode="ReadOnlyMany")
    grant(kube, namespace, "team")
    four, flag = Helm(helm, bed), "--kube-as-user=team"
    claimed = {"weights": {"kind": "claim", "claim": {"claims": {"a": "models"}}}}
    values = merged(claimed, {"autoscaling": {"enabled": True}})
    four.install(NAME, namespace, write_values(tmp_path, values), flag)
    wait_ready(kube, namespace)
    four.upgrade(NAME, namespace, write_values(tmp_path, values), flag)
    text = four.refusal("install", "w", namespace, write_values(tmp_path), flag)
    assert "persistentvolumes" in text
    assert 'User "team" cannot get resource "persistentvolumes"' in text
