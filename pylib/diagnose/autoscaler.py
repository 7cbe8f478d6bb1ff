"""What the cluster autoscaler says about a waiting pod, in Events on the pod.

Reasons and words of the open-source one: kubernetes/autoscaler cluster-autoscaler/FAQ.md; GKE's own
adds FailedScaleUp, with Compute Engine's reason in the message:
https://cloud.google.com/kubernetes-engine/docs/troubleshooting/cluster-autoscaler-scale-up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.nodes import selector_of
from pylib.diagnose.scene import Scene
from pylib.diagnose.wording import gke_cluster, gke_project, seconds, sentence
from pylib.facts import gke
from pylib.snapshot.bodies import Body, ref_of, word
from pylib.snapshot.model import event_time
from pylib.snapshot.plain import plain

ADDED = "TriggeredScaleUp"
FAILED = "FailedScaleUp"
REFUSED = "NotTriggerScaleUp"

_AT_MOST = "max node group size reached"
_BACKOFF = "in backoff after failed scale-up"
_ZONE = re.compile(r"scale up in zones (\S+) associated")


def causes(scene: Scene, pod: Body) -> Iterator[Cause]:
    """The newest word of the autoscaler about a pod; nothing when it is silent."""
    said = scene.events(pod, ADDED, FAILED, REFUSED)
    if not said:
        return
    failed = [event for event in said if word(event, "reason") == FAILED]
    reason = word(said[0], "reason")
    if reason == ADDED:
        yield _adding(scene, pod, said[0])
    elif failed:
        # After a failure it backs off and says only that it does; the failure says why.
        yield _failed(scene, pod, word(failed[0], "message"))
    else:
        yield _refused(scene, pod, word(said[0], "message"))


def would_not_fit(scene: Scene, pod: Body) -> bool:
    """Whether the autoscaler's newest word is that no node it may add would take the pod."""
    said = scene.events(pod, ADDED, FAILED, REFUSED)
    message = word(said[0], "message") if said else ""
    known = (_AT_MOST, _BACKOFF)
    return bool(
        said and word(said[0], "reason") == REFUSED and not any(text in message for text in known)
    )


def _adding(scene: Scene, pod: Body, event: Body) -> Cause:
    since = seconds(scene.age(event_time(event)))
    return Cause(
        "scaling-up",
        Severity.NOTE,
        ref_of(pod),
        f"waits for a new node, which the cluster autoscaler asked for {since} ago",
        "kubectl get nodes --watch",
    )


def _failed(scene: Scene, pod: Body, message: str) -> Cause:
    match = _ZONE.search(message)
    zone = plain(match[1]) if match else "its zone"
    project = gke_project(scene.snapshot.context)
    if "out of resources" in message:
        why = f"Compute Engine has no such machine left in {zone} (GCE out of resources)"
        command = "add a cell in another zone, or reserve the machines: gcloud compute reservations"
    elif "quota exceeded" in message:
        region = zone.rpartition("-")[0] or "REGION"
        why = f"the project's quota in {zone} is used up (GCE quota exceeded)"
        command = f"gcloud compute regions describe {region} --project={project}  # quotas"
    elif "IP space exhausted" in message:
        why = "the cluster's range of pod or node addresses is used up (IP space exhausted)"
        command = f"gcloud container clusters describe {_positional(scene)}"
    else:
        why = sentence(message)
        command = _events_command(scene)
    return Cause(
        "autoscaler-cannot-scale",
        Severity.ERROR,
        ref_of(pod),
        f"needs a new node, and adding one failed: {why}",
        command,
    )


def _refused(scene: Scene, pod: Body, message: str) -> Cause:
    pool = selector_of(pod).get(gke.NODE_POOL, "POOL")
    flags = gke_cluster(scene.snapshot.context)
    said = sentence(message.partition("scale-up")[2].strip(": ")) or "it gave no reason"
    if _AT_MOST in message:
        why = f"node pool {pool} is at its largest size ({said})"
        command = f"gcloud container node-pools update {pool} {flags} --max-nodes=MORE"
    elif _BACKOFF in message:
        why = f"an earlier try failed and it waits before the next ({said})"
        command = _events_command(scene)
    else:
        why = f"the pod would not fit a new node either ({said})"
        command = f"gcloud container node-pools describe {pool} {flags}"
    return Cause(
        "autoscaler-cannot-scale",
        Severity.ERROR,
        ref_of(pod),
        f"needs a new node, and the cluster autoscaler adds none: {why}",
        command,
    )


def _positional(scene: Scene) -> str:
    return gke_cluster(scene.snapshot.context).removeprefix("--cluster=")


def _events_command(scene: Scene) -> str:
    return scene.kubectl("get events --field-selector reason=FailedScaleUp")
