"""What ``accept`` read of a release that is well, to be spoilt by tests.

The snapshot was taken of a real control plane with a release of one pod (tests/cluster); what lies
inside the pod and in the project stands here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pylib.accept import Check, Evidence, judge
from pylib.accept.model import Completion, Inside, Mount, Read, Reply
from pylib.cloud.records import Attached, Disk, Image, Instance
from pylib.config.model import Config
from pylib.config.parse import parse_config
from pylib.lock import Lock, parse_lock
from pylib.merge import merge_values
from pylib.snapshot import Snapshot
from tests.unit.cluster_objects import stored

POD, NODE, VOLUME = "v-a-5bc7d94b5-d4rpb", "gpu-1", "inference-v-a-r1"
IMAGE = "docker.io/vllm/vllm-openai:v0.33.0"
LINK = "projects/my-project/global/images/vllm-v0-33-0"
DISK = ("us-central1-a", "gemma-7b-r1-a")

CONFIG = """\
version: 1
project: my-project
region: us-central1
cluster: {name: vllm-cluster}
release: {name: v, namespace: inference}
model: {source: "gs://my-models/gemma/gemma-7b", sizeGiB: 16}
weights: {kind: disk, type: pd-ssd, sizeGiB: 1024, readAheadKiB: 4096}
imageCache: {name: vllm-v0-33-0, images: [docker.io/vllm/vllm-openai:v0.33.0]}
cells:
  - name: a
    zone: us-central1-a
    nodePool: {name: vllm-l4}
    machineType: g2-standard-24
    accelerator: {type: nvidia-l4, count: 2}
serving: {vllmVersion: "0.33.0"}
autoscaling: {source: stackdriver, metric: running}
"""
LOCK = """\
version: 1
imageCache:
  project: my-project
  name: vllm-v0-33-0
  id: "7"
  images: [{reference: "docker.io/vllm/vllm-openai:v0.33.0"}]
weights:
  current: r1
  revisions:
    - name: r1
      disks:
        a: {name: gemma-7b-r1-a, zone: us-central1-a, type: pd-ssd, sizeGiB: 1024, id: "8"}
"""
BAKED = Image("my-project", "vllm-v0-33-0", "7", "READY", {"bake-phase": "published"}, "f")
MADE = Disk("gemma-7b-r1-a", "8", "us-central1-a", "READY", 1024, "pd-ssd", {})
HELD = Attached("gemma-7b-r1-a", "gemma-7b-r1-a", read_only=True, boot=False, auto_delete=False)
VM = Instance(NODE, "9", "us-central1-a", "RUNNING", {}, (HELD,))
MOUNT = Mount("8:32", ("ro", "relatime"), "ext4", "/dev/sdc")
SERVED = Completion(Reply(200, " four", 0.05), Reply(200, " four, five", 0.61), 16)
LINE = (
    'time="2025-11-24T04:57:56.618783699Z" level=info msg="Image {image} is backed by secondary '
    'boot disk caching by {disk}% ({layers} layers), by image streaming by {rest}% (0/27 layers)."'
)
ALL = LINE.format(image=IMAGE, disk="100.0", layers="27/27", rest="0.0")
"""A message of GKE's snapshotter, as a user posted it."""


def config(**over: Any) -> Config:
    """The config, with fields replaced."""
    return parse_config(CONFIG).model_copy(update=over)


def lock(**over: Any) -> Lock:
    """Its lock, with fields replaced."""
    return parse_lock(LOCK).model_copy(update=over)


def inside(**over: Any) -> Inside:
    """What a look into the pod saw."""
    return replace(Inside(Read(MOUNT), Read(4096), Read(SERVED)), **over)


def evidence(**over: Any) -> Evidence:
    """All is well, but for what a test says."""
    attached = {"metadata": {"name": "csi-0123456789ab"}, "status": {"attached": True}}
    well = Evidence(
        snapshot=stored("accepted"),
        config=config(),
        lock=lock(),
        inside={POD: inside()},
        vms={NODE: Read(VM)},
        snapshotter={NODE: Read((ALL,))},
        attachments={(NODE, VOLUME): Read(attached)},
        images={LINK: Read(BAKED)},
        disks={DISK: Read(MADE)},
    )
    return replace(well, **over)


def changed(kind: str, over: dict[str, Any], base: Snapshot | None = None) -> Snapshot:
    """The snapshot with its objects of a kind changed."""
    found = base or stored("accepted")
    objects = [
        merge_values(dict(body), over) if body["kind"] == kind else body for body in found.objects
    ]
    return replace(found, objects=tuple(objects))


def without(*kinds: str) -> Snapshot:
    """The snapshot without objects of these kinds."""
    found = stored("accepted")
    return replace(found, objects=tuple(it for it in found.objects if it["kind"] not in kinds))


def one(name: str, **over: Any) -> Check:
    """The only check of a name."""
    [found] = [check for check in judge(evidence(**over)) if check.name == name]
    return found


def verdict(name: str, **over: Any) -> tuple[str, str]:
    """State and reason of the only check of a name."""
    found = one(name, **over)
    assert bool(found.why) == bool(found.next) == (found.state.value != "passed")
    return found.state.value, found.why
