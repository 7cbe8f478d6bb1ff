"""What the stand-in for Cloud Monitoring refuses: a reader of it that asks wrongly is caught."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import urllib3

from tests.cluster.bed.monitoring import FakeMonitoring
from tests.cluster.bed.monitoring_filter import FilterError, parse
from tests.cluster.bed.monitoring_series import Point, Window, aligned

GAUGE = "prometheus.googleapis.com/vllm:num_requests_running/gauge"
OF_GAUGE = f'metric.type = "{GAUGE}"'


@pytest.fixture
def monitoring() -> Iterator[FakeMonitoring]:
    """One with a gauge of one pod."""
    with FakeMonitoring() as one:
        one.set(GAUGE, {"a": 3}, namespace="vllm", at=time.time() - 10)
        yield one


def ask(
    monitoring: FakeMonitoring, path: str = "projects/my-project/timeSeries", **query: str
) -> tuple[int, Any]:
    """Status and body of a call with a token; query keys are given with underscores for dots."""
    now = time.time()
    times = {"interval.startTime": stamp(now - 300), "interval.endTime": stamp(now)}
    found = urllib3.request(
        "GET",
        f"{monitoring.url}v3/{path}",
        fields=times | {key.replace("_", "."): value for key, value in query.items()},
        headers={"Authorization": "Bearer x"},
        retries=False,
    )
    return found.status, found.json()


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def test_a_call_without_a_token_is_refused(monitoring: FakeMonitoring) -> None:
    found = urllib3.request("GET", f"{monitoring.url}v3/projects/my-project/timeSeries")
    assert found.status == 401
    assert found.json()["error"]["status"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        (
            {"filter": OF_GAUGE, "aggregation_perSeriesAligner": "ALIGN_RATE"},
            400,
            "The aligner cannot be applied to metrics with kind GAUGE: ALIGN_RATE",
        ),
        (
            {"filter": OF_GAUGE, "aggregation_alignmentPeriod": "30s"},
            400,
            "The interval must not end before it starts, a period not be under 60s",
        ),
        (
            {"filter": 'resource.type = "k8s_pod"'},
            400,
            "The filter must name exactly one metric type.",
        ),
        (
            {"filter": f"{OF_GAUGE} OR {OF_GAUGE}"},
            400,
            f"Field filter had an invalid value: Could not parse filter '{OF_GAUGE} OR {OF_GAUGE}' "
            "at ' OR metric.type = \"prometheus.googleapis'",
        ),
        (
            {"filter": 'metric.type = "other"'},
            404,
            'Cannot find metric(s) that match type = "other". If a metric was created recently, it '
            "could take up to 10 minutes to become available. Please try again soon.",
        ),
    ],
)
def test_a_wrong_question_is_refused(
    monitoring: FakeMonitoring, query: dict[str, str], status: int, message: str
) -> None:
    found = ask(monitoring, **query)
    assert (found[0], found[1]["error"]["message"]) == (status, message)


def test_a_question_about_another_project_is_refused(monitoring: FakeMonitoring) -> None:
    status, body = ask(monitoring, "projects/other/timeSeries", filter=OF_GAUGE)
    assert (status, body["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_without_an_aligner_the_points_are_as_written_newest_first(
    monitoring: FakeMonitoring,
) -> None:
    monitoring.set(GAUGE, {"a": 4}, namespace="vllm", at=time.time() - 5)
    _, body = ask(monitoring, filter=OF_GAUGE)
    [series] = body["timeSeries"]
    assert [point["value"] for point in series["points"]] == [
        {"doubleValue": 4},
        {"doubleValue": 3},
    ]
    assert (series["metricKind"], series["valueType"]) == ("GAUGE", "DOUBLE")


def test_a_descriptor_tells_kind_labels_and_resources(monitoring: FakeMonitoring) -> None:
    _, body = ask(monitoring, f"projects/my-project/metricDescriptors/{GAUGE}")
    assert {key: body[key] for key in ("type", "metricKind", "valueType")} == {
        "type": GAUGE,
        "metricKind": "GAUGE",
        "valueType": "DOUBLE",
    }
    assert body["labels"] == [{"key": "container"}, {"key": "pod"}]
    assert body["monitoredResourceTypes"] == ["prometheus_target"]


def test_a_renamed_metric_keeps_its_descriptor_and_has_no_fresh_point(
    monitoring: FakeMonitoring,
) -> None:
    new = GAUGE.replace("running", "active")
    monitoring.rename(GAUGE, new)
    assert ask(monitoring, filter=OF_GAUGE) == (200, {})
    _, body = ask(monitoring, f"projects/my-project/metricDescriptors/{GAUGE}")
    assert body["type"] == GAUGE
    _, body = ask(monitoring, filter=f'metric.type = "{new}"')
    assert body["timeSeries"][0]["points"][0]["value"] == {"doubleValue": 3}


def test_one_of_takes_a_hundred_values() -> None:
    names = ",".join(f'"p{number}"' for number in range(101))
    with pytest.raises(FilterError, match=r"^one_of has 101 values; the most are 100$"):
        parse(f"metric.labels.pod = one_of({names})")


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ('metric.labels.pod = "a"', True),
        ('metric.label.pod != "a"', False),
        ('NOT metric.labels.pod = one_of("b","c")', True),
        ('metric.labels.pod = "a" AND metric.labels.engine = ""', True),
        ('metric.labels.pod = "a" AND metric.labels.engine = "0"', False),
        ("", True),
    ],
)
def test_a_filter_compares_labels(text: str, passes: bool) -> None:
    assert parse(text).matches({"metric.labels.pod": "a"}) is passes


def test_a_counter_that_falls_has_begun_anew() -> None:
    points = [Point(0, 100, 0), Point(30, 130, 0), Point(60, 30, 0)]
    [found] = aligned("CUMULATIVE", "ALIGN_RATE", points, Window(0, 60, 60))
    assert found.value == (30 + 30) / 60


def test_a_delta_metrics_rate_is_its_sum_by_the_period() -> None:
    points = [Point(30, 60, 0), Point(60, 60, 30)]
    [found] = aligned("DELTA", "ALIGN_RATE", points, Window(0, 60, 60))
    assert found.value == 2


def test_one_point_of_a_counter_is_no_rate() -> None:
    assert aligned("CUMULATIVE", "ALIGN_RATE", [Point(30, 60, 0)], Window(0, 60, 60)) == []
