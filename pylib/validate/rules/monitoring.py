"""Google Managed Prometheus: does it find pods and ports."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.objects import (
    Hit,
    Objects,
    PodTemplate,
    at,
    each,
    selects,
)
from pylib.validate.rules.quantities import whole
from pylib.validate.rules.registry import rule
from pylib.validate.rules.services import port_names, port_numbers
from pylib.validate.rules.workload import has_pods

GMP = "GoogleCloudPlatform/prometheus-engine pkg/operator/apis/monitoring/v1/pod_types.go@2ffde4e"
_DURATION = re.compile(r"((?P<h>\d+)h)?((?P<m>\d+)m)?((?P<s>\d+)s)?((?P<ms>\d+)ms)?")


def _seconds(duration: object) -> float | None:
    """A Prometheus duration such as ``15s`` or ``1m30s`` in seconds."""
    match = _DURATION.fullmatch(duration) if isinstance(duration, str) and duration else None
    if match is None:
        return None
    hours, minutes, seconds, millis = (int(match[unit] or 0) for unit in ("h", "m", "s", "ms"))
    return hours * 3600 + minutes * 60 + seconds + millis / 1000


def scraped(monitoring: Manifest, objects: Objects) -> tuple[PodTemplate, ...]:
    """The pod templates that a PodMonitoring selects."""
    selector = monitoring.get("spec", "selector", default={})
    return objects.pods_selected(selector, monitoring.namespace)


@rule(
    name="podmonitoring-selector",
    severity=Severity.ERROR,
    summary="A PodMonitoring finds pods in its own namespace",
    explain=(
        "A PodMonitoring looks only into its own namespace; where its selector finds no pod there, "
        "nothing is scraped, no metric arrives, and an autoscaler on it never moves. Source: "
        f"{GMP}. Put it beside the pods, or use ClusterPodMonitoring."
    ),
)
def podmonitoring_selector(objects: Objects) -> Iterator[Hit]:
    """PodMonitorings without pods."""
    for monitoring in objects.of_kind("PodMonitoring"):
        if scraped(monitoring, objects) or not objects.pods():
            continue
        selector = monitoring.get("spec", "selector", default={})
        elsewhere = [pod for pod in objects.pods() if selects(selector, pod.labels)]
        if elsewhere:
            yield at(
                monitoring,
                "metadata",
                "namespace",
                message=f"the pods that it selects are in {elsewhere[0].namespace}, it looks into "
                f"{monitoring.namespace}",
                fix=f"Write namespace: {elsewhere[0].namespace}.",
            )
        elif has_pods(objects, monitoring.namespace):
            yield at(
                monitoring,
                "spec",
                "selector",
                message="the selector finds no pod here",
                fix="Select labels that the pod template has.",
            )


@rule(
    name="podmonitoring-port",
    severity=Severity.ERROR,
    summary="A PodMonitoring scrapes a port that its pods declare",
    explain=(
        "A port given by name is looked up in the pods' containers, and none is scraped where the "
        f"name is absent. Source: {GMP}. By name is better than by number: only then the metrics "
        "carry the label container."
    ),
)
def podmonitoring_port(objects: Objects) -> Iterator[Hit]:
    """Endpoints whose port no selected pod declares."""
    for monitoring in objects.of_kind("PodMonitoring", "ClusterPodMonitoring"):
        pods = scraped(monitoring, objects)
        names = {name for pod in pods for name in port_names(pod)}
        numbers = {number for pod in pods for number in port_numbers(pod)}
        for index, endpoint in each(monitoring, "spec", "endpoints"):
            port, number = endpoint.get("port"), whole(endpoint.get("port"))
            missing = number not in numbers if number is not None else str(port) not in names
            if pods and missing and (number is None or numbers):
                yield at(
                    monitoring,
                    "spec",
                    "endpoints",
                    index,
                    "port",
                    message=f"port is {port}, and no pod that it selects declares it",
                    fix=f"Use one of {', '.join(sorted(names))}."
                    if names
                    else "Declare the port in the container, with a name.",
                )


@rule(
    name="podmonitoring-interval",
    severity=Severity.ERROR,
    summary="A scrape ends before the next begins",
    explain=(
        "The operator refuses an endpoint without interval, and one whose timeout is above it. "
        f"Source: {GMP}."
    ),
)
def podmonitoring_interval(objects: Objects) -> Iterator[Hit]:
    """Endpoints whose timeout is above their interval."""
    for monitoring in objects.of_kind("PodMonitoring", "ClusterPodMonitoring"):
        for index, endpoint in each(monitoring, "spec", "endpoints"):
            interval, timeout = endpoint.get("interval"), endpoint.get("timeout")
            longest, wait = _seconds(interval), _seconds(timeout)
            if longest is not None and wait is not None and wait > longest:
                yield at(
                    monitoring,
                    "spec",
                    "endpoints",
                    index,
                    "timeout",
                    message=f"timeout is {timeout}, above the interval {interval}",
                    fix=f"Write timeout: {interval} or less.",
                )
