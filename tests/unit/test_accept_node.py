"""Acceptance of what lies on the node: image, disk, mount, read-ahead; and of what was baked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pylib.accept.image import backed, log_filter
from pylib.accept.inside import mount_at, read_ahead_files
from pylib.accept.model import Mount, Read
from pylib.lock import Lock
from tests.unit.accepted import (
    ALL,
    BAKED,
    DISK,
    HELD,
    IMAGE,
    LINE,
    LINK,
    MADE,
    MOUNT,
    NODE,
    POD,
    VM,
    VOLUME,
    changed,
    evidence,
    inside,
    lock,
    one,
    verdict,
    without,
)
from tests.unit.cluster_objects import stored

NODE_DISK = "image cache disk of the node"
CACHE = "image from the node's cache"
ATTACHED = "weights disk attached READ_ONLY"
READ_ONLY = "weights mounted read-only"
READ_AHEAD = "read-ahead of the mounted device"

# --- image ----------------------------------------------------------------------------------------


def told(*messages: str) -> dict[str, Any]:
    """Evidence of what the node's snapshotter wrote, the newest first."""
    return {"snapshotter": {NODE: Read(messages)}}


def pulled(message: str) -> dict[str, Any]:
    """Evidence of the pod's pull, as an Event tells it."""
    found = stored("accepted")
    objects = [
        {**body, "message": message} if body.get("reason") == "Pulled" else body
        for body in found.objects
    ]
    return {"snapshot": replace(found, objects=tuple(objects))}


def test_the_share_that_came_from_the_disk_is_said() -> None:
    assert one(CACHE).seen == (
        "already present on the node; 100% from the disk (27/27 layers), 0% streamed"
    )


def test_a_silent_miss_and_a_part_of_one_fail() -> None:
    none = LINE.format(image=IMAGE, disk="0.0", layers="0/27", rest="100.0")
    state, why = verdict(CACHE, **told(none))
    assert state == "failed"
    assert why.startswith("nothing came from the disk, in silence")
    some = LINE.format(image=IMAGE, disk="96.3", layers="26/27", rest="3.7")
    state, why = verdict(CACHE, **told(some))
    assert state == "failed"
    assert why.startswith("some layers are not on the node's disk")
    assert verdict(CACHE, **told(ALL, none)) == ("passed", "")


def test_without_a_word_of_the_snapshotter_a_fast_pull_proves_nothing() -> None:
    for read in (Read(None, "logging: denied"), Read(()), Read((ALL.replace("v0.33", "v0.32"),))):
        state, why = verdict(CACHE, snapshotter={NODE: read})
        assert state == "unchecked"
        assert why.startswith("streaming from the registry looks the same from here, and ")
    found = one(CACHE, snapshotter={NODE: Read(None, "logging: denied")})
    assert found.why.endswith("logging: denied")
    assert found.next.startswith("gcloud logging read 'logName=\"projects/my-project/logs/gcfs-")


def test_a_slow_pull_and_an_event_of_streaming_tell_without_a_log() -> None:
    silent: dict[str, Any] = {"snapshotter": {NODE: Read(None, "away")}}
    slow = f'Successfully pulled image "{IMAGE}" in 3m1s (3m2s including waiting).'
    found = one(CACHE, **pulled(slow), **silent)
    assert (found.state.value, found.seen) == ("failed", "pulled in 182.0 s")
    fast = f'Successfully pulled image "{IMAGE}" in 2.6s (2.6s including waiting).'
    assert one(CACHE, **pulled(fast), **silent).state.value == "unchecked"
    snapshot = stored("accepted")
    node = snapshot.get("Node", NODE) or {}
    event = {
        "kind": "Event",
        "metadata": {"name": "e"},
        "reason": "ImageStreaming",
        "message": f"Image {IMAGE} is backed by image streaming.",
        "involvedObject": {"kind": "Node", "name": node["metadata"]["name"]},
    }
    streamed = replace(snapshot, objects=(*snapshot.objects, event))
    state, why = verdict(CACHE, snapshot=streamed, **silent)
    assert state == "failed"
    assert why.startswith("an Event of the node says that it is streamed")


@pytest.mark.parametrize(
    ("asked", "logged", "same"),
    [
        ("vllm/vllm-openai:v1", "docker.io/vllm/vllm-openai:v1", True),
        ("python", "docker.io/library/python:latest", True),
        ("docker.io/a/b:t@sha256:1f", "docker.io/a/b@sha256:1f", True),
        ("localhost:5000/a:t", "localhost:5000/a:t", True),
        ("docker.io/a/b:t", "docker.io/a/b:u", False),
        ("docker.io/a/b:t", "docker.io/a/b@sha256:1f", False),
    ],
)
def test_a_reference_is_the_same_in_each_spelling(asked: str, logged: str, same: bool) -> None:
    message = LINE.format(image=logged, disk="100.0", layers="3/3", rest="0.0")
    assert (backed((message,), asked) is not None) is same


def test_the_log_is_asked_for_one_node_since_it_is_there() -> None:
    found = log_filter(stored("accepted"), "my-project", NODE)
    assert f'resource.labels.node_name="{NODE}"' in found
    created = (stored("accepted").get("Node", NODE) or {})["metadata"]["creationTimestamp"]
    assert found.endswith(f'timestamp>="{created}"')


def test_a_node_of_a_pool_without_the_image_fails() -> None:
    assert verdict(NODE_DISK, lock=lock(imageCache=None)) == ("passed", "")
    cache = lock().imageCache
    assert cache is not None
    other = lock(imageCache=cache.model_copy(update={"name": "other"}))
    assert verdict(NODE_DISK, lock=other) == ("failed", "its pool was not made with other")
    assert verdict(NODE_DISK, snapshot=without("Node")) == ("unchecked", "the node was not read")


# --- disk -----------------------------------------------------------------------------------------


def test_the_disk_is_attached_read_only_by_both_accounts() -> None:
    assert one(ATTACHED).seen == "attached READ_ONLY, VolumeAttachment/csi-01234567… attached"


@pytest.mark.parametrize(
    ("disks", "why"),
    [
        ((), f"VM {NODE} does not have the disk that its pod mounts"),
        ((replace(HELD, read_only=False),), "so no other node can attach it: "),
    ],
)
def test_a_disk_that_is_not_there_or_writable_fails(disks: Any, why: str) -> None:
    state, reason = verdict(ATTACHED, vms={NODE: Read(replace(VM, disks=disks))})
    assert state == "failed"
    assert reason.startswith(why)


def test_an_attachment_that_kubernetes_does_not_have_fails() -> None:
    for found in (None, {"metadata": {"name": "csi-0"}, "status": {"attached": False}}):
        assert verdict(ATTACHED, attachments={(NODE, VOLUME): Read(found)})[0] == "failed"
    unread = {(NODE, VOLUME): Read[Any](None, "forbidden")}
    assert one(ATTACHED, attachments=unread).seen == (
        "attached READ_ONLY, VolumeAttachment not read"
    )


def test_a_vm_or_a_volume_that_was_not_read_is_not_judged() -> None:
    assert verdict(ATTACHED, vms={NODE: Read(None, "denied")}) == ("unchecked", "denied")
    why = f"Compute Engine knows no VM {NODE}"
    assert verdict(ATTACHED, vms={NODE: Read()}) == ("unchecked", why)
    assert verdict(ATTACHED, snapshot=without("PersistentVolume"))[0] == "unchecked"
    other = changed("PersistentVolume", {"spec": {"csi": {"driver": "else"}}})
    assert verdict(ATTACHED, snapshot=other)[0] == "unchecked"


# --- mount ----------------------------------------------------------------------------------------


def test_the_uppermost_mount_at_the_path_is_taken() -> None:
    text = (
        "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "30 24 8:16 / /model-data rw,relatime shared:1 master:2 - ext4 /dev/sdb rw\n"
        "31 30 8:32 /a\\040b /model-data ro,relatime - ext4 /dev/s\\040c ro\n"
        "32 24 0:5 / /model-data/more rw - tmpfs tmpfs rw\nshort\n"
    )
    assert mount_at(text, "/model-data") == Mount("8:32", ("ro", "relatime"), "ext4", "/dev/s c")
    assert mount_at(text, "/else") is None
    assert read_ahead_files("8:32")[0] == "/sys/dev/block/8:32/queue/read_ahead_kb"


def test_a_mount_that_may_be_written_or_is_not_there_fails() -> None:
    writable = replace(MOUNT, options=("rw", "relatime"))
    found = one(READ_ONLY, inside={POD: inside(mount=Read(writable))})
    assert (found.state.value, found.seen) == (
        "failed",
        "/model-data is rw,relatime, ext4 of /dev/sdc",
    )
    nothing = {POD: inside(mount=Read(), read_ahead_kib=Read())}
    why = "nothing is mounted at /model-data"
    assert verdict(READ_ONLY, inside=nothing) == ("failed", why)
    assert verdict(READ_AHEAD, inside=nothing) == ("unchecked", why)


def test_a_read_ahead_of_another_size_fails_and_the_kernels_rounding_does_not() -> None:
    state, why = verdict(READ_AHEAD, inside={POD: inside(read_ahead_kib=Read(128))})
    assert state == "failed"
    assert why.startswith("the driver sets it when the first pod of a node mounts the volume")
    odd = changed("PersistentVolume", {"spec": {"mountOptions": ["read_ahead_kb=4099"]}})
    assert verdict(READ_AHEAD, snapshot=odd) == ("passed", "")
    none = changed("PersistentVolume", {"spec": {"mountOptions": ["noatime"]}})
    with pytest.raises(ValueError, match="not enough values"):
        one(READ_AHEAD, snapshot=none)


def test_a_pod_that_lets_nobody_look_shows_the_command() -> None:
    refused = Read[Any](None, "exec in Pod/x: forbidden (HTTP 403)")
    shut = {POD: inside(mount=refused, read_ahead_kib=refused)}
    for name, words in (
        (READ_ONLY, "grep /model-data /proc/self/mountinfo"),
        (READ_AHEAD, "cat /sys/"),
    ):
        found = one(name, inside=shut)
        assert found.state.value == "unchecked"
        assert f" exec {POD} -c vllm -- {words}" in found.next
    assert one(READ_ONLY, inside={}).state.value == "unchecked"
    assert verdict(READ_AHEAD, snapshot=without("PersistentVolume"))[0] == "unchecked"


# --- baked ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "state", "why"),
    [
        (Read(None, "denied"), "unchecked", "denied"),
        (Read(), "failed", "project my-project has no such image"),
        (Read(replace(BAKED, id="1")), "failed", "the lock file says id 7: this is another one"),
        (Read(replace(BAKED, status="PENDING")), "failed", "it is not READY"),
        (Read(replace(BAKED, labels={})), "failed", "its label bake-phase is none, not published"),
    ],
)
def test_an_image_that_is_not_the_one_of_the_lock_fails(read: Any, state: str, why: str) -> None:
    found, reason = verdict("baked image", images={LINK: read})
    assert found == state
    assert reason.startswith(why)


@pytest.mark.parametrize(
    ("read", "state", "why"),
    [
        (Read(None, "denied"), "unchecked", "denied"),
        (Read(), "failed", "project my-project has no such disk"),
        (Read(replace(MADE, id="1")), "failed", "the lock file says id 8: this is another one"),
        (Read(replace(MADE, status="CREATING")), "failed", "it is not READY"),
    ],
)
def test_a_disk_that_is_not_the_one_of_the_lock_fails(read: Any, state: str, why: str) -> None:
    found, reason = verdict("weights disk made", disks={DISK: read})
    assert found == state
    assert reason.startswith(why)


def test_an_image_of_somebody_else_needs_no_label_and_an_empty_lock_says_nothing() -> None:
    config = evidence().config
    theirs = config.imageCache.model_copy(update={"existing": True})
    bare = {LINK: Read(replace(BAKED, labels={}))}
    update = {"imageCache": theirs}
    assert (
        verdict("baked image", images=bare, config=config.model_copy(update=update))[0] == "passed"
    )
    for name in ("baked image", "weights disk made"):
        assert verdict(name, lock=Lock(version=1))[0] == "unchecked"
