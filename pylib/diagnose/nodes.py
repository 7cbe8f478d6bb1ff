"""Which nodes a waiting pod could run on, and what each lacks: labels, taints, GPUs, zones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pylib.facts import gke
from pylib.snapshot.bodies import Body, condition, dig, name_of, parts, texts, word, words
from pylib.snapshot.model import Snapshot
from pylib.snapshot.pods import containers
from pylib.validate.rules.quantities import number

_BLOCKING = ("NoSchedule", "NoExecute")


def selector_of(pod: Body) -> dict[str, str]:
    """The pod's nodeSelector."""
    return words(pod, "spec", "nodeSelector")


def labels_of(node: Body) -> dict[str, str]:
    """The node's labels."""
    return words(node, "metadata", "labels")


def matching(snapshot: Snapshot, pod: Body) -> list[Body]:
    """The nodes that carry every label of the pod's nodeSelector; none for a pod without one."""
    selector = selector_of(pod)
    return [
        node
        for node in snapshot.of("Node")
        if selector and selector.items() <= labels_of(node).items()
    ]


def untolerated(pod: Body, node: Body) -> list[Body]:
    """The node's taints that keep the pod off.

    https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/.
    """
    tolerations = parts(pod, "spec", "tolerations")
    return [
        taint
        for taint in parts(node, "spec", "taints")
        if word(taint, "effect") in _BLOCKING
        and not any(_tolerates(toleration, taint) for toleration in tolerations)
    ]


def _tolerates(toleration: Body, taint: Body) -> bool:
    key, effect = word(toleration, "key"), word(toleration, "effect")
    if effect not in ("", word(taint, "effect")) or key not in ("", word(taint, "key")):
        return False
    exists = word(toleration, "operator") == "Exists"
    return exists or bool(key and word(toleration, "value") == word(taint, "value"))


def is_ready(node: Body) -> bool:
    """Whether the node's Ready condition is true."""
    return word(condition(node, "Ready"), "status") == "True"


def allocatable(node: Body, resource: str) -> float:
    """What pods may use of a resource on the node: cores, bytes or pieces."""
    return number(dig(node, "status", "allocatable", resource)) or 0.0


def requested(pod: Body, resource: str) -> float:
    """What the pod's containers ask for together; init containers run before, and ask for less."""
    asked = (
        number(dig(container, "resources", "requests", resource))
        or number(dig(container, "resources", "limits", resource))
        or 0.0
        for container in containers(pod)
        if container not in parts(pod, "spec", "initContainers")
    )
    return sum(asked)


def zones_of_volume(volume: Body | None) -> list[str]:
    """The zones that a PersistentVolume's node affinity names; none when it names none."""
    zones: list[str] = []
    for term in parts(volume, "spec", "nodeAffinity", "required", "nodeSelectorTerms"):
        for expression in parts(term, "matchExpressions"):
            if word(expression, "key") in (gke.PD_CSI_ZONE, gke.ZONE):
                zones += texts(expression, "values")
    return list(dict.fromkeys(zones))


def zones_of_nodes(nodes: Iterable[Body]) -> list[str]:
    """The zones that nodes are in, each once."""
    found = (labels_of(node).get(gke.ZONE, "") for node in nodes)
    return sorted({zone for zone in found if zone})


def named_list(nodes: list[Body]) -> str:
    """``node a``, ``nodes a and b``, ``3 nodes``: whatever is shortest."""
    if len(nodes) == 1:
        return f"node {name_of(nodes[0])}"
    if len(nodes) == 2:
        return f"nodes {name_of(nodes[0])} and {name_of(nodes[1])}"
    return f"{len(nodes)} nodes"


def verb(nodes: list[Body], singular: str, plural: str) -> str:
    """The form of a verb that agrees with :func:`named_list`."""
    return singular if len(nodes) == 1 else plural


def pairs(selector: Mapping[str, str]) -> str:
    """A selector as kubectl takes it: ``key=value,key=value``."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
