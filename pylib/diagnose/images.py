"""Images that do not come, and images that came the slow way although a cache should hold them.

Reasons and words: kubernetes/kubernetes pkg/kubelet/images/image_manager.go@v1.36.3 and containerd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.scene import Scene, container_statuses, server_of
from pylib.diagnose.wording import gke_project, seconds
from pylib.facts import gke
from pylib.snapshot.bodies import Body, name_of, ref_of, word, words
from pylib.snapshot.model import event_time
from pylib.snapshot.plain import plain
from pylib.snapshot.pulls import pull_of

_FAILED = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
)
SLOW_SECONDS = 30.0
"""A cached or streamed image is there in seconds, whatever its size; a pull takes minutes:
https://cloud.google.com/kubernetes-engine/docs/how-to/data-container-image-preloading."""

# What a registry answers, why, and whether waiting may help.
_REASONS = (
    (r"not found|manifest unknown|NAME_UNKNOWN", "the registry has no such image or tag", True),
    (r"no match for platform", "the image is not made for this machine's architecture", True),
    (
        r"couldn't parse image|invalid reference format|InvalidImageName",
        "it is no image name",
        True,
    ),
    (
        r"401|403|[Uu]nauthorized|[Ff]orbidden|denied|authentication required",
        "the registry refuses the node's credentials",
        True,
    ),
    (r"429|toomanyrequests|rate limit", "the registry's rate limit is used up", False),
    (r"no space left on device", "the node's disk is full", False),
    (
        r"i/o timeout|no such host|connection refused|dial tcp|TLS handshake",
        "the node does not reach the registry",
        False,
    ),
    (r"pull policy of Never", "it is not on the node, and pulling is forbidden", True),
)


def causes(scene: Scene) -> Iterator[Cause]:
    """Images that failed, and images that were not cached."""
    for pod in scene.pods():
        failed = list(_failed(scene, pod))
        yield from failed
        if not failed:
            yield from _not_cached(scene, pod)


def _failed(scene: Scene, pod: Body) -> Iterator[Cause]:
    for status in container_statuses(pod):
        reason = word(status, "state", "waiting", "reason")
        if reason not in _FAILED:
            continue
        said = word(status, "state", "waiting", "message")
        image = plain(word(status, "image"), 200)
        why, final = _why(f"{reason}: {said}")
        yield Cause(
            "image-pull-failed",
            Severity.ERROR,
            ref_of(pod),
            f"cannot pull {image}: {why} ({plain(said, 240)})",
            _next(scene, pod, image, why),
            final=final,
        )
        return


def _why(text: str) -> tuple[str, bool]:
    for pattern, why, final in _REASONS:
        if re.search(pattern, text):
            return why, final
    return "the pull failed", False


def _next(scene: Scene, pod: Body, image: str, why: str) -> str:
    if "credentials" in why:
        return (
            "set imagePullSecrets in the values, or give the nodes' service account "
            "roles/artifactregistry.reader: "
            f"gcloud projects get-iam-policy {gke_project(scene.snapshot.context)}"
        )
    if "no such image" in why or "no image name" in why:
        return f"set image.repository, image.tag and image.digest in the values (now {image})"
    return scene.kubectl(f"describe pod {name_of(pod)}")


def _not_cached(scene: Scene, pod: Body) -> Iterator[Cause]:
    """Slow pulls of images that the values say lie in the node's image cache."""
    if not words(pod, "metadata", "annotations").get(gke.CACHED_IMAGES):
        return
    image = word(server_of(pod), "image")
    pull = pull_of(scene.snapshot.events_of(pod), image)
    slow = pull.seconds if pull.done else scene.age(pull.started)
    if pull.pulled and slow is not None and slow > SLOW_SECONDS:
        took = "took" if pull.done else "has taken"
        yield Cause(
            "image-not-cached",
            Severity.WARNING,
            ref_of(pod),
            f"the pull of {plain(image, 200)} {took} {seconds(slow)}, although imageCache.images "
            f"says that nodes hold it{_node_says(scene, pod)}",
            _log_of_node(scene, pod),
        )


def _node_says(scene: Scene, pod: Body) -> str:
    node = scene.snapshot.get("Node", word(pod, "spec", "nodeName"))
    if node is None:
        return ""
    wanted = [
        key
        for key in words(pod, "spec", "nodeSelector")
        if key.startswith(gke.SECONDARY_BOOT_DISK_LABEL)
    ]
    labels = words(node, "metadata", "labels")
    if any(key not in labels for key in wanted):
        return f": node {name_of(node)} has no secondary boot disk label"
    streamed = [
        event
        for event in scene.events(node, "ImageStreaming")
        if event_time(event) >= word(pod, "metadata", "creationTimestamp")
    ]
    return f": node {name_of(node)} streamed it instead" if streamed else ""


def _log_of_node(scene: Scene, pod: Body) -> str:
    project = gke_project(scene.snapshot.context)
    return (
        f'gcloud logging read \'log_id("gcfs-snapshotter") "secondary boot disk caching" '
        f'"{word(pod, "spec", "nodeName")}"\' --project={project} --limit=5'
    )
