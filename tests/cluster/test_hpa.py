"""The release's autoscalers on a real control plane, through the adapter, by the chart's metrics.

With ``ADAPTER_BINARY`` the real adapter serves them, else its stand-in.  Cloud Monitoring, nodes
and pods are simulated in both cases.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pylib.errors import ToolFailedError
from tests.cluster.autoscaled import (
    AT_ONCE,
    METRICS,
    ZONE,
    Autoscaled,
    add_nodes,
    apply_release,
    run_helm,
    values,
)
from tests.cluster.bed.adapter_cluster import Adapter, register, registered, unregister
from tests.cluster.bed.bed import ROOT, TOOLS, Bed
from tests.cluster.bed.monitoring import FakeMonitoring
from tests.cluster.bed.wait import until
from tests.cluster.conftest import tidy
from tests.cluster.reaction import PHASES, measure

BINARY = os.environ.get("ADAPTER_BINARY", "")
ZONE_B = "us-central1-b"
RUNNING = "prometheus.googleapis.com|vllm:num_requests_running|gauge"
WAITING = "prometheus.googleapis.com|vllm:num_requests_waiting|gauge"
NO_SERIES = (
    "googleapi: Error 400: The supplied filter does not specify a valid combination of metric and "
    "monitored resource descriptors. The query will not return any time series., badRequest"
)
NO_DESCRIPTOR = (
    "the server could not find the descriptor for metric "
    '"prometheus.googleapis.com/vllm:num_requests_running/gauge"'
)


@pytest.fixture(scope="module")
def monitoring() -> Iterator[FakeMonitoring]:
    """Cloud Monitoring."""
    with FakeMonitoring() as one:
        yield one


@pytest.fixture(scope="module")
def adapter(bed: Bed, monitoring: FakeMonitoring) -> Iterator[Adapter]:
    """The adapter, registered."""
    with registered(bed, monitoring, BINARY) as one:
        yield one


@dataclass(frozen=True)
class Tutorial:
    """The tutorial's release, in one namespace for all tests that change nothing but values."""

    bed: Bed
    monitoring: FakeMonitoring
    namespace: str

    def use(self, **autoscaling: Any) -> Autoscaled:
        """The release with these settings of ``autoscaling``, at whatever size it has."""
        return self.use_values({"autoscaling": {"behavior": AT_ONCE, **autoscaling}})

    def use_values(self, *overrides: dict[str, Any]) -> Autoscaled:
        """The same with any values."""
        self.monitoring.clear()
        add_nodes(self.bed, 5)
        apply_release(TOOLS / "helm", self.bed, self.namespace, values(*overrides))
        return Autoscaled(self.bed.kube, self.monitoring, self.namespace)


@pytest.fixture(scope="module")
def tutorial(bed: Bed, monitoring: FakeMonitoring, adapter: Adapter) -> Iterator[Tutorial]:
    """The release that most tests share."""
    with _place(bed) as namespace:
        yield Tutorial(bed, monitoring, namespace)


@pytest.fixture
def place(bed: Bed) -> Iterator[str]:
    """A namespace of a test's own; its name is short, for a volume's name begins with it."""
    with _place(bed) as namespace:
        yield namespace


@contextmanager
def _place(bed: Bed) -> Iterator[str]:
    namespace = f"hpa-{os.urandom(2).hex()}"
    bed.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    try:
        yield namespace
    finally:
        tidy(bed, namespace)


# --- up and down ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "load", "size"),
    [
        ("running", {"running": 35}, 4),
        ("waiting", {"waiting": 13}, 3),
        ("both", {"running": 12, "waiting": 18}, 4),
        ("both", {"running": 28, "waiting": 2}, 3),
    ],
    ids=["running", "waiting", "both, more waiting", "both, more running"],
)
def test_load_scales_from_one_pod_to_several_and_its_end_back_to_one(
    tutorial: Tutorial, metric: str, load: dict[str, float], size: int
) -> None:
    cell = tutorial.use(metric=metric)
    cell.scale_to(1, **dict.fromkeys(load, 0))
    cell.scale_to(size, **load)
    assert cell.conditions()["ScalingActive"][:2] == ("True", "ValidMetricFound")
    cell.scale_to(1, **dict.fromkeys(load, 0))


def test_the_metric_is_the_tutorials_unless_another_is_chosen(tutorial: Tutorial) -> None:
    for metric, wanted in (
        ("running", {RUNNING: "10"}),
        ("waiting", {WAITING: "5"}),
        ("both", {RUNNING: "10", WAITING: "5"}),
    ):
        entries = tutorial.use(metric=metric).hpa()["spec"]["metrics"]
        assert {entry["type"] for entry in entries} == {"Pods"}
        assert {entry["pods"]["target"]["type"] for entry in entries} == {"AverageValue"}
        pods = [entry["pods"] for entry in entries]
        found = {one["metric"]["name"]: one["target"]["averageValue"] for one in pods}
        assert found == wanted


def test_load_beyond_the_most_replicas_is_said_to_be_limited(tutorial: Tutorial) -> None:
    cell = tutorial.use(metric="running", maxReplicas=2)
    cell.scale_to(2, running=300)
    message = cell.until_condition("ScalingLimited", "TooManyReplicas")
    assert message == "the desired replica count is more than the maximum replica count"


def test_each_cell_is_scaled_by_its_own_pods(tutorial: Tutorial) -> None:
    base = values()
    disks = {ZONE: "gemma-7b-fe30030e102e", ZONE_B: "gemma-7b-b"}
    revision = {**base["weights"]["disk"]["revisions"][0], "disks": disks}
    over = {
        "autoscaling": {"behavior": AT_ONCE},
        "cells": [{**base["cells"][0], "name": zone, "zone": zone} for zone in (ZONE, ZONE_B)],
        "weights": {"disk": {"revisions": [revision]}},
    }
    add_nodes(tutorial.bed, 2, zone=ZONE_B)
    a = tutorial.use_values(over)
    b = Autoscaled(a.kube, a.monitoring, a.namespace, ZONE_B)
    b.scale_to(1, running=5)
    a.scale_to(3, running=25)
    b.scale_to(2, running=15)
    a.scale_to(1, running=0)
    assert b.size() == 2
    assert (a.until_condition("ScalingActive", "ValidMetricFound")) == (
        f"the HPA was able to successfully calculate a replica count from pods metric {RUNNING}"
    )


def test_a_rise_of_the_load_is_measured_phase_by_phase(tutorial: Tutorial) -> None:
    cell = tutorial.use(metric="running")
    assert tuple(measure(cell, tutorial.bed.kubeconfig)) == PHASES
    assert cell.size() == 2


# --- the metric goes wrong ------------------------------------------------------------------------


def _absent(cell: Autoscaled, metric: str) -> None:
    cell.monitoring.forget(metric)


def _stale(cell: Autoscaled, metric: str) -> None:
    cell.monitoring.make_stale(metric)


def _renamed(cell: Autoscaled, metric: str) -> None:
    cell.monitoring.rename(metric, metric.replace("num_requests_running", "requests_active"))


def _forbidden(cell: Autoscaled, metric: str) -> None:
    cell.monitoring.fail(403)


def _without_pods(cell: Autoscaled, metric: str) -> None:
    cell.monitoring.forget(metric)
    values = dict.fromkeys(cell.pods(), 0.0)
    cell.monitoring.set(metric, values, namespace=cell.namespace, labels={"pod": ""})


UNABLE = (
    f"the HPA was unable to compute the replica count: unable to get metric {RUNNING}: "
    "unable to fetch metrics from custom metrics API: "
)
NO_LABEL = (
    "googleapi: Error 404: Cannot find metric(s) that match type = "
    '"prometheus.googleapis.com/vllm:num_requests_running/gauge" label = pod. If a metric was '
    "created recently, it could take up to 10 minutes to become available. "
    "Please try again soon., notFound"
)


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (_absent, NO_DESCRIPTOR),
        (_stale, NO_SERIES),
        (_renamed, NO_SERIES),
        (_forbidden, NO_DESCRIPTOR),
        (_without_pods, NO_LABEL),
    ],
    ids=["absent", "stale", "renamed", "forbidden", "without the pod's name"],
)
def test_without_its_metric_the_size_stays_and_the_cause_is_named(
    tutorial: Tutorial, spoil: Callable[[Autoscaled, str], None], cause: str
) -> None:
    cell = tutorial.use(metric="running")
    cell.scale_to(3, running=25)
    spoil(cell, METRICS["running"])
    until(lambda: cause in _why(cell), 30, f"the HPA names {cause}", show=cell.conditions)
    assert cell.conditions()["ScalingActive"] == ("False", "FailedGetPodsMetric", UNABLE + cause)
    cell.until_looked_again()
    assert cell.size() == 3


def test_when_the_metric_is_back_it_goes_on(tutorial: Tutorial) -> None:
    cell = tutorial.use(metric="running")
    cell.scale_to(2, running=15)
    cell.monitoring.make_stale(METRICS["running"])
    cell.until_condition("ScalingActive", "FailedGetPodsMetric")
    cell.scale_to(3, running=25)
    assert cell.conditions()["ScalingActive"][:2] == ("True", "ValidMetricFound")


def test_an_event_names_the_cause(
    bed: Bed, adapter: Adapter, monitoring: FakeMonitoring, place: str
) -> None:
    monitoring.clear()
    cell = _own(bed, TOOLS / "helm", monitoring, place)
    why = UNABLE.removeprefix("the HPA was unable to compute the replica count: ") + NO_DESCRIPTOR
    until(lambda: why in cell.events("FailedGetPodsMetric"), 30, "an event says so")


def test_without_the_adapter_the_size_stays_and_the_cause_is_named(
    tutorial: Tutorial, adapter: Adapter
) -> None:
    cell = tutorial.use(metric="running")
    cell.scale_to(3, running=25)
    adapter.stop()
    try:
        message = cell.until_condition("ScalingActive", "FailedGetPodsMetric")
        # The second once the API server has noticed and taken the version out of discovery.
        assert message.removeprefix(UNABLE) in {
            "the server is currently unable to handle the request "
            "(get pods.custom.metrics.k8s.io *)",
            "no known available metric versions found",
        }
        assert cell.size() == 3
    finally:
        adapter.start()
    cell.scale_to(2, running=15)


def test_with_no_adapter_installed_the_cause_is_named(tutorial: Tutorial, adapter: Adapter) -> None:
    cell = tutorial.use(metric="running")
    cell.scale_to(2, running=15)
    unregister(cell.kube)
    try:
        missing = "no custom metrics API (custom.metrics.k8s.io) registered"
        until(lambda: missing in _why(cell), 60, "the API is missed", show=cell.conditions)
        assert cell.size() == 2
    finally:
        register(cell.kube, adapter.port)


def _why(cell: Autoscaled) -> str:
    return cell.conditions().get("ScalingActive", ("", "", ""))[2]


def test_a_value_that_is_no_number_counts_as_no_load_and_only_the_charts_delay_holds_the_size(
    tutorial: Tutorial,
) -> None:
    cell = tutorial.use_values({"autoscaling": {"metric": "running"}})
    cell.scale_to(3, running=25)
    no_number = dict.fromkeys(cell.pods(), math.nan)
    cell.monitoring.clear()
    cell.monitoring.set(METRICS["running"], no_number, namespace=cell.namespace)
    assert cell.until_condition("AbleToScale", "ScaleDownStabilized")
    [current] = cell.hpa()["status"]["currentMetrics"]
    assert current["pods"]["current"] == {"averageValue": "0"}
    assert cell.conditions()["ScalingActive"][1] == "ValidMetricFound", "the HPA sees no fault"
    assert cell.size() == 3


def test_of_two_metrics_a_missing_one_stops_only_the_way_down(tutorial: Tutorial) -> None:
    cell = tutorial.use(metric="both")
    cell.scale_to(2, running=15, waiting=0)
    cell.monitoring.forget(METRICS["running"])
    cell.scale_to(4, waiting=18)
    cell.load(waiting=0)
    message = cell.until_condition("ScalingActive", "FailedGetPodsMetric")
    assert NO_DESCRIPTOR in message
    cell.until_looked_again(1)
    assert cell.size() == 4
    cell.scale_to(1, running=0, waiting=0)


def test_pods_that_have_no_series_yet_do_not_count_as_idle(tutorial: Tutorial) -> None:
    cell = tutorial.use(metric="running")
    cell.scale_to(3, running=30)
    first, *_ = cell.pods()
    cell.monitoring.clear()
    cell.monitoring.set(METRICS["running"], {first: 10}, namespace=cell.namespace)
    cell.until_looked_again(3)
    assert cell.size() == 3


# --- helm and the HPA -----------------------------------------------------------------------------


@pytest.mark.parametrize("per_cell", [False, True], ids=["for all cells", "for a cell"])
def test_more_replicas_at_least_than_at_most_are_refused_before_anything_is_created(
    tutorial: Tutorial, per_cell: bool
) -> None:
    cell = values()["cells"][0]
    over = (
        {"cells": [{**cell, "minReplicas": 6}]} if per_cell else {"autoscaling": {"minReplicas": 6}}
    )
    chart = str(ROOT / "charts" / "vllm-fast-start")
    words = ("install", "refused", chart, "--values", "-")
    with pytest.raises(ToolFailedError) as caught:
        run_helm(TOOLS / "helm", tutorial.bed, tutorial.namespace, *words, stdin=values(over))
    assert "cells[0] (us-central1-a) has minReplicas 6 above maxReplicas 5." in str(caught.value)
    mine = {"app.kubernetes.io/instance": "refused"}
    selector = ",".join(f"{key}={value}" for key, value in mine.items())
    kinds = (("apps/v1", "Deployment"), ("autoscaling/v2", "HorizontalPodAutoscaler"))
    kube = tutorial.bed.kube
    for version, kind in (*kinds, ("v1", "Service")):
        assert kube.list(version, kind, tutorial.namespace, labels=selector) == []
    assert not kube.list("v1", "Secret", tutorial.namespace, labels="name=refused")


def _own(
    bed: Bed, helm: Path, monitoring: FakeMonitoring, namespace: str, *overrides: Any
) -> Autoscaled:
    add_nodes(bed, 9)  # the shared release may hold five
    apply_release(helm, bed, namespace, values(*overrides))
    return Autoscaled(bed.kube, monitoring, namespace)


def _sizes_during(cell: Autoscaled, act: Callable[[], None]) -> list[int]:
    """Replicas of the Deployment in each of its states from before ``act`` to after it."""
    version = cell.deployment()["metadata"]["resourceVersion"]
    act()
    last = cell.deployment()["metadata"]["resourceVersion"]
    found = [cell.size()]
    if version == last:
        return found
    changes = cell.kube.watch(
        "apps/v1", "Deployment", cell.namespace, seconds=5, resource_version=version
    )
    for _, body in changes:
        found.append(body["spec"]["replicas"])
        if body["metadata"]["resourceVersion"] == last:
            break
    return found


def test_an_upgrade_keeps_the_size_that_the_autoscaler_chose(
    bed: Bed, any_helm: Path, adapter: Adapter, monitoring: FakeMonitoring, place: str
) -> None:
    monitoring.clear()
    cell = _own(bed, any_helm, monitoring, place)
    cell.scale_to(3, running=25)
    changed = {"podAnnotations": {"note": "new"}}

    def upgrade() -> None:
        apply_release(any_helm, bed, place, values(changed))

    assert set(_sizes_during(cell, upgrade)) == {3}
    template = cell.deployment()["spec"]["template"]
    assert template["metadata"]["annotations"]["note"] == "new"
