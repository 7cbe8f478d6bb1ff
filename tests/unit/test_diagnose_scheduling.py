"""Why nodes that match refuse a pod: messages of the scheduler, and what nodes lack."""

from __future__ import annotations

import pytest

from pylib.diagnose import Cause, Severity
from pylib.diagnose.scheduler_message import Verdict, verdict
from pylib.snapshot.model import Tenant, Unread
from tests.unit.cluster_objects import (
    GROW,
    LABEL,
    NO_GPU,
    TWO_GPUS,
    Json,
    body,
    causes,
    claim,
    event,
    mounting,
    node,
    one,
    pod,
    waiting,
    wanting,
)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (NO_GPU, Verdict(1, {"Insufficient nvidia.com/gpu": 1})),
        (
            "0/9 nodes are available: 1 Insufficient nvidia.com/gpu, 3 node(s) had untolerated "
            "taint {dedicated: batch}, 5 node(s) didn't match Pod's node affinity/selector. "
            "preemption: 0/9 nodes are available: 9 Preemption is not helpful for scheduling.",
            Verdict(
                9,
                {
                    "Insufficient nvidia.com/gpu": 1,
                    "node(s) had untolerated taint {dedicated: batch}": 3,
                    "node(s) didn't match Pod's node affinity/selector": 5,
                },
            ),
        ),
        (
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
            Verdict(1, before="pod has unbound immediate PersistentVolumeClaims"),
        ),
        ("no nodes available", Verdict(before="no nodes available")),
        ("", Verdict()),
    ],
)  # fmt: skip
def test_the_schedulers_message_is_taken_apart(message: str, found: Verdict) -> None:
    assert verdict(message) == found


# --- nodes match, and refuse ----------------------------------------------------------------------


def test_out_of_gpus_says_who_holds_them() -> None:
    held = (Tenant("n1", "lab/train-0", 1), Tenant("n1", "v/old", 1), Tenant("n9", "x/y", 8))
    assert one(waiting(NO_GPU, TWO_GPUS), node(), tenants=held) == Cause(
        "out-of-gpus",
        Severity.ERROR,
        "Pod/v-a-1",
        "wants 2 GPUs; node n1 has 2, 2 of them held by lab/train-0 (1), v/old (1)",
        GROW,
    )


def test_out_of_gpus_with_more_holders_than_one_reads() -> None:
    held = tuple(Tenant("n1", f"lab/p{number}", 1) for number in range(6))
    assert one(waiting(NO_GPU, TWO_GPUS), node(gpus=6), tenants=held).message == (
        "wants 2 GPUs; node n1 has 6, 6 of them held by lab/p0 (1), lab/p1 (1), lab/p2 (1), "
        "lab/p3 (1) and 2 more"
    )


def test_out_of_gpus_where_other_pods_may_not_be_seen() -> None:
    unread = (Unread("pods of other namespaces", "no"),)
    two = (node("n1"), node("n2"), node("n3"))
    assert one(waiting(NO_GPU, TWO_GPUS), *two, unread=unread).message == (
        "wants 2 GPUs; 3 nodes have 6, not enough of them free"
    )
    assert one(waiting(NO_GPU, TWO_GPUS), *two[:2]).message == (
        "wants 2 GPUs; nodes n1 and n2 have 4, none of them free"
    )


def test_pods_that_wait_for_the_same_reason_make_one_cause() -> None:
    pods = [waiting(NO_GPU, TWO_GPUS, name=f"v-a-{number}") for number in range(3)]
    found = one(*pods, node())
    assert found.object == "Pod/v-a-0"
    assert found.message == "wants 2 GPUs; node n1 has 2, none of them free (and 2 more Pods)"


def test_nodes_whose_gpus_the_driver_does_not_offer() -> None:
    found = one(waiting(NO_GPU, TWO_GPUS), node(gpus=0))
    assert found.code == "gpus-not-allocatable"
    assert found.message == (
        "wants 2 GPUs; node n1 offers none: the GPU driver or its device plugin is not running"
    )
    assert found.next == (
        "kubectl -n kube-system get pods -l k8s-app=nvidia-gpu-device-plugin -o wide"
    )


def test_more_gpus_than_one_node_has() -> None:
    found = one(waiting(NO_GPU, wanting({"nvidia.com/gpu": "8"})), node())
    assert found == Cause(
        "no-node-fits",
        Severity.ERROR,
        "Pod/v-a-1",
        "wants 8 GPUs on one node; node n1 has at most 2",
        "set gpusPerPod: 2 in the values, or use a larger machine type",
        final=True,
    )


TAINTED = "0/1 nodes are available: 1 node(s) had untolerated taint(s)."


@pytest.mark.parametrize(
    ("taint", "code", "message", "command"),
    [
        (
            {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},
            "gpu-taint",
            "does not tolerate the taint nvidia.com/gpu=present:NoSchedule of node n1",
            "add to the values: tolerations: [{key: nvidia.com/gpu, operator: Equal, "
            'value: "present", effect: NoSchedule}]',
        ),
        (
            {"key": "dedicated", "effect": "NoExecute"},
            "node-taint",
            "does not tolerate the taint dedicated:NoExecute of node n1",
            "add to the values: tolerations: [{key: dedicated, operator: Exists, effect: "
            "NoExecute}]",
        ),
        (
            {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
            "node-cordoned",
            "fits node n1, but a drain or `kubectl cordon` closed it to new pods",
            "kubectl uncordon n1",
        ),
        (
            {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
            "node-not-ready",
            "fits node n1, which is not ready: taint node.kubernetes.io/not-ready:NoSchedule",
            "kubectl describe node n1",
        ),
        (
            {"key": "pd.csi.storage.gke.io/not-ready", "value": "x", "effect": "NoSchedule"},
            "node-not-ready",
            "fits node n1, which is not ready: taint pd.csi.storage.gke.io/not-ready=x:NoSchedule",
            "kubectl describe node n1",
        ),
    ],
    ids=["GPU", "another", "cordoned", "not ready", "driver not ready"],
)  # fmt: skip
def test_taints(taint: Json, code: str, message: str, command: str) -> None:
    found = one(waiting(TAINTED), node(taints=[taint]))
    assert (found.code, found.message, found.next) == (code, message, command)
    assert found.final == (code in ("gpu-taint", "node-taint"))


@pytest.mark.parametrize(
    "toleration",
    [
        {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoSchedule"},
        {"key": "team", "value": "ml"},
        {"key": "team", "operator": "Exists"},
        {"operator": "Exists"},
    ],
)
def test_a_taint_that_is_tolerated_is_not_the_cause(toleration: Json) -> None:
    taint = {"key": "team", "value": "ml", "effect": "NoSchedule"}
    soft = {"key": "soft", "effect": "PreferNoSchedule"}
    mine = waiting(NO_GPU, TWO_GPUS, {"spec": {"tolerations": [toleration]}})
    assert one(mine, node(taints=[taint, soft])).code == "out-of-gpus"


@pytest.mark.parametrize(
    "toleration",
    [
        {"key": "team", "value": "other"},
        {"key": "team", "operator": "Exists", "effect": "NoExecute"},
        {"key": "other", "operator": "Exists"},
        {"value": "ml"},
    ],
)
def test_a_toleration_of_something_else_does_not_help(toleration: Json) -> None:
    taint = {"key": "team", "value": "ml", "effect": "NoSchedule"}
    mine = waiting(NO_GPU, TWO_GPUS, {"spec": {"tolerations": [toleration]}})
    assert one(mine, node(taints=[taint])).code == "node-taint"


def test_too_much_memory_and_too_little_left() -> None:
    said = "0/1 nodes are available: 1 Insufficient memory."
    much = one(waiting(said, wanting({"memory": "200Gi"})), node())
    assert (much.message, much.next) == (
        "wants 200.0Gi of memory; node n1 offers 96.0Gi at most",
        "lower resources.requests.memory in the values below 96.0Gi",
    )
    assert much.final
    left = one(waiting(said, wanting({"memory": "20Gi"})), node())
    assert (left.message, left.next) == (
        "wants 20.0Gi of memory; other pods leave less than that on node n1",
        GROW,
    )
    cpu = one(
        waiting("0/1 nodes are available: 1 Insufficient cpu.", wanting({"cpu": "30"})), node()
    )
    assert cpu.message == "wants 30 of cpu; node n1 offers 23.85 at most"


def test_init_containers_do_not_add_to_what_is_asked() -> None:
    mine = waiting(
        "0/1 nodes are available: 1 Insufficient cpu.",
        wanting({"cpu": "20"}),
        {"spec": {"initContainers": [{"name": "check", "resources": {"requests": {"cpu": "9"}}}]}},
    )
    assert (
        one(mine, node()).message == "wants 20 of cpu; other pods leave less than that on node n1"
    )


@pytest.mark.parametrize(
    ("reason", "code", "message"),
    [
        (
            "node(s) exceed max volume count",
            "attach-limit",
            "needs one more disk than node n1 may attach",
        ),
        (
            "pd.csi.storage.gke.io CSI driver is not installed on the node",
            "csi-driver-missing",
            "mounts a Persistent Disk, but node n1 has no pd.csi.storage.gke.io driver (label "
            "topology.gke.io/zone)",
        ),
        (
            "node(s) didn't have free ports for the requested pod ports",
            "no-node-fits",
            "fits none of 1 nodes: 1 node(s) didn't have free ports for the requested pod ports",
        ),
    ],
)  # fmt: skip
def test_other_refusals(reason: str, code: str, message: str) -> None:
    found = one(waiting(f"0/1 nodes are available: 1 {reason}."), node())
    assert (found.code, found.message) == (code, message)


def test_a_pod_that_the_scheduler_says_nothing_about() -> None:
    said = waiting("")
    assert one(said, node()).message == "fits no node: the scheduler gave no reason"
    told = event(said, "FailedScheduling", "0/1 nodes are available: 1 Too many pods.")
    assert one(said, node(), told).message == "fits none of 1 nodes: 1 Too many pods"


# --- before nodes are looked at -------------------------------------------------------------------


def test_scheduling_gates() -> None:
    gates = {"spec": {"schedulingGates": [{"name": "gke-gcsfuse/bucket-scan-pending"}]}}
    said = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    gated = pod(gates, {"spec": {"nodeName": None}, "status": {"conditions": [said]}})
    gated["status"]["containerStatuses"] = []
    found = one(gated)
    assert (found.code, found.message) == (
        "scheduling-gated",
        "is held back by the scheduling gates gke-gcsfuse/bucket-scan-pending: another controller "
        "lifts them",
    )


def test_a_pod_that_waits_for_its_claim_is_explained_by_the_claim_alone() -> None:
    said = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
    wanted = claim("weights", {"spec": {"volumeName": "disk-a"}})
    assert [c.code for c in causes(waiting(said, mounting("weights")), wanted)] == [
        "claim-not-bound"
    ]
    hidden = (Unread("PersistentVolumeClaim", "no"),)
    found = one(waiting(said, mounting("weights")), unread=hidden, label_counts={LABEL: 0})
    assert found.code == "node-pool-absent"


def test_a_pod_that_the_scheduler_has_not_looked_at_yet_has_no_cause() -> None:
    new = pod({"spec": {"nodeName": None}, "status": {"phase": "Pending", "containerStatuses": []}})
    assert causes(new) == []


def test_pods_that_end_have_no_cause() -> None:
    ending = waiting(NO_GPU, {"metadata": {"deletionTimestamp": "2026-03-01T12:09:00Z"}})
    assert causes(ending, node()) == []
    assert causes(body("Pod", "done", {"status": {"phase": "Succeeded"}})) == []
