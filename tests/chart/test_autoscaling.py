"""Autoscaling: Cloud Monitoring, GKE's own metrics, KEDA."""

from typing import Any

import pytest

from tests.chart.helmtool import merged, serve
from tests.chart.test_cells import TWO

ON: dict[str, Any] = {"autoscaling": {"enabled": True}}
KEDA: dict[str, Any] = {
    "autoscaling": {
        "enabled": True,
        "source": "keda",
        "keda": {"serverAddress": "http://frontend.gmp:9090"},
    }
}
POD = "vllm-us-central1-a-[a-z0-9]+-[a-z0-9]+"


def autoscaling(**fields: Any) -> dict[str, Any]:
    """Values with autoscaling on."""
    return merged(ON, {"autoscaling": fields})


def metric(name: str, target: str) -> dict[str, Any]:
    """A Pods metric of an HPA."""
    goal = {"type": "AverageValue", "averageValue": target}
    return {"type": "Pods", "pods": {"metric": {"name": name}, "target": goal}}


def test_nothing_scales_by_default() -> None:
    kinds = serve().kinds()
    assert "HorizontalPodAutoscaler" not in kinds
    assert "ScaledObject" not in kinds


def test_the_hpa_targets_the_cells_deployment_which_then_has_no_replicas() -> None:
    objects = serve(ON)
    hpa, deployment = objects.one("HorizontalPodAutoscaler"), objects.one("Deployment")
    assert hpa.get("spec", "scaleTargetRef") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": deployment.name,
    }
    assert "replicas" not in deployment.get("spec")


@pytest.mark.parametrize(
    ("fields", "metrics"),
    [
        ({}, [metric("prometheus.googleapis.com|vllm:num_requests_running|gauge", "10")]),
        (
            {"metric": "waiting", "targetWaiting": 4},
            [metric("prometheus.googleapis.com|vllm:num_requests_waiting|gauge", "4")],
        ),
        (
            {"metric": "both", "targetRunning": 1500000},
            [
                metric("prometheus.googleapis.com|vllm:num_requests_running|gauge", "1500000"),
                metric("prometheus.googleapis.com|vllm:num_requests_waiting|gauge", "5"),
            ],
        ),
        (
            {"source": "gke", "metric": "both"},
            [
                metric("autoscaling.gke.io|vllm|num-requests-running", "10"),
                metric("autoscaling.gke.io|vllm|num-requests-waiting", "5"),
            ],
        ),
    ],
)
def test_metrics_of_the_hpa(fields: dict[str, Any], metrics: list[dict[str, Any]]) -> None:
    hpa = serve(autoscaling(**fields)).one("HorizontalPodAutoscaler")
    assert hpa.get("spec", "metrics") == metrics


def test_scale_up_is_at_once_and_scale_down_slow() -> None:
    behavior = serve(ON).one("HorizontalPodAutoscaler").get("spec", "behavior")
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 300


def test_bounds_of_a_cell_win_over_the_releases() -> None:
    first = {**TWO["cells"][0], "minReplicas": 2, "maxReplicas": 9}
    cells = [first, {**TWO["cells"][1]}]
    for entry in cells:
        entry.pop("replicas", None)
    objects = serve(merged(merged(TWO, {"cells": cells}), autoscaling(maxReplicas=4)))
    bounds = {
        hpa.name: (hpa.get("spec", "minReplicas"), hpa.get("spec", "maxReplicas"))
        for hpa in objects.all("HorizontalPodAutoscaler")
    }
    assert bounds == {"vllm-us-central1-a": (2, 9), "vllm-b": (1, 4)}


def test_gkes_autoscaling_metric_selects_by_a_label_without_dots() -> None:
    objects = serve(autoscaling(source="gke", metric="both"))
    (entry,) = objects.one("AutoscalingMetric").get("spec", "metrics")
    assert entry["pod"]["selector"] == {"matchLabels": {"app": "vllm"}}
    assert entry["pod"]["containers"] == [
        {
            "endpoint": {"port": 8000, "path": "/metrics"},
            "metrics": [
                {
                    "gauge": {
                        "name": "num-requests-running",
                        "prometheusMetricName": "vllm:num_requests_running",
                    }
                },
                {
                    "gauge": {
                        "name": "num-requests-waiting",
                        "prometheusMetricName": "vllm:num_requests_waiting",
                    }
                },
            ],
        }
    ]


def test_one_autoscaling_metric_serves_all_cells() -> None:
    cells = [{k: v for k, v in c.items() if k != "replicas"} for c in TWO["cells"]]
    objects = serve(merged(merged(TWO, {"cells": cells}), autoscaling(source="gke")))
    assert len(objects.all("HorizontalPodAutoscaler")) == 2
    assert objects.one("AutoscalingMetric").name == "vllm"


def test_keda_asks_prometheus_for_the_sum_over_the_cells_pods() -> None:
    objects = serve(KEDA)
    scaled = objects.one("ScaledObject")
    assert objects.all("HorizontalPodAutoscaler") == []
    assert "replicas" not in objects.one("Deployment").get("spec")
    assert scaled.get("spec", "scaleTargetRef", "name") == objects.one("Deployment").name
    assert scaled.get("spec", "triggers") == [
        {
            "type": "prometheus",
            "name": "num-requests-running",
            "metricType": "AverageValue",
            "metadata": {
                "serverAddress": "http://frontend.gmp:9090",
                "query": f'sum(vllm:num_requests_running{{namespace="serving",pod=~"{POD}"}})',
                "threshold": "10",
                "activationThreshold": "0",
            },
        }
    ]
    behavior = scaled.get("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior")
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0


def test_keda_starts_from_zero_by_a_signal_that_outlives_the_pods() -> None:
    activation = {"query": 'sum(rate(gateway_requests{to="vllm"}[1m]))', "threshold": 0.5}
    keda = {"activation": activation, "pollingSeconds": 5, "cooldownSeconds": 600}
    values = merged(KEDA, autoscaling(minReplicas=0, keda=keda))
    spec = serve(values).one("ScaledObject").get("spec")
    assert spec["minReplicaCount"] == 0
    assert spec["pollingInterval"] == 5
    assert spec["cooldownPeriod"] == 600
    assert spec["triggers"][-1]["metadata"] == {
        "serverAddress": "http://frontend.gmp:9090",
        "query": 'sum(rate(gateway_requests{to="vllm"}[1m]))',
        "threshold": "1000000000",
        "activationThreshold": "0.5",
    }


def test_keda_may_use_an_existing_authentication() -> None:
    values = merged(KEDA, autoscaling(keda={"authenticationRef": "gmp"}))
    (trigger,) = serve(values).one("ScaledObject").get("spec", "triggers")
    assert trigger["authenticationRef"] == {"name": "gmp"}
