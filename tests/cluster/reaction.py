"""``python -m tests.cluster.reaction``: how long a rise of the load takes to become a ready pod.

Measured, in seconds since the phase before: the metric's new value is in Cloud Monitoring; the
custom metrics API serves it; the HPA wants more pods; the Deployment has a new pod; it has a node;
it is ready.

Real: the API server, the HPA controller, the scheduler, the adapter's rules.  Simulated, or left
out:

- Cloud Monitoring serves a point at once; how long the real one takes is not included.
- Nothing is scraped: add up to the PodMonitoring's interval, 15 s by the chart.
- The HPA looks every second; Kubernetes' default is every 15 s
  (kube-controller-manager ``--horizontal-pod-autoscaler-sync-period``).
- Nodes are there already, and kwok makes a pod ready ``--ready-after`` seconds after it runs; no
  image is pulled, no disk attached, no weights loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pylib.kube import Body, Kube
from tests.cluster.autoscaled import (
    AT_ONCE,
    METRICS,
    ZONE,
    Autoscaled,
    add_nodes,
    apply_release,
    values,
)
from tests.cluster.bed.adapter_cluster import registered
from tests.cluster.bed.adapter_objects import GROUP
from tests.cluster.bed.bed import TOOLS, Bed
from tests.cluster.bed.monitoring import FakeMonitoring
from tests.cluster.bed.wait import until

PHASES = ("served", "wanted", "created", "scheduled", "ready")
"""What follows the writing of the metric, in order."""

SAYS = {
    "served": "the custom metrics API serves the new value",
    "wanted": "the HPA wants more pods",
    "created": "a pod is created",
    "scheduled": "it has a node",
    "ready": "it is ready",
}
_SECONDS = 120.0


class Marks:
    """When each phase was first seen, in seconds since the metric was written."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began = clock()
        self._seen: dict[str, float] = {}

    def set(self, phase: str) -> None:
        """Note a phase; only the first time counts."""
        with self._lock:
            self._seen.setdefault(phase, self._clock() - self._began)

    def complete(self) -> bool:
        """Whether all phases were seen."""
        return set(self._seen) == set(PHASES)

    def durations(self) -> dict[str, float]:
        """Seconds of each phase; one that was seen before the one ahead of it took no time."""
        found, reached = {}, 0.0
        for phase in PHASES:
            end = max(reached, self._seen[phase])
            found[phase] = end - reached
            reached = end
        return found


def measure(cell: Autoscaled, kubeconfig: Path) -> dict[str, float]:
    """Seconds by phase of one rise from one pod to two."""
    cell.scale_to(1, running=5)
    before = set(cell.pods())
    marks = Marks()
    watchers = [
        _watch(kubeconfig, "autoscaling/v2", "HorizontalPodAutoscaler", cell, _wants(marks)),
        _watch(kubeconfig, "v1", "Pod", cell, _grows(marks, before)),
    ]
    cell.load(running=15)
    metric = METRICS["running"].replace("/", "|")
    path = f"/apis/{GROUP}/v1beta2/namespaces/{cell.namespace}/pods/*/{metric}"
    until(lambda: _serves(cell.kube, path, "15"), _SECONDS, "the new value is served", step=0.02)
    marks.set("served")
    until(marks.complete, _SECONDS, "a new pod is ready", step=0.05)
    for watcher in watchers:
        watcher.join(timeout=_SECONDS)
    return marks.durations()


def _serves(kube: Kube, path: str, value: str) -> bool:
    served = [str(item["value"]) for item in kube.raw("GET", path)["items"]]
    return value in served


def _wants(marks: Marks) -> Callable[[Body], bool]:
    def seen(hpa: Body) -> bool:
        is_more = bool(hpa.get("status", {}).get("desiredReplicas", 0) > 1)
        if is_more:
            marks.set("wanted")
        return is_more

    return seen


def _grows(marks: Marks, before: set[str]) -> Callable[[Body], bool]:
    def seen(pod: Body) -> bool:
        if pod["metadata"]["name"] in before:
            return False
        marks.set("created")
        if pod["spec"].get("nodeName"):
            marks.set("scheduled")
        conditions = pod.get("status", {}).get("conditions", [])
        is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        if is_ready:
            marks.set("ready")
        return is_ready

    return seen


def _watch(
    kubeconfig: Path, version: str, kind: str, cell: Autoscaled, seen: Callable[[Body], bool]
) -> threading.Thread:
    """Show each state of the cell's objects to ``seen`` until it has seen enough."""

    def follow() -> None:
        kube = Kube.connect(kubeconfig)
        for event, body in kube.watch(version, kind, cell.namespace, seconds=_SECONDS):
            if event != "DELETED" and seen(body):
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    return thread


def summary(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Least, median and most seconds by phase, and of the whole."""
    whole = [{**run, "all": sum(run.values())} for run in runs]
    return {
        phase: {
            "min": round(min(run[phase] for run in whole), 3),
            "median": round(statistics.median(run[phase] for run in whole), 3),
            "max": round(max(run[phase] for run in whole), 3),
        }
        for phase in (*PHASES, "all")
    }


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """The summary for people."""
    head = f"{'since the phase before, seconds':46}{'min':>8}{'median':>8}{'max':>8}"
    lines = [
        f"{SAYS.get(phase, 'from the metric to a ready pod'):46}"
        + "".join(f"{row[name]:8.2f}" for name in ("min", "median", "max"))
        for phase, row in found.items()
    ]
    return "\n".join([head, *lines])


def report(runs: Sequence[Mapping[str, float]], ready_after: float) -> dict[str, Any]:
    """What goes into the JSON."""
    return {
        "seconds": summary(runs),
        "runs": len(runs),
        "hpaSyncPeriodSeconds": 1,
        "simulated": {
            "scrape": "not included",
            "monitoringDelaySeconds": 0,
            "nodeStart": "not included",
            "podReadyAfterSeconds": ready_after,
        },
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure on a control plane of its own, print the table, then the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster.reaction",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--ready-after", type=float, default=0.1, metavar="SECONDS")
    asked = parser.parse_args(words)
    with Bed() as bed, FakeMonitoring() as monitoring:
        binary = os.environ.get("ADAPTER_BINARY", "")
        with registered(bed, monitoring, binary):
            runs = _runs(bed, monitoring, asked.runs, asked.ready_after)
    sys.stdout.write(f"{table(summary(runs))}\n")
    sys.stdout.write(f"{json.dumps(report(runs, asked.ready_after), indent=2)}\n")
    return 0


def _runs(
    bed: Bed, monitoring: FakeMonitoring, count: int, ready_after: float
) -> list[dict[str, float]]:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "reaction"}}
    bed.kube.create(body)
    add_nodes(bed, 2)
    bed.stages.ready_after(ZONE, ready_after)
    apply_release(TOOLS / "helm", bed, "reaction", values({"autoscaling": {"behavior": AT_ONCE}}))
    cell = Autoscaled(bed.kube, monitoring, "reaction")
    return [measure(cell, bed.kubeconfig) for _ in range(count)]


if __name__ == "__main__":
    sys.exit(main())
