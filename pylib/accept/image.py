"""Whether the image came from the node's secondary boot disk, and not over the network.  Pure.

GKE's snapshotter says of each image by how much it is backed by what, in Cloud Logging:
https://cloud.google.com/kubernetes-engine/docs/how-to/data-container-image-preloading; in full, as
posted by users: ``level=info msg="Image docker.io/vllm/vllm-openai:v0.10.0 is backed by secondary
boot disk caching by 100.0% (27/27 layers), by image streaming by 0.0% (0/27 layers)."``
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pylib.accept.found import node_of
from pylib.accept.model import Check, Evidence, State
from pylib.diagnose.scene import server_of
from pylib.facts import gke
from pylib.snapshot.bodies import Body, name_of, word, words
from pylib.snapshot.model import Snapshot
from pylib.snapshot.plain import plain
from pylib.snapshot.pulls import Pull, pull_of

NODE_DISK = "image cache disk of the node"
CACHE = "image from the node's cache"

SLOW_SECONDS = 60.0
"""A pull that takes longer moved data: the tutorial's, from a cache, takes 2.6 s."""

_BACKED = re.compile(
    r"Image (?P<image>\S{1,500}) is backed by secondary boot disk caching by "
    r"(?P<disk>[\d.]{1,6})% \((?P<layers>\d+/\d+) layers\), by image streaming by "
    r"(?P<streamed>[\d.]{1,6})%"
)


@dataclass(frozen=True)
class Backed:
    """What an image's layers come from, in percent; ``layers`` are those of the cache."""

    disk: float
    streamed: float
    layers: str


def checks(evidence: Evidence, pod: Body) -> Iterator[Check]:
    """The node has the disk, and the image came from it."""
    yield _node_disk(evidence, node_of(pod))
    yield _cache(evidence, pod)


def log_filter(snapshot: Snapshot, project: str, node: str) -> str:
    """What the snapshotter of a node wrote since the node is there, in Cloud Logging's language."""
    since = word(snapshot.get("Node", node), "metadata", "creationTimestamp")
    conditions = [
        f'logName="projects/{project}/logs/gcfs-snapshotter"',
        f'resource.labels.node_name="{node}"',
        '"secondary boot disk caching"',  # in whichever field the text is
        *([f'timestamp>="{since}"'] if since else []),
    ]
    return " AND ".join(conditions)


def backed(messages: tuple[str, ...], image: str) -> Backed | None:
    """The newest word about an image; ``messages`` come the newest first."""
    for message in messages:
        match = _BACKED.search(message)
        if match and _same(match["image"], image):
            return Backed(float(match["disk"]), float(match["streamed"]), match["layers"])
    return None


def _same(one: str, other: str) -> bool:
    """Whether two references are one image: containerd writes Docker Hub's host in full, and the
    digest in place of a tag that stands before one."""
    return _whole(one) == _whole(other)


def _whole(reference: str) -> str:
    name, at, digest = reference.partition("@")
    host = name.partition("/")[0]
    if not ({".", ":"} & set(host) or host == "localhost") or "/" not in name:
        name = f"docker.io/{name if '/' in name else f'library/{name}'}"
    if at:
        return f"{re.sub(r':[^:/]+$', '', name)}@{digest}"
    return name if re.search(r":[^:/]+$", name) else f"{name}:latest"


def _node_disk(evidence: Evidence, node: str) -> Check:
    """By the label that GKE gives a node for each secondary boot disk."""
    about = f"Node/{node}"
    command = evidence.kubectl(f"get node {node} --show-labels")
    body = evidence.snapshot.get("Node", node)
    if body is None:
        why = "the node was not read"
        return Check(NODE_DISK, about, State.UNCHECKED, why=why, next=command)
    prefix, labels = gke.SECONDARY_BOOT_DISK_LABEL, words(body, "metadata", "labels")
    found = {key.removeprefix(prefix): it for key, it in labels.items() if key.startswith(prefix)}
    seen = ", ".join(f"{name} ({value})" for name, value in found.items()) or "none"
    wanted = evidence.lock.imageCache.name if evidence.lock.imageCache else ""
    if found and (not wanted or wanted in found):
        return Check(NODE_DISK, about, State.PASSED, seen)
    why = f"its pool was not made with {wanted or 'a secondary boot disk'}"
    command = f"python -m pylib up -f {evidence.config_file}"
    return Check(NODE_DISK, about, State.FAILED, seen, why, command)


def _cache(evidence: Evidence, pod: Body) -> Check:
    image, node = word(server_of(pod), "image"), node_of(pod)
    about = f"Pod/{name_of(pod)}"
    pull = pull_of(evidence.snapshot.events_of(pod), image)
    seen = _pulled(pull)
    read = evidence.snapshotter.get(node)
    told = backed(read.found or (), image) if read else None
    command = _read_log(evidence, node)
    if told is not None:
        return _told(about, f"{seen}; {_shares(told)}", told, command)
    if _streams(evidence.snapshot, node, image):
        why = "an Event of the node says that it is streamed: its layers come over the network"
        return Check(CACHE, about, State.FAILED, seen, why, command)
    if pull.pulled and (pull.seconds or 0.0) > SLOW_SECONDS:
        why = "from a cache it takes seconds: it was pulled from its registry"
        return Check(CACHE, about, State.FAILED, seen, why, command)
    reason = read.why_not if read else ""
    why = reason or "the node's snapshotter has written nothing about the image"
    why = f"streaming from the registry looks the same from here, and {plain(why)}"
    return Check(CACHE, about, State.UNCHECKED, seen, why, command)


def _told(about: str, seen: str, told: Backed, command: str) -> Check:
    if told.disk >= 100:
        return Check(CACHE, about, State.PASSED, seen)
    if told.disk > 0:
        why = "some layers are not on the node's disk: the image cache is of another build of it"
    else:
        why = (
            "nothing came from the disk, in silence: the image on it is another one, or not of the "
            "layout that GKE reads"
        )
    return Check(CACHE, about, State.FAILED, seen, why, command)


def _shares(told: Backed) -> str:
    return f"{told.disk:g}% from the disk ({told.layers} layers), {told.streamed:g}% streamed"


def _pulled(pull: Pull) -> str:
    if not pull.done:
        return "no Event tells of its pull"
    if not pull.pulled:
        return "already present on the node"
    return f"pulled in {pull.seconds:.1f} s" if pull.seconds is not None else "pulled"


def _streams(snapshot: Snapshot, node: str, image: str) -> bool:
    body = snapshot.get("Node", node)
    for event in snapshot.events_of(body) if body else ():
        match = re.search(r"Image (\S{1,500}) is backed by image streaming", word(event, "message"))
        if word(event, "reason") == "ImageStreaming" and match and _same(match[1], image):
            return True
    return False


def _read_log(evidence: Evidence, node: str) -> str:
    project = evidence.config.project
    which = log_filter(evidence.snapshot, project, node)
    fields = "--format='value(jsonPayload.MESSAGE,textPayload)'"
    return f"gcloud logging read '{which}' --project={project} {fields}"
