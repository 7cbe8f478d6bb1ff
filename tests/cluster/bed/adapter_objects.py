"""The objects of custom.metrics.k8s.io, in the words of its two versions.

Followed: kubernetes-sigs/custom-metrics-apiserver@v1.35.0 pkg/provider/resource_lister.go and
k8s.io/metrics@v0.36.3 pkg/apis/custom_metrics/v1beta1/types.go, v1beta2/types.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pylib.kube import Body
from tests.cluster.bed.adapter_rules import quantity

GROUP = "custom.metrics.k8s.io"
VERSIONS = ("v1beta2", "v1beta1")
"""The preferred one first."""


def group() -> Body:
    """The group in discovery."""
    versions = [{"groupVersion": f"{GROUP}/{one}", "version": one} for one in VERSIONS]
    return {"name": GROUP, "versions": versions, "preferredVersion": versions[0]}


def resources(version: str, metrics: Sequence[str]) -> Body:
    """A version in discovery, with the metrics that are listed."""
    listed = [
        {
            "name": f"*/{metric}",
            "singularName": "",
            "namespaced": True,
            "kind": "MetricValueList",
            "verbs": ["get"],
        }
        for metric in metrics
    ]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/{version}",
        "resources": listed,
    }


def values(
    version: str,
    namespace: str,
    metric: str,
    found: Mapping[str, int],
    *,
    labels: Mapping[str, str],
    time: str,
) -> Body:
    """Thousandths by pod as a list; all have the same time, and no window."""
    selector = {"matchLabels": dict(labels)} if labels else None
    # The library fills in the version of its inner types, which no client can use.
    described = {"kind": "Pod", "namespace": namespace, "apiVersion": "/__internal"}
    named: Body = {"metricName": metric, "selector": selector}
    if version == "v1beta2":
        named = {"metric": {"name": metric, "selector": selector}}
    items = [
        {
            "describedObject": described | {"name": pod},
            **named,
            "timestamp": time,
            "value": quantity(value),
        }
        for pod, value in found.items()
    ]
    return {
        "kind": "MetricValueList",
        "apiVersion": f"{GROUP}/{version}",
        "metadata": {},
        "items": items,
    }
