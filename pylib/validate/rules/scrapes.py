"""Google Managed Prometheus: what its samples carry, and how often each is taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pylib.facts import gke
from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.metrics import pod_metrics
from pylib.validate.rules.monitoring import GMP, scraped
from pylib.validate.rules.objects import (
    Hit,
    Objects,
    PodTemplate,
    at,
    each,
    same_namespace,
)
from pylib.validate.rules.registry import rule


@rule(
    name="podmonitoring-pod-label",
    severity=Severity.WARNING,
    summary="A PodMonitoring keeps the label pod",
    explain=(
        "The Stackdriver adapter finds an HPA's Pods metrics by the labels namespace and pod. "
        "targetLabels.metadata without pod (an explicit null is an empty list) takes that label "
        "away, and the HPA sees no metric: an error where an HPA here asks for one. Source: "
        f"{GMP}; GoogleCloudPlatform/k8s-stackdriver custom-metrics-stackdriver-adapter@673c7dd."
    ),
)
def podmonitoring_pod_label(objects: Objects) -> Iterator[Hit]:
    """PodMonitorings whose target labels leave pod out."""
    for monitoring in objects.of_kind("PodMonitoring", "ClusterPodMonitoring"):
        labels = monitoring.get("spec", "targetLabels", default={})
        if not isinstance(labels, Mapping) or "metadata" not in labels:
            continue
        kept = labels["metadata"]
        if isinstance(kept, list) and "pod" in kept:
            continue
        yield at(
            monitoring,
            "spec",
            "targetLabels",
            "metadata",
            message=f"metadata is {_listed(kept)}, without pod, so an HPA cannot tell the pods "
            "apart",
            fix="Write metadata: [pod, container, top_level_controller_name, "
            "top_level_controller_type].",
            severity=Severity.ERROR if _needs_pod(monitoring, objects) else None,
        )


def _listed(kept: object) -> str:
    return f"[{', '.join(map(str, kept))}]" if isinstance(kept, list) else "null"


def _needs_pod(monitoring: Manifest, objects: Objects) -> bool:
    return any(
        gke.STACKDRIVER_METRIC.fullmatch(name)
        for hpa in objects.of_kind("HorizontalPodAutoscaler")
        if same_namespace(hpa.namespace, monitoring.namespace)
        for _, name in pod_metrics(hpa)
    )


def _target(endpoint: Mapping[str, Any], pod: PodTemplate) -> tuple[str, str]:
    """Port and path of a scrape, a named port as its number where the pod declares it."""
    port = endpoint.get("port")
    for container in pod.containers():
        for _, declared in each(container.body, "ports"):
            if declared.get("name") == port:
                port = declared.get("containerPort")
    return str(port), str(endpoint.get("path") or "/metrics")


@rule(
    name="podmonitoring-duplicate",
    severity=Severity.WARNING,
    summary="Pods are scraped once",
    explain=(
        "Two endpoints on the same port and path of the same pods store every sample twice, which "
        "is billed twice, and sums over pods come out doubled. GKE's automatic application "
        "monitoring makes such a PodMonitoring by itself when it is on. Source: "
        "https://cloud.google.com/stackdriver/docs/managed-prometheus/setup-managed."
    ),
)
def podmonitoring_duplicate(objects: Objects) -> Iterator[Hit]:
    """Endpoints that an earlier one covers."""
    seen: dict[tuple[str, ...], tuple[Manifest, int]] = {}
    reported: set[tuple[str, int]] = set()
    for monitoring in objects.of_kind("PodMonitoring", "ClusterPodMonitoring"):
        for pod in scraped(monitoring, objects):
            for index, endpoint in each(monitoring, "spec", "endpoints"):
                key = (pod.owner.ref, *map(str, pod.path), *_target(endpoint, pod))
                first, place = seen.setdefault(key, (monitoring, index))
                again = first is not monitoring or place != index
                if again and (monitoring.ref, index) not in reported:
                    reported.add((monitoring.ref, index))
                    yield at(
                        monitoring,
                        "spec",
                        "endpoints",
                        index,
                        message=f"{first.ref} scrapes the pods of {pod.owner.ref} there already",
                        fix="Remove one of the two.",
                    )
