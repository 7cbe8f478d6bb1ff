"""What a project of Cloud Monitoring holds: series, and a descriptor of each metric.

Series are written as Managed Service for Prometheus writes them (GoogleCloudPlatform/
prometheus-engine pkg/export/transform.go@050e2c5): staleness markers never arrive, any other NaN
does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.cluster.bed.monitoring_series import Point, Series

PROMETHEUS = "prometheus_target"
"""Monitored resource that Managed Service for Prometheus writes for."""


@dataclass(frozen=True)
class Descriptor:
    """What is known of a metric once a series of it was written."""

    kind: str
    value_type: str
    labels: frozenset[str]
    resources: frozenset[str]


class Store:
    """One project's metrics; :meth:`set` writes, the rest makes them go wrong."""

    def __init__(
        self, project: str, location: str, cluster: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.project = project
        self.location = location
        self.cluster = cluster
        self.lock = threading.RLock()
        self._clock = clock
        self._series: dict[tuple[object, ...], Series] = {}
        self._descriptors: dict[str, Descriptor] = {}

    def series(self) -> list[Series]:
        """All series."""
        return list(self._series.values())

    def descriptor(self, metric: str) -> Descriptor | None:
        """What is known of a metric."""
        return self._descriptors.get(metric)

    def set(
        self,
        metric: str,
        values: Mapping[str, float],
        *,
        namespace: str,
        at: float | None = None,
        kind: str = "GAUGE",
        value_type: str = "DOUBLE",
        resource: str = PROMETHEUS,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Write one point per pod, at ``at`` (Unix seconds; now without it).

        ``labels`` are the metric's further ones, such as vLLM's ``engine``.  A series of
        ``prometheus_target`` names its pod by a label of the metric, unless ``labels`` empties it.
        """
        end = self._clock() if at is None else at
        with self.lock:
            for pod, value in values.items():
                own, of = self._labels(resource, namespace, pod, labels or {})
                key = (metric, resource, *sorted(own.items()), *sorted(of.items()))
                series = self._series.setdefault(key, Series(metric, own, resource, of))
                start = series.points[-1].end if kind == "DELTA" and series.points else end
                series.add(Point(end, value, end if kind == "GAUGE" else start))
                self._describe(series, kind, value_type)

    def _labels(
        self, resource: str, namespace: str, pod: str, further: Mapping[str, str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        place = {"project_id": self.project, "location": self.location}
        if resource == PROMETHEUS:
            own = {"pod": pod, "container": "vllm"} | dict(further)
            target = {"job": "vllm", "instance": f"{pod}:8000"}
            of = place | {"cluster": self.cluster, "namespace": namespace} | target
        else:
            own = dict(further)
            of = place | {"cluster_name": self.cluster, "namespace_name": namespace}
            of |= {"pod_name": pod}
            if resource == "k8s_container":
                of["container_name"] = own.pop("container", "vllm")
        return {key: value for key, value in own.items() if value}, of

    def _describe(self, series: Series, kind: str, value_type: str) -> None:
        known = self._descriptors.get(series.metric)
        labels = known.labels if known else frozenset()
        resources = known.resources if known else frozenset()
        self._descriptors[series.metric] = Descriptor(
            kind, value_type, labels | set(series.metric_labels), resources | {series.resource}
        )

    def make_stale(self, metric: str, seconds: float = 600.0) -> None:
        """Nothing was written for so long: every point of the metric moves into the past."""
        with self.lock:
            for series in self._of(metric):
                series.points = [
                    Point(one.end - seconds, one.value, one.start - seconds)
                    for one in series.points
                ]

    def forget_series(self, metric: str) -> None:
        """No series is left, as for an idle metric; its descriptor stays, as it does for months."""
        with self.lock:
            self._series = {k: s for k, s in self._series.items() if s.metric != metric}

    def forget(self, metric: str) -> None:
        """The metric was never written."""
        self.forget_series(metric)
        with self.lock:
            self._descriptors.pop(metric, None)

    def rename(self, old: str, new: str, silent_seconds: float = 600.0) -> None:
        """A new vLLM writes another name: the old series ends, its descriptor stays."""
        with self.lock:
            values = {
                s.metric_labels["pod"]: (s.points[-1].value, s.resource_labels["namespace"])
                for s in self._of(old)
            }
        self.make_stale(old, silent_seconds)
        for pod, (value, namespace) in values.items():
            self.set(new, {pod: value}, namespace=namespace)

    def clear(self) -> None:
        """Nothing was ever written."""
        with self.lock:
            self._series.clear()
            self._descriptors.clear()

    def _of(self, metric: str) -> list[Series]:
        return [series for series in self._series.values() if series.metric == metric]
