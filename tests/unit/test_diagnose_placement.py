"""Zones that contradict, nodes that are not there, and the autoscaler that adds none."""

from __future__ import annotations

import pytest

from pylib.diagnose import Cause, Severity, diagnose
from pylib.snapshot.model import Unread
from tests.unit.cluster_objects import (
    FLAGS,
    LABEL,
    NO_GPU,
    NOT_MATCHED,
    TWO_GPUS,
    ZONE,
    causes,
    claim,
    event,
    mounting,
    node,
    one,
    stored,
    volume,
    waiting,
)

# --- zones ----------------------------------------------------------------------------------------


ELSEWHERE = "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity."
BOUND = claim("weights", {"spec": {"volumeName": "disk-a"}}, phase="Bound")


def test_a_disk_in_another_zone_than_the_pod_asks_for() -> None:
    mine = waiting(ELSEWHERE, mounting("weights"))
    assert one(mine, BOUND, volume(zone="us-central1-f"), node()) == Cause(
        "zone-mismatch",
        Severity.ERROR,
        "Pod/v-a-1",
        "wants zone us-central1-a, but its claim weights is bound to PersistentVolume/disk-a, "
        "whose disk is in us-central1-f: no node is in both",
        "set the cell's zone to us-central1-f in the values, or give it a disk in us-central1-a; "
        "then run helm upgrade",
        final=True,
    )


@pytest.mark.parametrize(
    "said",
    [
        ELSEWHERE,
        "0/1 nodes are available: 1 node(s) had volume node affinity conflict.",
        "0/1 nodes are available: 1 node(s) had no available volume zone.",
    ],
)
def test_nodes_in_another_zone_than_the_disk(said: str) -> None:
    mine = waiting(said, mounting("weights"))
    mine["spec"]["nodeSelector"] = {"cloud.google.com/gke-nodepool": "vllm-l4"}
    found = one(mine, BOUND, volume(zone="us-central1-f"), node())
    assert (found.code, found.message, found.next) == (
        "zone-mismatch",
        "fits node n1 in us-central1-a, but the disk of its claim weights is in us-central1-f",
        "give the cell a disk in us-central1-a, or nodes in us-central1-f; then run helm upgrade",
    )


def test_nodes_of_the_disks_zone_without_its_driver() -> None:
    mine = waiting(ELSEWHERE, mounting("weights"))
    without = node()
    del without["metadata"]["labels"]["topology.gke.io/zone"]
    found = one(mine, BOUND, volume(), without)
    assert found.code == "csi-driver-missing"
    assert found.next == (
        "gcloud container clusters update vllm-cluster --location=us-central1 "
        "--project=my-project --update-addons=GcePersistentDiskCsiDriver=ENABLED"
    )


def test_a_node_pool_with_nodes_in_other_zones_only() -> None:
    [found] = [c for c in _of("zone_without_nodes") if c.severity is Severity.ERROR]
    assert (found.code, found.message, found.next) == (
        "zone-mismatch",
        "wants zone us-central1-b; the nodes of node pool vllm-l4 are in us-central1-a",
        "set the cell's zone to us-central1-a in the values, or add nodes: gcloud container "
        f"node-pools update vllm-l4 {FLAGS} --node-locations=us-central1-a,us-central1-b",
    )


def _of(name: str) -> tuple[Cause, ...]:
    return diagnose(stored(name))


def test_a_real_cell_out_of_gpus() -> None:
    [found] = _of("out_of_gpus")
    assert found.code == "out-of-gpus"
    assert found.message == (
        "wants 1 GPU; node l4-1 has 2, 2 of them held by inference/v-a-7d698466b5-5fhdb (1), "
        "inference/v-a-7d698466b5-cn4mp (1) (and 1 more Pod)"
    )


# --- no node matches ------------------------------------------------------------------------------


def test_a_node_pool_without_nodes() -> None:
    counts = {LABEL: 0, ZONE: 4}
    young = {"metadata": {"creationTimestamp": "2026-03-01T12:09:00Z"}}
    assert one(waiting(NOT_MATCHED, young), label_counts=counts) == Cause(
        "node-pool-absent",
        Severity.ERROR,
        "Pod/v-a-1",
        "wants a node of node pool vllm-l4; there is none, and the cluster autoscaler has not said "
        "that it will add one",
        f"gcloud container node-pools describe vllm-l4 {FLAGS}",
    )
    assert one(waiting(NOT_MATCHED), label_counts=counts).final, "ten minutes of silence"


def test_a_label_that_no_node_has() -> None:
    label = "cloud.google.com/gke-accelerator"
    mine = waiting(NOT_MATCHED, {"spec": {"nodeSelector": {label: "nvidia-l4"}}})
    counts = {LABEL: 2, ZONE: 2, f"{label}=nvidia-l4": 0}
    found = one(mine, label_counts=counts)
    assert (found.code, found.message, found.next) == (
        "node-selector-unmatched",
        f"wants a node with {label}=nvidia-l4; no node has {label}=nvidia-l4",
        f"kubectl get nodes -L {label}",
    )


def test_labels_that_no_node_has_together() -> None:
    mine = waiting(NOT_MATCHED, {"spec": {"nodeSelector": {"class": "gpu", "tier": "a"}}})
    counts = {LABEL: 1, ZONE: 1, "class=gpu": 1, "tier=a": 1}
    found = one(mine, node("n1", {"metadata": {"labels": {"class": "cpu"}}}), label_counts=counts)
    assert found.message == (
        "no node has all labels of its nodeSelector: on node n1 class is cpu instead of gpu, tier "
        "is absent instead of a"
    )
    nobody = one(mine, label_counts=counts)
    assert nobody.message == (
        f"no node has all labels of its nodeSelector: class=gpu, {LABEL}, tier=a, {ZONE}"
    )
    assert nobody.next == "kubectl get nodes -l class=gpu --show-labels"


def test_without_a_selector_or_without_sight_of_nodes_the_scheduler_is_quoted() -> None:
    mine = waiting(NOT_MATCHED)
    hidden = (Unread("Node", "no"),)
    expected = "fits none of 1 nodes: 1 node(s) didn't match Pod's node affinity/selector"
    assert one(mine, unread=hidden).message == expected
    mine["spec"]["nodeSelector"] = {}
    found = one(mine, node())
    assert (found.message, found.next) == (expected, "kubectl -n inference describe pod v-a-1")


# --- the autoscaler -------------------------------------------------------------------------------


def test_a_node_that_is_on_its_way_is_no_error() -> None:
    mine = waiting(NOT_MATCHED)
    asked = event(
        mine,
        "TriggeredScaleUp",
        "pod triggered scale-up: [{https://www.googleapis.com/compute/v1/… 0->1 (max: 5)}]",
        "2026-03-01T12:09:15Z",
    )
    assert one(mine, asked, label_counts={LABEL: 0}) == Cause(
        "scaling-up",
        Severity.NOTE,
        "Pod/v-a-1",
        "waits for a new node, which the cluster autoscaler asked for 45 s ago",
        "kubectl get nodes --watch",
    )


@pytest.mark.parametrize(
    ("message", "why", "command"),
    [
        (
            "Node scale up in zones us-central1-a associated with this pod failed: GCE out of "
            "resources. Pod is at risk of not being scheduled.",
            "Compute Engine has no such machine left in us-central1-a (GCE out of resources)",
            "add a cell in another zone, or reserve the machines: gcloud compute reservations",
        ),
        (
            "Node scale up in zones us-central1-a associated with this pod failed: GCE quota "
            "exceeded. Pod is at risk of not being scheduled.",
            "the project's quota in us-central1-a is used up (GCE quota exceeded)",
            "gcloud compute regions describe us-central1 --project=my-project  # quotas",
        ),
        (
            "Node scale up in zones us-central1-a associated with this pod failed: IP space "
            "exhausted.",
            "the cluster's range of pod or node addresses is used up (IP space exhausted)",
            "gcloud container clusters describe vllm-cluster --location=us-central1 "
            "--project=my-project",
        ),
        (
            "Node scale up in zones associated with this pod failed: Internal error.",
            "Node scale up in zones associated with this pod failed: Internal error",
            "kubectl -n inference get events --field-selector reason=FailedScaleUp",
        ),
    ],
    ids=["stockout", "quota", "addresses", "other"],
)  # fmt: skip
def test_a_node_that_cannot_be_had(message: str, why: str, command: str) -> None:
    mine = waiting(NOT_MATCHED)
    failed = event(mine, "FailedScaleUp", message)
    later = event(
        mine,
        "NotTriggerScaleUp",
        "pod didn't trigger scale-up: 1 in backoff after failed scale-up",
        "2026-03-01T12:05:00Z",
    )
    found = one(mine, failed, later, label_counts={LABEL: 0})
    assert found == Cause(
        "autoscaler-cannot-scale",
        Severity.ERROR,
        "Pod/v-a-1",
        f"needs a new node, and adding one failed: {why}",
        command,
    )


@pytest.mark.parametrize(
    ("message", "why", "command"),
    [
        (
            "pod didn't trigger scale-up: 3 max node group size reached",
            "node pool vllm-l4 is at its largest size (3 max node group size reached)",
            f"gcloud container node-pools update vllm-l4 {FLAGS} --max-nodes=MORE",
        ),
        (
            "pod didn't trigger scale-up: 1 in backoff after failed scale-up",
            "an earlier try failed and it waits before the next (1 in backoff after failed "
            "scale-up)",
            "kubectl -n inference get events --field-selector reason=FailedScaleUp",
        ),
        (
            "pod didn't trigger scale-up:",
            "the pod would not fit a new node either (it gave no reason)",
            f"gcloud container node-pools describe vllm-l4 {FLAGS}",
        ),
    ],
    ids=["at most", "backoff", "no reason"],
)
def test_an_autoscaler_that_adds_no_node(message: str, why: str, command: str) -> None:
    mine = waiting(NO_GPU, TWO_GPUS)
    found = causes(mine, node(), event(mine, "NotTriggerScaleUp", message))
    assert [cause.code for cause in found] == ["out-of-gpus", "autoscaler-cannot-scale"]
    assert found[1].message == f"needs a new node, and the cluster autoscaler adds none: {why}"
    assert found[1].next == command


def test_a_pod_that_would_fit_no_new_node_either_is_explained_by_its_selector() -> None:
    mine = waiting(NOT_MATCHED)
    said = event(
        mine,
        "NotTriggerScaleUp",
        "pod didn't trigger scale-up: 2 node(s) didn't match Pod's node …",
    )
    found = causes(mine, said, label_counts={LABEL: 0})
    assert {cause.code for cause in found} == {"node-pool-absent", "autoscaler-cannot-scale"}
