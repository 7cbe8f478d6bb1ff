"""Autoscaling that does not scale: the adapter, its registration, the metric, its age."""

from __future__ import annotations

import pytest

from pylib.diagnose import Cause, Severity
from pylib.snapshot.model import Unread
from tests.unit.cluster_objects import (
    Json,
    body,
    causes,
    node,
    one,
    pod,
    ready,
    state,
)

SAY = "kubectl -n inference "
METRIC = "prometheus.googleapis.com|vllm:num_requests_running|gauge"
UNABLE = (
    f"the HPA was unable to compute the replica count: unable to get metric {METRIC}: unable to "
    "fetch metrics from custom metrics API: "
)


def hpa(*conditions: Json, kind: str = "Pods", metric: str = METRIC) -> Json:
    """An autoscaler in these conditions."""
    wanted = {"type": kind, kind.lower(): {"metric": {"name": metric}}}
    spec = {"metrics": [wanted], "maxReplicas": 5, "scaleTargetRef": {"name": "v-a"}}
    status = {"conditions": list(conditions)}
    return body("HorizontalPodAutoscaler", "v-a", {"spec": spec, "status": status})


def inactive(message: str) -> Json:
    """An autoscaler that cannot read its metric."""
    return hpa(state("ScalingActive", "False", "FailedGetPodsMetric", UNABLE + message))


def api(
    name: str = "v1beta2.custom.metrics.k8s.io", status: str = "True", why: str = "Passed"
) -> Json:
    """A registration of a metrics API."""
    service = {"spec": {"service": {"namespace": "custom-metrics", "name": "adapter"}}}
    condition = state("Available", status, why, "no endpoints.")
    return body("APIService", name, service, {"status": {"conditions": [condition]}})


def scaling(*objects: Json, since: str = "2026-03-01T12:00:00Z", **over: object) -> Cause:
    """The cause beside a pod that is ready for ten minutes."""
    return one(ready(since=since), node(), *objects, **over)


def test_no_adapter() -> None:
    expected = Cause(
        "adapter-absent",
        Severity.ERROR,
        "HorizontalPodAutoscaler/v-a",
        "nothing serves custom.metrics.k8s.io in this cluster, so no metric reaches the autoscaler",
        "install the custom metrics adapter: https://cloud.google.com/stackdriver/docs/"
        "managed-prometheus/hpa#stackdriver-adapter",
    )
    assert scaling(inactive("anything")) == expected
    message = "no custom metrics API (custom.metrics.k8s.io) registered"
    hidden = (Unread("APIService", "no"),)
    assert scaling(inactive(message), unread=hidden) == expected


def test_an_adapter_that_is_not_available() -> None:
    down = api(status="False", why="MissingEndpoints")
    assert scaling(inactive("x"), down) == Cause(
        "adapter-down",
        Severity.ERROR,
        "HorizontalPodAutoscaler/v-a",
        "keeps its size, for the metrics adapter behind APIService/v1beta2.custom.metrics.k8s.io "
        "does not answer (MissingEndpoints: no endpoints)",
        "kubectl -n custom-metrics get pods,endpointslices  # of Service adapter",
    )


def test_an_adapter_that_just_ended() -> None:
    message = "the server is currently unable to handle the request"
    found = scaling(inactive(message), api())
    assert found.code == "adapter-down"
    assert found.message.endswith("v1beta2.custom.metrics.k8s.io does not answer")


GRANT = (
    "gcloud projects add-iam-policy-binding my-project --role=roles/monitoring.viewer "
    "--member=ADAPTER"
)


@pytest.mark.parametrize(
    ("message", "code", "why"),
    [
        (
            'the server could not find the descriptor for metric "prometheus.googleapis.com/x"',
            "metric-missing",
            "Cloud Monitoring has no such metric, or the adapter may not read it",
        ),
        (
            "googleapi: Error 400: The query will not return any time series., badRequest",
            "metric-stale",
            "there is no sample of its pods from the last five minutes",
        ),
        (
            "no metrics returned from custom metrics API",
            "metric-stale",
            "there is no sample of its pods from the last five minutes",
        ),
        (
            "googleapi: Error 404: Cannot find metric(s) that match type = \"x\" label = pod.",
            "metric-missing",
            "its samples carry no label pod, so the adapter cannot tell the pods apart",
        ),
        (
            "did not receive metrics for targeted pods (pods might be unready)",
            "metric-missing",
            "the samples are of other pods than its own",
        ),
    ],
)  # fmt: skip
def test_a_metric_without_samples(message: str, code: str, why: str) -> None:
    found = scaling(inactive(message), api())
    assert found == Cause(
        code,
        Severity.ERROR,
        "HorizontalPodAutoscaler/v-a",
        f"keeps its size, for {METRIC} is missing: {why}",
        f"{SAY}get podmonitoring -o yaml  # scraped? spelled so? or {GRANT}",
    )


def test_a_metric_of_a_pod_that_is_new_is_only_waited_for() -> None:
    message = "no metrics returned from custom metrics API"
    found = scaling(inactive(message), api(), since="2026-03-01T12:09:00Z")
    assert found.severity is Severity.NOTE
    assert found.message.endswith(" (its newest pod is ready for 60 s only)")


def test_a_metric_is_no_news_before_a_pod_is_ready() -> None:
    assert causes(pod(), node(), inactive("no metrics returned"), api()) == []


def test_other_failures_of_a_metric() -> None:
    forbidden = scaling(inactive("googleapi: Error 403: denied."), api())
    assert (forbidden.code, forbidden.next) == ("metric-forbidden", GRANT)
    assert forbidden.message.startswith(f"the adapter may not read {METRIC}: the HPA was unable")
    other = scaling(inactive("weird."), api())
    assert (other.code, other.message) == (
        "metric-unavailable",
        f"cannot read its metrics: {UNABLE}weird",
    )
    assert other.next == (
        "kubectl get --raw '/apis/custom.metrics.k8s.io/v1beta2/namespaces/inference/pods/*/"
        f"{METRIC}'"
    )


def test_external_metrics_have_an_api_of_their_own() -> None:
    message = state("ScalingActive", "False", "FailedGetExternalMetric", "no metrics returned")
    found = scaling(hpa(message, kind="External", metric="queue"), api())
    assert found.message == (
        "nothing serves external.metrics.k8s.io in this cluster, so no metric reaches the "
        "autoscaler"
    )


def test_an_autoscaler_that_works_has_no_cause() -> None:
    good = hpa(state("ScalingActive", "True", "ValidMetricFound"))
    assert causes(ready(), node(), good) == []


def test_an_autoscaler_at_its_largest_size() -> None:
    limited = state("ScalingLimited", "True", "TooManyReplicas")
    found = scaling(hpa(state("ScalingActive", "True", "ValidMetricFound"), limited))
    assert (found.code, found.severity, found.message) == (
        "at-max-replicas",
        Severity.WARNING,
        "wants more pods than maxReplicas (5) allows",
    )


@pytest.mark.parametrize(
    ("condition", "code", "message"),
    [
        (
            state("AbleToScale", "False", "FailedGetScale", "deployments.apps \"v-a\" not found."),
            "scaling-inactive",
            'cannot change the size of its target: deployments.apps "v-a" not found',
        ),
        (
            state("ScalingActive", "False", "AmbiguousSelector", "two HPAs select the pods."),
            "scaling-inactive",
            "two HPAs select the pods",
        ),
        (
            state("ScalingActive", "False", "ScalingDisabled"),
            "scaling-disabled",
            "does nothing while Deployment/v-a has 0 replicas",
        ),
    ],
)  # fmt: skip
def test_autoscalers_that_do_nothing(condition: Json, code: str, message: str) -> None:
    found = one(hpa(condition))
    assert (found.code, found.message) == (code, message)


def test_a_scaled_object_that_keda_does_not_serve() -> None:
    said = state("Ready", "False", "TriggerError", "no auth.")
    found = one(body("ScaledObject", "v-a", {"status": {"conditions": [said]}}))
    assert (found.code, found.message) == (
        "scaledobject-not-ready",
        "KEDA does not scale it: no auth",
    )
    assert causes(body("ScaledObject", "v-a")) == []
