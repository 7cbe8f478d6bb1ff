"""The rules by which the adapter makes metrics of pods out of Cloud Monitoring's series.

They hold for the stand-in that the other tests use; with ``ADAPTER_BINARY`` they are asked of the
real adapter, which needs a control plane.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.cluster.asking import CLUSTER, ESCAPED, METRIC, Pods, Served
from tests.cluster.bed.adapter import StandIn
from tests.cluster.bed.certificates import Authority, Issued
from tests.cluster.bed.monitoring import FakeMonitoring
from tests.cluster.bed.real_adapter import RealAdapter

BINARY = os.environ.get("ADAPTER_BINARY", "")
COUNTER = "prometheus.googleapis.com/vllm:request_success_total/counter"
LEAST = "-9223372036854775808m"


@pytest.fixture(scope="module")
def monitoring() -> Iterator[FakeMonitoring]:
    """Cloud Monitoring; each test begins with an empty one."""
    with FakeMonitoring() as one:
        yield one


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """What signs the adapter's own certificate."""
    return Authority.create(tmp_path_factory.mktemp("pki"), "adapter-ca")


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Issued:
    """The adapter's own certificate."""
    return authority.issue("adapter", hosts=["127.0.0.1"])


@pytest.fixture(scope="module")
def adapter(
    request: pytest.FixtureRequest,
    monitoring: FakeMonitoring,
    authority: Authority,
    certificate: Issued,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Pods, Served]]:
    """One adapter for all tests of this file."""
    pods, client = Pods(), None
    one: StandIn | RealAdapter
    if BINARY:
        bed = request.getfixturevalue("bed")
        one = RealAdapter(
            Path(BINARY),
            tmp_path_factory.mktemp("real"),
            bed.kubeconfig,
            monitoring.url,
            CLUSTER,
            certificate,
            authority.certificate,
        )
        client = bed.authority.issue("caller", organisation="system:masters")
    else:
        one = StandIn(pods, monitoring.url, CLUSTER, certificate)
    one.start()
    yield pods, Served(monitoring, one.port, authority, client)
    one.stop()


@pytest.fixture
def served(adapter: tuple[Pods, Served], request: pytest.FixtureRequest) -> Served:
    """The adapter, with the pods ``a`` and ``b`` in its namespace."""
    pods, one = adapter
    one.monitoring.clear()
    pods.asked.clear()
    _set_pods(pods, one, request, ["a", "b"])
    return one


def _set_pods(pods: Pods, served: Served, request: pytest.FixtureRequest, names: list[str]) -> None:
    pods.all = names
    if not BINARY:
        return
    served.namespace = request.getfixturevalue("namespace")
    kube = request.getfixturevalue("kube")
    for name in names:
        spec = {"containers": [{"name": "c", "image": "example.com/c:1"}]}
        meta = {"name": name, "namespace": served.namespace, "labels": {"app": "vllm"}}
        kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})


# --- what is served -------------------------------------------------------------------------------


def test_each_pod_has_one_item_with_its_latest_value(served: Served) -> None:
    served.put({"a": 3, "b": 4}, ago=40)
    served.put({"a": 7}, ago=10)
    before = math.floor(time.time())
    status, body = served.ask(served.path(ESCAPED))
    times = {datetime.fromisoformat(item.pop("timestamp")).timestamp() for item in body["items"]}
    assert status == 200
    assert all(before <= one <= time.time() for one in times), "the time is the question's"
    assert {key: body[key] for key in ("kind", "apiVersion")} == {
        "kind": "MetricValueList",
        "apiVersion": "custom.metrics.k8s.io/v1beta2",
    }
    described = {"kind": "Pod", "namespace": served.namespace, "apiVersion": "/__internal"}
    assert body["items"] == [
        {
            "describedObject": described | {"name": name},
            "metric": {"name": ESCAPED, "selector": None},
            "value": value,
        }
        for name, value in (("a", "7"), ("b", "4"))
    ]


def test_the_older_version_names_the_metric_beside_the_object(served: Served) -> None:
    served.put({"a": 3})
    _, body = served.ask(served.path(ESCAPED, version="v1beta1"))
    [item] = body["items"]
    assert body["apiVersion"] == "custom.metrics.k8s.io/v1beta1"
    assert (item["metricName"], item["selector"], item["value"]) == (ESCAPED, None, "3")


def test_a_single_pod_can_be_asked_for(served: Served) -> None:
    served.put({"a": 3, "b": 4})
    _, body = served.ask(served.path(ESCAPED, pod="b"))
    assert [(i["describedObject"]["name"], i["value"]) for i in body["items"]] == [("b", "4")]


def test_pods_without_a_series_are_left_out(served: Served) -> None:
    served.put({"b": 4})
    assert served.values() == {"b": "4"}


def test_series_of_one_pod_are_added_up(served: Served) -> None:
    for engine, value in (("0", 3.5), ("1", 4.0)):
        served.put({"a": value}, labels={"engine": engine, "model_name": "gemma"})
    assert served.values() == {"a": "7500m"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12, "12"), (12.5, "12500m"), (12000, "12k"), (0.0019, "1m"), (-3.5, "-3500m")],
)
def test_values_are_cut_to_thousandths(served: Served, value: float, text: str) -> None:
    served.put({"a": value})
    assert served.values() == {"a": text}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e16])
def test_a_value_that_is_no_number_or_too_large_is_the_least_integer(
    served: Served, value: float
) -> None:
    served.put({"a": value})
    assert served.values() == {"a": LEAST}


def test_whole_numbers_are_served_too(served: Served) -> None:
    served.put({"a": 1500}, value_type="INT64")
    assert served.values() == {"a": "1500"}


def test_a_gauge_counts_for_five_minutes_after_its_last_point(served: Served) -> None:
    served.put({"a": 3}, ago=285)
    served.put({"b": 4}, ago=305)
    assert served.values() == {"a": "3"}


def test_a_counter_is_served_as_its_growth_per_second_in_the_last_minute(served: Served) -> None:
    now = math.floor(time.time())
    for ago, standing, growing in ((280, 0, 0), (75, 205, 100), (15, 205, 160)):
        values = {"a": standing, "b": growing}
        served.put(values, COUNTER, at=now - ago, kind="CUMULATIVE")
    assert served.values(COUNTER.replace("/", "|")) == {"a": "0", "b": "1"}


def test_series_of_other_places_do_not_count(served: Served) -> None:
    served.put({"a": 3})
    served.put({"a": 100}, namespace="elsewhere")
    served.put({"stranger": 100})
    assert served.values() == {"a": "3"}


def test_a_namespace_without_pods_has_no_values_and_no_errors(
    served: Served, adapter: tuple[Pods, Served], request: pytest.FixtureRequest
) -> None:
    adapter[0].all = []
    served.put({"a": 3})
    path = served.path(ESCAPED)
    _, body = served.ask(path, {"labelSelector": "app=none"})
    assert body["items"] == []
    assert served.queries() == []


# --- what is asked of Monitoring ------------------------------------------------------------------


def test_a_metric_of_prometheus_is_asked_for_by_its_own_labels(served: Served) -> None:
    served.put({"a": 3, "b": 4})
    served.values()
    [query] = served.queries()
    assert query["filter"] == (
        'metric.labels.pod = one_of("a","b") AND '
        f'metric.type = "{METRIC}" AND '
        'resource.labels.cluster = "vllm-cluster" AND '
        'resource.labels.location = "us-central1" AND '
        f'resource.labels.namespace = "{served.namespace}" AND '
        'resource.labels.project_id = "my-project" AND '
        'resource.type = "prometheus_target"'
    )
    aggregation = {key: value for key, value in query.items() if key.startswith("aggregation")}
    assert aggregation == {
        "aggregation.perSeriesAligner": "ALIGN_NEXT_OLDER",
        "aggregation.alignmentPeriod": "300s",
    }
    begin, end = (query[f"interval.{which}Time"] for which in ("start", "end"))
    asked = datetime.fromisoformat(end) - datetime.fromisoformat(begin)
    assert asked.total_seconds() == 300


def test_any_other_metric_is_asked_for_by_the_labels_of_its_pod(served: Served) -> None:
    served.put({"a": 3}, "custom.googleapis.com/depth", resource="k8s_pod")
    assert served.values("depth") == served.values("custom.googleapis.com|depth") == {"a": "3"}
    assert served.queries()[0]["filter"] == (
        'metric.type = "custom.googleapis.com/depth" AND '
        'resource.labels.cluster_name = "vllm-cluster" AND '
        'resource.labels.location = "us-central1" AND '
        f'resource.labels.namespace_name = "{served.namespace}" AND '
        'resource.labels.pod_name = one_of("a","b") AND '
        'resource.labels.project_id = "my-project" AND '
        'resource.type = "k8s_pod"'
    )


def test_a_selector_of_the_metric_narrows_the_question(served: Served) -> None:
    for engine, value in (("0", 3), ("1", 4)):
        served.put({"a": value}, labels={"engine": engine})
    chosen = {"metricLabelSelector": "metric.labels.engine=1"}
    _, body = served.ask(served.path(ESCAPED), chosen)
    [item] = body["items"]
    assert item["value"] == "4"
    assert item["metric"]["selector"] == {"matchLabels": {"metric.labels.engine": "1"}}
    assert served.queries()[0]["filter"].startswith('metric.labels.engine = "1" AND ')


def test_one_question_is_about_a_hundred_pods(
    served: Served, adapter: tuple[Pods, Served], request: pytest.FixtureRequest
) -> None:
    names = [f"p{number:03}" for number in range(101)]
    _set_pods(adapter[0], served, request, names)
    served.put(dict.fromkeys(names, 1.0))
    assert set(served.values()) == set(names)
    first, second = (query["filter"] for query in served.queries())
    assert first.count('"p0') == 100
    assert 'metric.labels.pod = "p100"' in second


def test_what_no_pod_has_is_looked_for_in_containers(served: Served) -> None:
    metric = "custom.googleapis.com/depth"
    served.put({"a": 3}, metric, resource="k8s_container")
    served.put({"elsewhere": 3}, metric, resource="k8s_pod")
    assert served.values("depth") == {"a": "3"}
    assert [query["filter"].rpartition(" = ")[2] for query in served.queries()] == [
        '"k8s_pod"',
        '"k8s_container"',
    ]


# --- what is refused ------------------------------------------------------------------------------


def test_a_metric_that_was_never_written_has_no_descriptor(served: Served) -> None:
    assert served.error() == (
        404,
        "NotFound",
        f'the server could not find the descriptor for metric "{METRIC}"',
    )


@pytest.mark.parametrize("status", [403, 500])
def test_any_fault_of_monitoring_looks_like_a_metric_that_was_never_written(
    served: Served, status: int
) -> None:
    served.put({"a": 3})
    served.monitoring.fail(status)
    code, _, message = served.error()
    assert code == 404
    assert message == f'the server could not find the descriptor for metric "{METRIC}"'


def test_without_a_fresh_series_the_question_about_containers_fails(served: Served) -> None:
    served.put({"a": 3})
    served.monitoring.make_stale(METRIC)
    assert served.error() == (
        500,
        "",
        "googleapi: Error 400: The supplied filter does not specify a valid combination of metric "
        "and monitored resource descriptors. The query will not return any time series., "
        "badRequest",
    )


def test_series_without_the_pod_label_cannot_be_found(served: Served) -> None:
    served.put({"a": 3}, labels={"pod": ""})
    code, _, message = served.error()
    assert code == 500
    assert message.startswith(
        f'googleapi: Error 404: Cannot find metric(s) that match type = "{METRIC}" label = pod.'
    )
    assert message.endswith("Please try again soon., notFound")


def test_a_pod_that_does_not_exist_is_not_found(served: Served) -> None:
    assert served.error(pod="c") == (404, "NotFound", 'pods "c" not found')


def test_a_single_pod_without_a_value_is_an_error(served: Served) -> None:
    served.put({"b": 3}, "custom.googleapis.com/depth", resource="k8s_pod")
    served.put({"b": 3}, "custom.googleapis.com/depth", resource="k8s_container")
    message = "the server could not find the metric depth for pods a"
    assert served.error("depth", pod="a") == (404, "NotFound", message)


def test_two_containers_of_a_pod_may_not_have_the_same_metric(served: Served) -> None:
    metric = "custom.googleapis.com/depth"
    served.put({"elsewhere": 3}, metric, resource="k8s_pod")
    for container in ("vllm", "sidecar"):
        served.put({"a": 3}, metric, resource="k8s_container", labels={"container": container})
    code, reason, message = served.error("depth")
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith("Only one container in pod can have specific metric.")


def test_a_distribution_is_refused(served: Served) -> None:
    served.put({"a": 3}, value_type="DISTRIBUTION")
    assert served.error() == (400, "BadRequest", "distributions are not supported")


def test_a_truth_value_is_refused(served: Served) -> None:
    served.put({"a": 1}, value_type="BOOL")
    code, reason, message = served.error()
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith("Expected metric of type DoubleValue or Int64Value, but received")


def test_a_selector_may_name_labels_of_the_metric_only(served: Served) -> None:
    served.put({"a": 3})
    chosen = {"metricLabelSelector": "resource.labels.job=vllm"}
    status, body = served.ask(served.path(ESCAPED), chosen)
    assert status == 400
    assert body["message"] == 'Metric label: "resource.labels.job" is not allowed'


def test_only_pods_have_metrics_in_a_namespace(served: Served) -> None:
    path = served.path(ESCAPED).replace("/pods/", "/services/")
    status, body = served.ask(path)
    assert status == 501
    said = r"Get namespaced metric by selector for resource \"services\""
    assert body["message"] == f'Operation: "{said}" is not implemented'


def test_a_slash_in_a_metrics_name_leads_nowhere(served: Served) -> None:
    served.put({"a": 3})
    status, _ = served.ask(served.path(METRIC))
    assert status == 404


@pytest.mark.skipif(bool(BINARY), reason="the real adapter asks the API server itself")
def test_the_callers_selector_reaches_the_api_server_as_it_is(
    served: Served, adapter: tuple[Pods, Served]
) -> None:
    served.put({"a": 3})
    served.ask(served.path(ESCAPED), {"labelSelector": "app=vllm,cell in (a,b)"})
    assert adapter[0].asked == [("vllm", "app=vllm,cell in (a,b)")]
