"""Answers of Cloud Monitoring's REST API v3 about what a store holds.

Followed: https://cloud.google.com/monitoring/api/ref_v3/rest (fields; a number that JSON lacks is a
text, as in all of Google's JSON), and error texts that users of the real one reported
(https://github.com/GoogleCloudPlatform/k8s-stackdriver/issues/771 and /pull/789,
https://github.com/prometheus-community/stackdriver_exporter/issues/104).  Not checked against the
real one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.cluster.bed.loopback import Answer, Request, answer
from tests.cluster.bed.monitoring_filter import Filter, FilterError, parse
from tests.cluster.bed.monitoring_series import AlignError, Series, Window, aligned
from tests.cluster.bed.monitoring_store import Descriptor, Store

_REASONS = {
    400: ("badRequest", "INVALID_ARGUMENT"),
    401: ("authError", "UNAUTHENTICATED"),
    403: ("forbidden", "PERMISSION_DENIED"),
    404: ("notFound", "NOT_FOUND"),
    429: ("rateLimitExceeded", "RESOURCE_EXHAUSTED"),
    500: ("backendError", "INTERNAL"),
    503: ("backendError", "UNAVAILABLE"),
}
_TEXTS = {
    403: "Permission monitoring.timeSeries.list denied (or the resource may not exist).",
    500: "Internal error encountered.",
    503: "The service is currently unavailable.",
}


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str = "") -> None:
        self.status = status
        self.message = message or _TEXTS.get(status, "Something is wrong.")
        super().__init__(self.message)

    def answer(self) -> Answer:
        """As Google's APIs write it."""
        reason, status = _REASONS.get(self.status, ("backendError", "UNKNOWN"))
        item = {"message": self.message, "domain": "global", "reason": reason}
        body = {"code": self.status, "message": self.message, "errors": [item], "status": status}
        return answer(self.status, {"error": body})


def respond(store: Store, request: Request) -> dict[str, Any]:
    """The body of a right answer; raises :class:`ApiError` for any other."""
    if not request.headers.get("authorization", "").startswith("Bearer "):
        raise ApiError(401, "Request is missing required authentication credential.")
    root = f"/v3/projects/{store.project}/"
    if not request.path.startswith(root):
        raise ApiError(403)
    what, _, name = request.path.removeprefix(root).partition("/")
    if what == "timeSeries" and not name:
        return _list_series(store, request.query)
    if what == "metricDescriptors":
        return _descriptor(store, name) if name else _list_descriptors(store, request.query)
    raise ApiError(404, f"No such method: {request.path}")


def _descriptor(store: Store, metric: str) -> dict[str, Any]:
    known = store.descriptor(metric)
    if known is None:
        raise ApiError(404, f"Could not find descriptor for metric '{metric}'.")
    return {
        "name": f"projects/{store.project}/metricDescriptors/{metric}",
        "type": metric,
        "metricKind": known.kind,
        "valueType": known.value_type,
        "labels": [{"key": key} for key in sorted(known.labels)],
        "monitoredResourceTypes": sorted(known.resources),
    }


def _list_descriptors(store: Store, query: Mapping[str, str]) -> dict[str, Any]:
    wanted = _filter(query.get("filter", ""))
    found = {one.metric for one in store.series() if wanted.matches(one.fields())}
    listed = [_descriptor(store, metric) for metric in sorted(found)]
    return {"metricDescriptors": listed} if listed else {}


def _list_series(store: Store, query: Mapping[str, str]) -> dict[str, Any]:
    wanted = _filter(query.get("filter", ""))
    known = _known(store, wanted)
    window = _window(query)
    aligner = query.get("aggregation.perSeriesAligner", "")
    listed = []
    for series in store.series():
        if wanted.matches(series.fields()):
            listed += _one(series, known, aligner, window)
    return {"timeSeries": listed} if listed else {}


def _known(store: Store, wanted: Filter) -> Descriptor:
    """The metric that the filter is about; errors as for one that cannot match anything."""
    types = wanted.values("metric.type")
    if len(types) != 1:
        raise ApiError(400, "The filter must name exactly one metric type.")
    (metric,) = types
    known = store.descriptor(metric)
    strange = [label for label in wanted.metric_labels() if known and label not in known.labels]
    if known is None or strange:
        labels = "".join(f" label = {label}" for label in wanted.metric_labels())
        raise ApiError(
            404,
            f'Cannot find metric(s) that match type = "{metric}"{labels}. If a metric was '
            "created recently, it could take up to 10 minutes to become available. "
            "Please try again soon.",
        )
    resources = wanted.values("resource.type")
    if resources and not resources & known.resources:
        raise ApiError(
            400,
            "The supplied filter does not specify a valid combination of metric and monitored "
            "resource descriptors. The query will not return any time series.",
        )
    return known


def _filter(text: str) -> Filter:
    try:
        return parse(text)
    except FilterError as error:
        raise ApiError(400, f"Field filter had an invalid value: {error}") from None


def _window(query: Mapping[str, str]) -> Window:
    try:
        start = datetime.fromisoformat(query["interval.startTime"]).timestamp()
        end = datetime.fromisoformat(query["interval.endTime"]).timestamp()
        period = float(query.get("aggregation.alignmentPeriod", "60s").removesuffix("s"))
    except (KeyError, ValueError) as error:
        raise ApiError(400, f"Field interval had an invalid value: {error}") from None
    if start > end or period < 60:
        raise ApiError(400, "The interval must not end before it starts, a period not be under 60s")
    return Window(start, end, period)


def _one(series: Series, known: Descriptor, aligner: str, window: Window) -> list[dict[str, Any]]:
    """The series with its points, or nothing when none fall into the window."""
    try:
        points = aligned(known.kind, aligner, series.points, window)
    except AlignError as error:
        raise ApiError(400, str(error)) from None
    is_rate = aligner == "ALIGN_RATE"
    value_type = "DOUBLE" if is_rate else known.value_type
    if not points:
        return []
    return [
        {
            "metric": {"type": series.metric, "labels": dict(series.metric_labels)},
            "resource": {"type": series.resource, "labels": dict(series.resource_labels)},
            "metricKind": "GAUGE" if is_rate else known.kind,
            "valueType": value_type,
            "points": [
                {
                    "interval": {"startTime": _time(one.start), "endTime": _time(one.end)},
                    "value": _value(one.value, value_type),
                }
                for one in points
            ],
        }
    ]


def _value(value: float, value_type: str) -> dict[str, Any]:
    if value_type == "INT64":
        return {"int64Value": str(int(value))}
    if value_type == "BOOL":
        return {"boolValue": bool(value)}
    if math.isnan(value):
        return {"doubleValue": "NaN"}
    if math.isinf(value):
        return {"doubleValue": "Infinity" if value > 0 else "-Infinity"}
    return {"doubleValue": value}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
