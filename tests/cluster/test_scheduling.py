"""Where the real scheduler puts the chart's pods, and what it says when it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pylib.facts import gke
from pylib.kube import Kube
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.wait import until
from tests.cluster.release import (
    NAME,
    POOL,
    SECONDS,
    TWO_CELLS,
    ZONE_A,
    ZONE_B,
    Helm,
    cell,
    is_ready,
    nodes_of,
    pods,
    static_claim,
    wait_ready,
    wait_unschedulable,
    write_values,
)

SPREAD = {
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
        }
    ]
}


@pytest.fixture
def four(bed: Bed, helm: Path) -> Helm:
    """Helm 4: the scheduler cannot tell who applied a Deployment."""
    return Helm(helm, bed)


def replicas(count: int, **over: Any) -> dict[str, Any]:
    """Values with so many pods in cell ``a``."""
    return {"cells": [cell(replicas=count, **over)]}


def add_taint(bed: Bed, node: str, key: str, value: str, *, gpu: bool = True) -> None:
    """A node pool's taint beside GKE's own for GPUs."""
    taints = [{"key": key, "value": value, "effect": "NoSchedule"}]
    if gpu:
        taints.append({"key": gke.GPU, "value": "present", "effect": "NoSchedule"})
    bed.kube.patch("v1", "Node", node, None, {"spec": {"taints": taints}})


def serving_addresses(kube: Kube, namespace: str) -> set[str]:
    """Addresses that the Service's clients may use."""
    return {
        address
        for piece in kube.list("discovery.k8s.io/v1", "EndpointSlice", namespace)
        for endpoint in piece.get("endpoints") or []
        if endpoint["conditions"].get("ready")
        for address in endpoint["addresses"]
    }


DECOYS: Mapping[str, dict[str, Any]] = {
    "other-pool": {"zone": ZONE_A, "pool": "batch-l4"},
    "other-zone": {"zone": "us-central1-c", "pool": POOL},
    "other-gpu": {"zone": ZONE_A, "pool": POOL, "accelerator": "nvidia-tesla-t4"},
    "no-gpu": {"zone": ZONE_A, "pool": "default", "gpus": 0},
}
"""Nodes that no pod of the chart may get, though all but the last have room and GPUs."""


def test_each_cells_pods_run_on_its_own_nodes_and_on_no_other(
    four: Helm, bed: Bed, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    for name, what in DECOYS.items():
        bed.add_node(name, **what)
    bed.add_node("a-1", zone=ZONE_A, pool=POOL)
    bed.add_node("b-1", zone=ZONE_B, pool=POOL)
    cells = [cell("a", replicas=2), cell("b", replicas=2)]
    four.install(NAME, namespace, write_values(tmp_path, {"cells": cells}, base=TWO_CELLS))
    for name in ("a", "b"):
        wait_ready(kube, namespace, name, replicas=2)
        assert nodes_of(kube, namespace, cell=name) == [f"{name}-1", f"{name}-1"]


def test_a_node_pool_in_another_zone_than_its_cell_leaves_pods_pending(
    four: Helm, bed: Bed, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    bed.add_node("b-1", zone=ZONE_B, pool=POOL)
    four.install(NAME, namespace, write_values(tmp_path))
    words = wait_unschedulable(kube, namespace)
    assert words.startswith(
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. "
    )
    bed.add_node("a-1", zone=ZONE_A, pool=POOL)
    wait_ready(kube, namespace)


def test_a_claim_in_another_zone_than_its_cell_leaves_pods_pending(
    four: Helm, bed: Bed, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    bed.add_node("a-1", zone=ZONE_A, pool=POOL)
    static_claim(kube, namespace, "models", ZONE_B, mode="ReadOnlyMany")
    weights = {"weights": {"kind": "claim", "claim": {"claims": {"a": "models"}}}}
    four.install(NAME, namespace, write_values(tmp_path, weights))
    words = wait_unschedulable(kube, namespace)
    assert words.startswith(
        "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity. "
    )


@pytest.mark.parametrize("taint", [True, False], ids=["tainted", "untainted"])
def test_a_cell_without_free_gpus_waits_while_the_other_one_serves(
    four: Helm, bed: Bed, kube: Kube, namespace: str, tmp_path: Path, taint: bool
) -> None:
    # Without the toleration the tainted case says "1 node(s) had untolerated taint(s)" of cell a.
    bed.add_node("a-1", zone=ZONE_A, pool=POOL, taint=taint)
    bed.add_node("b-1", zone=ZONE_B, pool=POOL, gpus=1, taint=taint)
    cells = [cell("a", replicas=1), cell("b", replicas=2)]
    four.install(NAME, namespace, write_values(tmp_path, {"cells": cells}, base=TWO_CELLS))
    wait_ready(kube, namespace, "a", replicas=1)
    words = wait_unschedulable(kube, namespace, "b")
    assert "1 Insufficient nvidia.com/gpu" in words
    until(
        lambda: len(serving_addresses(kube, namespace)) == 2,
        SECONDS,
        "the Service has the pod of cell a and the first one of cell b",
    )
    bed.add_node("b-2", zone=ZONE_B, pool=POOL, gpus=1, taint=taint)
    wait_ready(kube, namespace, "b", replicas=2)


def test_replicas_are_spread_over_nodes_on_demand(
    four: Helm, bed: Bed, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    # Without the label selector that the chart adds a constraint counts no pod: the third pod
    # went to the node of a second one.  The large node scores best, so it would get all three.
    bed.add_node("a-1", zone=ZONE_A, pool=POOL, machine="g2-standard-96", gpus=8)
    for name in ("a-2", "a-3"):
        bed.add_node(name, zone=ZONE_A, pool=POOL)
    four.install(NAME, namespace, write_values(tmp_path, {**replicas(3), **SPREAD}))
    wait_ready(kube, namespace, replicas=3)
    assert nodes_of(kube, namespace) == ["a-1", "a-2", "a-3"]


def test_a_spot_cell_runs_on_spot_nodes_only_and_another_on_none_of_them(
    four: Helm, bed: Bed, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    bed.add_node("plain", zone=ZONE_A, pool=POOL)
    bed.add_node("spot", zone=ZONE_A, pool=POOL, labels={gke.SPOT: "true"})
    add_taint(bed, "spot", gke.SPOT, "true")
    four.install(NAME, namespace, write_values(tmp_path, replicas(2, spot=True)))
    wait_ready(kube, namespace, replicas=2)
    assert nodes_of(kube, namespace) == ["spot", "spot"]
    four.upgrade(NAME, namespace, write_values(tmp_path, replicas(2)))
    wait_ready(kube, namespace, replicas=2)
    assert nodes_of(kube, namespace) == ["plain", "plain"]


def test_a_compute_classs_pods_run_on_nodes_that_gke_made_for_it(
    four: Helm, bed: Bed, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    bed.add_node("plain", zone=ZONE_A, pool=POOL)
    bed.add_node("made", zone=ZONE_A, pool="nap-1", labels={gke.COMPUTE_CLASS: "l4-first"})
    add_taint(bed, "made", gke.COMPUTE_CLASS, "l4-first")
    made = {"name": "a", "zone": ZONE_A, "computeClass": "l4-first"}
    four.install(NAME, namespace, write_values(tmp_path, {"cells": [made]}))
    wait_ready(kube, namespace)
    assert nodes_of(kube, namespace) == ["made"]


def test_a_pod_of_a_lost_node_is_replaced_in_its_cell(
    four: Helm, bed: Bed, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    bed.add_node("a-1", zone=ZONE_A, pool=POOL)
    bed.add_node("b-1", zone=ZONE_B, pool=POOL)
    four.install(NAME, namespace, write_values(tmp_path))
    wait_ready(kube, namespace)
    bed.add_node("a-2", zone=ZONE_A, pool=POOL)
    lost = pods(kube, namespace)[0]["metadata"]["name"]
    bed.remove_node("a-1")
    kube.delete("v1", "Pod", lost, namespace, grace_seconds=0)

    def on_the_other() -> bool:
        found = pods(kube, namespace)
        return [p["spec"].get("nodeName") for p in found if is_ready(p)] == ["a-2"]

    until(on_the_other, SECONDS, "the pod is back on the cell's other node")
