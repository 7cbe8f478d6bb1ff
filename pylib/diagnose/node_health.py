"""Pods that lost their node: preempted, evicted, refused by the kubelet; nodes that went away."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.diagnose import nodes
from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.scene import Scene
from pylib.diagnose.wording import sentence
from pylib.facts import gke
from pylib.snapshot.bodies import Body, condition, name_of, ref_of, word, words
from pylib.snapshot.plain import plain

_DISRUPTED = {
    "PreemptionByScheduler": "the scheduler gave its place to a pod of higher priority",
    "DeletionByTaintManager": "its node was tainted, as a node that goes away is",
    "EvictionByEvictionAPI": "a drain evicted it",
    "DeletionByPodGC": "its node is gone",
    "TerminationByKubelet": "its node ended it",
}
"""Reasons of the pod condition DisruptionTarget:
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions."""


def causes(scene: Scene) -> Iterator[Cause]:
    """What happened to nodes under pods."""
    for pod in scene.snapshot.of("Pod"):
        if word(pod, "status", "phase") == "Failed":
            yield from _ended(scene, pod)
        elif word(pod, "spec", "nodeName"):
            yield from _on_node(scene, pod)


def _ended(scene: Scene, pod: Body) -> Iterator[Cause]:
    reason, message = word(pod, "status", "reason"), word(pod, "status", "message")
    disrupted = condition(pod, "DisruptionTarget")
    if word(disrupted, "status") == "True":
        why = _DISRUPTED.get(word(disrupted, "reason"), sentence(word(disrupted, "message")))
        said = f" ({sentence(message)})" if message else ""
        yield _lost(scene, pod, "preempted", f"was ended: {why}{said}")
    elif reason in ("Evicted", "Preempting", "NodeShutdown", "Terminated", "NodeLost"):
        yield _lost(scene, pod, "preempted", f"was ended ({reason}): {sentence(message)}")
    elif reason.startswith(("OutOf", "UnexpectedAdmissionError", "Node")):
        yield Cause(
            "refused-by-node",
            Severity.WARNING,
            ref_of(pod),
            f"node {word(pod, 'spec', 'nodeName')} refused it ({plain(reason)}): "
            f"{sentence(message)}",
            scene.kubectl(f"delete pod {name_of(pod)}") + "  # the Deployment has made another",
        )


def _lost(scene: Scene, pod: Body, code: str, message: str) -> Cause:
    spot = " Its node was a Spot VM." if gke.SPOT in words(pod, "spec", "nodeSelector") else ""
    return Cause(
        code,
        Severity.WARNING,
        ref_of(pod),
        f"{message}{'.' if spot else ''}{spot}".rstrip("."),
        scene.kubectl("get pods -o wide") + "  # the Deployment makes another",
    )


def _on_node(scene: Scene, pod: Body) -> Iterator[Cause]:
    name = word(pod, "spec", "nodeName")
    node = scene.snapshot.get("Node", name)
    if node is None and scene.snapshot.could_read("Node"):
        yield Cause(
            "node-lost",
            Severity.ERROR,
            ref_of(pod),
            f"runs on node {name}, which is gone; Kubernetes removes the pod within minutes",
            scene.kubectl(f"delete pod {name_of(pod)} --force --grace-period=0"),
        )
    elif node is not None and not nodes.is_ready(node):
        ready = condition(node, "Ready")
        said = sentence(word(ready, "message")) or "it does not say why"
        yield Cause(
            "node-lost",
            Severity.ERROR,
            f"Node/{name}",
            f"is not ready, with {name_of(pod)} on it: {said}",
            f"kubectl describe node {name}",
        )
