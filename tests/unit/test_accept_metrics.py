"""Acceptance of the metric's way to the autoscaler."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pylib.snapshot.model import Unread
from tests.unit.accepted import changed, one, verdict, without
from tests.unit.cluster_objects import stored

METRIC = "metric reaches the autoscaler"
RUNNING = "prometheus.googleapis.com|vllm:num_requests_running|gauge"


def active(status: str, reason: str, message: str = "") -> dict[str, Any]:
    """Status of an autoscaler with this condition and no value."""
    said = {"type": "ScalingActive", "status": status, "reason": reason, "message": message}
    return {"status": {"conditions": [said], "currentMetrics": [{"type": ""}]}}


def test_the_value_is_said() -> None:
    assert one(METRIC).seen == f"{RUNNING} = 3"


def test_a_metric_without_a_value_fails_though_another_one_scales() -> None:
    found = changed("HorizontalPodAutoscaler", active("True", "ValidMetricFound"))
    state, why = verdict(METRIC, snapshot=found)
    assert (state, why) == (
        "failed",
        "ValidMetricFound: it has no value of a metric that it should scale by",
    )
    assert one(METRIC, snapshot=found).seen == f"{RUNNING} = unknown"


@pytest.mark.parametrize(
    ("ready_since", "state"), [("2026-11-01T00:00:00Z", "failed"), ("", "unchecked")]
)
def test_a_metric_that_nobody_finds_fails_once_there_was_time_for_one(
    ready_since: str, state: str
) -> None:
    message = f"unable to get metric {RUNNING}: no metrics returned from custom metrics API"
    found = changed("HorizontalPodAutoscaler", active("False", "FailedGetPodsMetric", message))
    if ready_since:
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": ready_since}
        found = changed("Pod", {"status": {"conditions": [ready]}}, found)
    told, why = verdict(METRIC, snapshot=found)
    assert told == state
    assert why.startswith("keeps its size, for prometheus.googleapis.com|vllm:num_requests_running")


def test_an_adapter_that_is_not_there_fails_with_its_cure() -> None:
    message = "no custom metrics API (custom.metrics.k8s.io) registered"
    over = active("False", "FailedGetPodsMetric", message)
    bare = without("APIService")
    found = one(METRIC, snapshot=changed("HorizontalPodAutoscaler", over, bare))
    assert found.state.value == "failed"
    assert found.next.startswith("install the custom metrics adapter")


def test_an_autoscaler_that_has_not_looked_or_has_no_pods_is_not_judged() -> None:
    fresh = changed("HorizontalPodAutoscaler", {"status": {"conditions": []}})
    assert verdict(METRIC, snapshot=fresh)[0] == "unchecked"
    at_zero = changed("HorizontalPodAutoscaler", active("False", "ScalingDisabled"))
    assert verdict(METRIC, snapshot=at_zero) == ("unchecked", "its target has no pods")


def test_an_autoscaler_that_is_absent_fails_and_one_that_was_not_read_does_not() -> None:
    absent = without("HorizontalPodAutoscaler")
    assert verdict(METRIC, snapshot=absent)[0] == "failed"
    refused = replace(absent, unread=(Unread("HorizontalPodAutoscaler", "Forbidden"),))
    assert verdict(METRIC, snapshot=refused) == ("unchecked", "the autoscaler was not read")


def scaled(ready: str, *, hpa: bool = True) -> Any:
    """The release as KEDA scales it, by an autoscaler of its own."""
    base = stored("accepted") if hpa else without("HorizontalPodAutoscaler")
    metric = {"name": "s0-prometheus"}
    external = {"metric": metric, "current": {"averageValue": "2500m"}}
    over = {
        "metadata": {"name": "keda-hpa-v-a"},
        "spec": {"metrics": [{"type": "External", "external": {"metric": metric}}]},
        "status": {"currentMetrics": [{"type": "External", "external": external}]},
    }
    condition = {"type": "Ready", "status": ready, "message": "no such server"}
    body = {
        "kind": "ScaledObject",
        "metadata": {"name": "v-a"},
        "status": {"hpaName": "keda-hpa-v-a", "conditions": [condition]},
    }
    found = changed("HorizontalPodAutoscaler", over, base)
    return replace(found, objects=(*found.objects, body))


def test_of_keda_its_own_autoscaler_is_judged() -> None:
    found = one(METRIC, snapshot=scaled("True"))
    assert (found.state.value, found.seen) == ("passed", "s0-prometheus = 2500m")
    assert found.about == "HorizontalPodAutoscaler/keda-hpa-v-a"
    assert verdict(METRIC, snapshot=scaled("True", hpa=False))[0] == "unchecked"
    state, why = verdict(METRIC, snapshot=scaled("False"))
    assert (state, why) == ("failed", "KEDA does not scale it: no such server")
