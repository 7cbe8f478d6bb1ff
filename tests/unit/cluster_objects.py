"""Objects of a release as an API server would show them, as small as diagnosis needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pylib.diagnose import Cause, diagnose
from pylib.merge import merge_values
from pylib.snapshot import Snapshot, from_json

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "snapshots"
CONTEXT = "gke_my-project_us-central1_vllm-cluster"
FLAGS = "--cluster=vllm-cluster --location=us-central1 --project=my-project"
TAKEN = "2026-03-01T12:10:00Z"
CREATED = "2026-03-01T12:00:00Z"
POOL = {"cloud.google.com/gke-nodepool": "vllm-l4", "topology.kubernetes.io/zone": "us-central1-a"}

Json = dict[str, Any]
IMAGE = "docker.io/vllm/vllm-openai:v0.33.0"
NO_GPU = (
    "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, "
    "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
)
NOT_MATCHED = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
GROW = (
    f"gcloud container node-pools update vllm-l4 {FLAGS} "
    "--enable-autoscaling --min-nodes=0 --max-nodes=MORE"
)
LABEL = "cloud.google.com/gke-nodepool=vllm-l4"
ZONE = "topology.kubernetes.io/zone=us-central1-a"


def stored(name: str) -> Snapshot:
    """A snapshot that was taken of a real control plane."""
    return from_json((FIXTURES / f"{name}.json").read_text(encoding="utf-8"), name)


def snapshot(*objects: Json, **over: Any) -> Snapshot:
    """A snapshot of these objects."""
    known: Json = {"taken": TAKEN, "context": CONTEXT, "release": "v", "namespace": "inference"}
    return Snapshot(**{**known, "objects": objects, **over})


def causes(*objects: Json, **over: Any) -> list[Cause]:
    """What is wrong with these objects."""
    return list(diagnose(snapshot(*objects, **over)))


def one(*objects: Json, **over: Any) -> Cause:
    """The only thing that is wrong with these objects."""
    [found] = causes(*objects, **over)
    return found


def body(kind: str, name: str, *over: Json) -> Json:
    """An object."""
    found: Json = {"kind": kind, "metadata": {"name": name, "creationTimestamp": CREATED}}
    for more in over:
        found = merge_values(found, more)
    return found


def pod(*over: Json, name: str = "v-a-1") -> Json:
    """A serving pod on node n1 whose server runs and is not ready."""
    base: Json = {
        "spec": {
            "nodeName": "n1",
            "nodeSelector": POOL,
            "containers": [{"name": "vllm", "image": "docker.io/vllm/vllm-openai:v0.33.0"}],
        },
        "status": {"phase": "Running", "containerStatuses": [running()]},
    }
    return body("Pod", name, base, *over)


def waiting(message: str, *over: Json, name: str = "v-a-1") -> Json:
    """A pod that fits no node, and what the scheduler says."""
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    status = {"conditions": [{**said, "message": message}], "containerStatuses": []}
    return pod(
        {"spec": {"nodeName": None}, "status": {"phase": "Pending", **status}}, *over, name=name
    )


def created(*over: Json) -> Json:
    """A pod on a node none of whose containers has run."""
    state = {"waiting": {"reason": "ContainerCreating"}}
    status = {"phase": "Pending", "containerStatuses": [{"name": "vllm", "state": state}]}
    return pod({"status": status}, *over)


def ready(*over: Json, since: str = "2026-03-01T12:05:00Z") -> Json:
    """A pod that serves."""
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": since}
    status = {"conditions": [condition], "containerStatuses": [{**running(), "ready": True}]}
    return pod({"metadata": {"labels": {"app": "v"}}, "status": status}, *over)


def running(started: str = "2026-03-01T12:02:00Z") -> Json:
    """A container status."""
    return {"name": "vllm", "restartCount": 0, "state": {"running": {"startedAt": started}}}


def crashed(code: int = 1, *, restarts: int = 1, **ended: Any) -> Json:
    """The status of a server that ended and waits to be started again."""
    terminated = {"exitCode": code, "startedAt": CREATED, "finishedAt": CREATED, **ended}
    return {
        "name": "vllm",
        "ready": False,
        "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": terminated},
    }


def node(name: str = "n1", *over: Json, gpus: int = 2, taints: list[Json] | None = None) -> Json:
    """A ready node of the pool."""
    own: Json = {
        "metadata": {
            "labels": {**POOL, "topology.gke.io/zone": POOL["topology.kubernetes.io/zone"]}
        },
        "spec": {"taints": taints or []},
        "status": {
            "allocatable": {"nvidia.com/gpu": str(gpus), "cpu": "23850m", "memory": "96Gi"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    return body("Node", name, own, *over)


def event(about: Json, reason: str, message: str, time: str = "2026-03-01T12:03:00Z") -> Json:
    """An Event about an object."""
    subject = {"kind": about["kind"], "name": about["metadata"]["name"]}
    return {
        "kind": "Event",
        "metadata": {"name": f"{reason}-{time}"},
        "involvedObject": subject,
        "reason": reason,
        "message": message,
        "lastTimestamp": time,
    }


def mounting(claim: str) -> Json:
    """What makes a pod mount a claim."""
    volume = {"name": "weights", "persistentVolumeClaim": {"claimName": claim}}
    return {"spec": {"volumes": [volume]}}


def claim(name: str = "weights", *over: Json, phase: str = "Pending") -> Json:
    """A claim."""
    status = {"metadata": {"uid": "new"}, "status": {"phase": phase}}
    return body("PersistentVolumeClaim", name, status, *over)


def volume(name: str = "disk-a", *over: Json, zone: str = "us-central1-a") -> Json:
    """A volume of a Persistent Disk."""
    expression = {"key": "topology.gke.io/zone", "operator": "In", "values": [zone]}
    terms = [{"matchExpressions": [expression]}]
    handle = f"projects/my-project/zones/{zone}/disks/gemma-7b"
    spec = {
        "capacity": {"storage": "1024Gi"},
        "csi": {"driver": "pd.csi.storage.gke.io", "volumeHandle": handle, "readOnly": True},
        "nodeAffinity": {"required": {"nodeSelectorTerms": terms}},
        "mountOptions": ["read_ahead_kb=4096"],
    }
    return body("PersistentVolume", name, {"spec": spec}, *over)


def servers(*statuses: Json) -> Json:
    """What gives a pod these container statuses."""
    return {"status": {"containerStatuses": list(statuses)}}


def state(kind: str, status: str, reason: str, message: str = "") -> Json:
    """A condition."""
    return {"type": kind, "status": status, "reason": reason, "message": message}


def wanting(resources: Json) -> Json:
    """What makes a pod ask for resources."""
    return {"spec": {"containers": [{"name": "vllm", "resources": {"requests": resources}}]}}


TWO_GPUS = wanting({"nvidia.com/gpu": "2"})
