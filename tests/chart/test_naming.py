"""Names, labels, the Service."""

from typing import Any

import pytest

from pylib.manifests import Manifest
from tests.chart.helmtool import refused, serve
from tests.chart.test_security import RELEASES

LONG = "a" * 50


def test_names_start_with_the_release() -> None:
    objects = serve(release="chat")
    assert objects.one("Service").name == "chat"
    assert objects.one("Deployment").name == "chat-us-central1-a"
    assert objects.one("PodMonitoring").name == "chat"


def test_the_full_name_can_be_replaced() -> None:
    objects = serve({"fullnameOverride": "llm"}, release="chat")
    assert objects.one("Service").name == "llm"
    assert objects.one("Service").get("spec", "selector") == {"app": "llm"}


def test_two_releases_in_a_namespace_share_no_pod_and_no_name() -> None:
    one, two = serve(release="one"), serve(release="two")
    assert {m.ref for m in one.manifests} & {m.ref for m in two.manifests} == set()
    selectors = [o.one("Service").get("spec", "selector") for o in (one, two)]
    assert selectors[0] != selectors[1]


def test_the_same_release_in_two_namespaces_shares_no_volume() -> None:
    names = {serve(namespace=ns).one("PersistentVolume").name for ns in ("blue", "green")}
    assert len(names) == 2


API_VERSIONS = {
    "AutoscalingMetric": "autoscaling.gke.io/v1beta1",
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Job": "batch/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PersistentVolume": "v1",
    "PersistentVolumeClaim": "v1",
    "Pod": "v1",
    "PodDisruptionBudget": "policy/v1",
    "PodMonitoring": "monitoring.googleapis.com/v1",
    "Rules": "monitoring.googleapis.com/v1",
    "ScaledObject": "keda.sh/v1alpha1",
    "Service": "v1",
    "ServiceAccount": "v1",
}


def every_object() -> list[Manifest]:
    """Objects of every kind that the chart has."""
    return [m for make in RELEASES.values() for m in make().manifests]


def test_every_kind_has_its_current_version() -> None:
    assert {(m.kind, m.api_version) for m in every_object()} == set(API_VERSIONS.items())


def test_every_object_has_the_usual_labels() -> None:
    for manifest in every_object():
        labels = manifest.get("metadata", "labels")
        assert labels["helm.sh/chart"] == "vllm-fast-start-0.1.0"
        assert labels["app.kubernetes.io/name"] == "vllm-fast-start"
        assert labels["app.kubernetes.io/instance"] in {"vllm", "fetch"}
        assert labels["app.kubernetes.io/version"] == "0.33.0"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/component"]


def test_a_chart_upgrade_alone_restarts_no_gpu_pod() -> None:
    labels = serve().one("Deployment").get("spec", "template", "metadata", "labels")
    assert "helm.sh/chart" not in labels


def test_common_labels_reach_every_object_and_never_win_over_the_charts() -> None:
    common = {"team": "nlp", "app.kubernetes.io/name": "other"}
    for manifest in serve({"commonLabels": common, "nameOverride": "llm"}).manifests:
        labels = manifest.get("metadata", "labels")
        assert labels["team"] == "nlp"
        assert labels["app.kubernetes.io/name"] == "llm"


def test_names_that_yaml_reads_as_something_else_stay_text() -> None:
    values: dict[str, Any] = {
        "cells": [{"name": "on", "zone": "us-central1-a", "nodePool": "null"}],
        "weights": {"disk": {"current": "1", "revisions": [{"name": "1", "disks": {"on": "y"}}]}},
        "server": {"apiKey": {"secretName": "123", "key": "456"}},
        "priorityClassName": "1",
    }
    objects = serve(values)
    pod = objects.pod()
    assert objects.one("Deployment").get("spec", "selector", "matchLabels", "cell") == "on"
    assert pod["nodeSelector"]["cloud.google.com/gke-nodepool"] == "null"
    assert pod["priorityClassName"] == "1"
    key = {"secretKeyRef": {"name": "123", "key": "456"}}
    assert objects.env()["VLLM_API_KEY"] == key


def test_the_service_leads_to_the_named_port() -> None:
    service = {"type": "NodePort", "port": 80, "annotations": {"a": "b"}}
    found = serve({"service": service, "server": {"port": 9000}})
    spec = found.one("Service").get("spec")
    assert spec["type"] == "NodePort"
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    assert found.one("Service").get("metadata", "annotations") == {"a": "b"}
    assert found.server()["ports"][0]["containerPort"] == 9000
    assert "--port=9000" in found.server()["args"]


@pytest.mark.parametrize(
    ("release", "name", "length"),
    [
        ("x" * 53, f"{'x' * 53}-us-central1-a", 67),
        (LONG, f"serving-{LONG}-us-central1-a-3f2a9c01b7de", 85),
        (LONG, f"{LONG}-us-central1-a", 64),
        (LONG, f"{LONG}-test-completion", 66),
    ],
)
def test_a_name_over_63_characters_is_refused_and_never_cut(
    release: str, name: str, length: int
) -> None:
    message = (
        f'The name "{name}" has {length} characters; 63 are allowed.\n'
        "Please set a shorter prefix, or shorter cell names:\n"
        "fullnameOverride: vllm"
    )
    assert message in refused({}, release=release)


def test_a_release_that_cannot_name_a_service_is_refused() -> None:
    assert refused({}, release="7b") == (
        'The name "7b" cannot name a Service: it takes lower-case letters, digits and hyphens, '
        "and starts with a letter.\n"
        "Please set:\n"
        "fullnameOverride: vllm"
    )
