"""The rules of custom-metrics-stackdriver-adapter, new resource model, container fallback on.

Followed: GoogleCloudPlatform/k8s-stackdriver@673c7dd, custom-metrics-stackdriver-adapter/: what it
asks for (pkg/adapter/translator/query_builder.go, utils/filter_builder.go), how it reads the answer
(pkg/adapter/translator/response_translator.go), its errors (pkg/adapter/translator/errors.go), the
flags of its deployment (deploy/production/adapter_new_resource_model.yaml).

Worth knowing, and tested: a gauge counts for five minutes after its last point, with the time of
the question, not its own; a counter's rate is that of the last minute it has, although the manual
says five; series of one pod are added up; NaN becomes the least integer (as Go converts it on
amd64), which the autoscaler then reads as 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

WINDOW_SECONDS = 300
"""Interval of a request, and alignment period of a gauge."""

RATE_SECONDS = 60
"""Alignment period of a counter."""

MOST_PODS = 100
"""Pods that one request asks about."""

_LEAST = -(2**63)
_PROMETHEUS = "prometheus.googleapis.com"
_NAMES = {
    "prometheus_target": ("cluster", "namespace", "metric.labels.pod"),
    "k8s_pod": ("cluster_name", "namespace_name", "resource.labels.pod_name"),
    "k8s_container": ("cluster_name", "namespace_name", "resource.labels.pod_name"),
}


class StatusError(Exception):
    """An error with the fields of Kubernetes' Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message

    def body(self) -> dict[str, Any]:
        """As the API server's library writes it; a reason that is not known is left out."""
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        reason = {"reason": self.reason} if self.reason else {}
        return body | {"message": self.message} | reason | {"code": self.code}


@dataclass(frozen=True)
class Cluster:
    """Where the adapter runs, by its metadata server."""

    project: str
    location: str
    name: str


def metric_name(escaped: str) -> str:
    """Monitoring's name of the metric that a request's path names."""
    return escaped.replace("|", "/") if "|" in escaped else f"custom.googleapis.com/{escaped}"


def no_descriptor(metric: str) -> StatusError:
    """What it says for whatever error Monitoring gave when asked about the metric."""
    message = f"the server could not find the descriptor for metric {_quoted(metric)}"
    return StatusError(404, "NotFound", message)


def not_found(escaped: str, pod: str) -> StatusError:
    """What it says when asked about one pod that has no series."""
    message = f"the server could not find the metric {escaped} for pods {pod}"
    return StatusError(404, "NotFound", message)


def not_supported(operation: str) -> StatusError:
    """What it says about anything but pods in a namespace."""
    return StatusError(501, "BadRequest", f"Operation: {_quoted(operation)} is not implemented")


def internal(message: str) -> StatusError:
    """An error of its own making."""
    return StatusError(500, "InternalError", f"Internal error occurred: {message}")


def from_google(status: int, body: bytes) -> StatusError:
    """An error of Monitoring's as the Go client words it; its code is lost on the way."""
    try:
        error = json.loads(body)["error"]
        text = f"googleapi: Error {error['code']}: {error['message']}"
        items = error.get("errors", [])
        if len(items) == 1 and items[0]["message"] == error["message"]:
            text += f", {items[0]['reason']}"
    except (ValueError, KeyError, TypeError):
        text = f"googleapi: got HTTP response code {status} with body: {body.decode()}"
    return StatusError(500, "", text)


def query(
    metric: str,
    descriptor: Mapping[str, Any],
    cluster: Cluster,
    namespace: str,
    pods: Sequence[str],
    *,
    selector: str = "",
    as_container: bool = False,
    now: float,
) -> dict[str, str]:
    """Parameters of the request for pods' series; raises for a metric that is a distribution."""
    if descriptor.get("valueType") == "DISTRIBUTION":
        raise StatusError(400, "BadRequest", "distributions are not supported")
    is_rate = descriptor.get("metricKind") in {"DELTA", "CUMULATIVE"}
    own = filter_of(metric, cluster, namespace, pods, as_container=as_container)
    chosen = [f"{key} = {_quoted(value)}" for key, value in labels_of(selector).items()]
    period = RATE_SECONDS if is_rate else WINDOW_SECONDS
    return {
        "filter": " AND ".join([*chosen, own]),
        "interval.startTime": rfc3339(now - WINDOW_SECONDS),
        "interval.endTime": rfc3339(now),
        "aggregation.perSeriesAligner": "ALIGN_RATE" if is_rate else "ALIGN_NEXT_OLDER",
        "aggregation.alignmentPeriod": f"{period}s",
    }


def filter_of(
    metric: str, cluster: Cluster, namespace: str, pods: Sequence[str], *, as_container: bool
) -> str:
    """The filter for pods' series; its terms are sorted."""
    resource = "prometheus_target" if metric.startswith(_PROMETHEUS) else "k8s_pod"
    resource = "k8s_container" if as_container else resource
    cluster_label, namespace_label, pod_label = _NAMES[resource]
    quoted = [_quoted(pod) for pod in pods]
    among = quoted[0] if len(quoted) == 1 else f"one_of({','.join(quoted)})"
    terms = {
        "resource.type": _quoted(resource),
        "metric.type": _quoted(metric),
        "resource.labels.project_id": _quoted(cluster.project),
        f"resource.labels.{cluster_label}": _quoted(cluster.name),
        "resource.labels.location": _quoted(cluster.location),
        f"resource.labels.{namespace_label}": _quoted(namespace),
        pod_label: among,
    }
    return " AND ".join(sorted(f"{key} = {value}" for key, value in terms.items()))


def labels_of(selector: str) -> dict[str, str]:
    """An HPA's selector of the metric's labels; only equality is played here."""
    found = {}
    for part in filter(None, selector.split(",")):
        key, operator, value = part.replace("==", "=").partition("=")
        if not operator or key.endswith("!"):
            raise StatusError(400, "BadRequest", f"the stand-in reads key=value, not {part}")
        if not key.startswith("metric.labels."):
            raise StatusError(400, "BadRequest", f"Metric label: {_quoted(key)} is not allowed")
        found[key] = value
    return found


def values_of(series: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Thousandths by ``namespace:pod``: each series' newest point, those of one pod added up."""
    found: dict[str, int] = {}
    for one in series:
        if not one.get("points"):
            raise internal("Empty time series returned from Stackdriver")
        key = _key(one)
        found[key] = found.get(key, 0) + _thousandths(one["points"][0]["value"])
    return found


def check_one_container(series: Iterable[Mapping[str, Any]]) -> None:
    """With the fallback to containers, one container of a pod may have the metric."""
    containers: dict[str, str] = {}
    for one in series:
        name = one["resource"]["labels"]["container_name"]
        if containers.setdefault(_key(one), name) != name:
            message = "Only one container in pod can have specific metric."
            raise StatusError(400, "BadRequest", message)


def _key(series: Mapping[str, Any]) -> str:
    resource, labels = series["resource"]["type"], series["resource"]["labels"]
    if resource == "prometheus_target":
        return f"{labels.get('namespace', '')}:{series['metric']['labels'].get('pod', '')}"
    if resource in _NAMES:
        return f"{labels['namespace_name']}:{labels['pod_name']}"
    raise internal(f"Stackdriver returned incorrect resource type {_quoted(resource)}")


def _thousandths(value: Mapping[str, Any]) -> int:
    if "int64Value" in value:
        return int(value["int64Value"]) * 1000
    if "doubleValue" not in value:
        message = "Expected metric of type DoubleValue or Int64Value, but received TypedValue: "
        raise StatusError(400, "BadRequest", message + json.dumps(value))
    thousandths = float(value["doubleValue"]) * 1000
    fits = math.isfinite(thousandths) and abs(thousandths) < -_LEAST
    return math.trunc(thousandths) if fits else _LEAST


def quantity(thousandths: int) -> str:
    """Kubernetes' canonical text: whole with the greatest suffix that leaves it whole."""
    suffixes = ("m", "", "k", "M", "G", "T", "P", "E")
    at = 0
    while thousandths and thousandths % 1000 == 0 and at < len(suffixes) - 1:
        thousandths //= 1000
        at += 1
    return f"{thousandths}{suffixes[at]}" if thousandths else "0"


def rfc3339(seconds: float) -> str:
    """A time in whole seconds, the rest cut off."""
    return datetime.fromtimestamp(math.floor(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _quoted(text: str) -> str:
    return json.dumps(text)
