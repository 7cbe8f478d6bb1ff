"""The tutorial's release on the control plane, scaled by a metric whose load a test sets.

Real: helm, the chart with the metric names that it writes, the API server, the HPA controller, the
scheduler, the custom metrics API between them.  Simulated: nodes and pods (kwok), Cloud Monitoring;
nothing is scraped, a test writes the series that Managed Service for Prometheus would write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pylib import proc
from pylib.kube import Body, Kube
from pylib.merge import merge_values
from tests.cluster.bed.bed import ROOT, Bed
from tests.cluster.bed.monitoring import FakeMonitoring
from tests.cluster.bed.wait import until

RELEASE = "vllm-openai"
ZONE = "us-central1-a"
POOL = "vllm-l4"
DISK_IMAGE = "vllm-openai-image"
METRICS = {
    which: f"prometheus.googleapis.com/vllm:num_requests_{which}/gauge"
    for which in ("running", "waiting")
}
"""Monitoring's names of vLLM's gauges, as Managed Service for Prometheus makes them."""

SECONDS = 60.0
"""Deadline for what takes the autoscaler a few seconds."""

AT_ONCE = {
    "scaleDown": {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}],
    },
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Percent", "value": 1000, "periodSeconds": 1}],
    },
}
"""Behaviour without the chart's brakes, so that a test need not wait five minutes."""

_CHART = ROOT / "charts" / "vllm-fast-start"
_TUTORIAL = ROOT / "values" / "gemma-7b-tutorial" / "values.yaml"


def values(*overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The tutorial's values with overrides on top."""
    found: dict[str, Any] = yaml.safe_load(_TUTORIAL.read_text(encoding="utf-8"))
    for over in overrides:
        found = merge_values(found, over)
    return found


def run_helm(
    helm: Path, bed: Bed, namespace: str, *words: str, stdin: Any = None
) -> proc.Completed:
    """helm on the control plane; raises ToolFailedError with what helm says."""
    where = ["--kubeconfig", str(bed.kubeconfig), "--namespace", namespace]
    command: list[str | Path] = [helm, *words, *where]
    return proc.run(command, stdin=None if stdin is None else json.dumps(stdin), timeout=120)


def apply_release(helm: Path, bed: Bed, namespace: str, values: Mapping[str, Any]) -> None:
    """Install the chart, or upgrade to these values."""
    words = ("upgrade", "--install", RELEASE, str(_CHART), "--values", "-")
    run_helm(helm, bed, namespace, *words, stdin=values)


def add_nodes(bed: Bed, count: int, *, zone: str = ZONE) -> None:
    """Nodes of the tutorial's pool as far as they are missing; each has room for one pod."""
    for number in range(count):
        name = f"{POOL}-{zone}-{number}"
        if bed.kube.get("v1", "Node", name) is None:
            bed.add_node(name, zone=zone, pool=POOL, cached_image=DISK_IMAGE)


@dataclass(frozen=True)
class Autoscaled:
    """One cell of the release, as the HPA and a test see it."""

    kube: Kube
    monitoring: FakeMonitoring
    namespace: str
    zone: str = ZONE

    @property
    def name(self) -> str:
        """Name of the cell's Deployment and of its HPA."""
        return f"{RELEASE}-{self.zone}"

    def hpa(self) -> Body:
        """The autoscaler."""
        found = self.kube.get(
            "autoscaling/v2", "HorizontalPodAutoscaler", self.name, self.namespace
        )
        assert found is not None, f"no HPA {self.name}"
        return found

    def deployment(self) -> Body:
        """What it scales."""
        found = self.kube.get("apps/v1", "Deployment", self.name, self.namespace)
        assert found is not None, f"no Deployment {self.name}"
        return found

    def size(self) -> int:
        """Replicas that are asked for."""
        return int(self.deployment()["spec"]["replicas"])

    def pods(self) -> list[str]:
        """Pods of the cell that are not on their way out."""
        chosen = self.deployment()["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in chosen.items())
        listed = self.kube.list("v1", "Pod", self.namespace, labels=selector)
        alive = [pod["metadata"] for pod in listed if "deletionTimestamp" not in pod["metadata"]]
        return sorted(meta["name"] for meta in alive)

    def load(self, **totals: float) -> None:
        """Write ``running``, ``waiting`` or both once: a total, shared evenly by the pods."""
        pods = self.pods()
        for which, total in totals.items():
            share = {pod: total / len(pods) for pod in pods}
            self.monitoring.set(METRICS[which], share, namespace=self.namespace)

    def scale_to(self, size: int, **totals: float) -> None:
        """Keep the load until the HPA reads it and has made it so many pods, all ready."""

        def there() -> bool:
            self.load(**totals)
            status = self.deployment()["status"]
            found = (self.size(), status.get("readyReplicas", 0), len(self.pods()))
            reads = self.conditions().get("ScalingActive", ("", "", ""))[0] == "True"
            return reads and found == (size, size, size)

        what = f"{self.name} has {size} pods at {totals}"
        until(there, SECONDS, what, step=0.25, show=lambda: (self.size(), self.conditions()))

    def conditions(self) -> dict[str, tuple[str, str, str]]:
        """Status, reason and message of the HPA's conditions by type."""
        listed = self.hpa().get("status", {}).get("conditions", [])
        return {c["type"]: (c["status"], c["reason"], c["message"]) for c in listed}

    def until_condition(self, kind: str, reason: str) -> str:
        """The message of a condition once it has the reason."""

        def message() -> str:
            found = self.conditions().get(kind, ("", "", ""))
            return found[2] if found[1] == reason else ""

        return until(
            message, SECONDS, f"{self.name}: {kind} because {reason}", show=self.conditions
        )

    def until_looked_again(self, times: int = 2) -> None:
        """The HPA has asked for its metrics so many times more; a look begins with a descriptor."""

        def looks() -> int:
            asked = self.monitoring.requests
            return sum("/metricDescriptors/" in request.path for request in asked)

        wanted = looks() + times * len(self.hpa()["spec"]["metrics"])
        until(lambda: looks() >= wanted, SECONDS, f"{self.name}: the HPA has looked again")

    def events(self, reason: str) -> list[str]:
        """Messages of the HPA's events of a reason."""
        listed = self.kube.list(
            "v1", "Event", self.namespace, fields=f"involvedObject.name={self.name}"
        )
        return [event["message"] for event in listed if event["reason"] == reason]
