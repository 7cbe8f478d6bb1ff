"""What lies outside the release: nodes, who holds their GPUs, Events, volume attachments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from pylib.facts import gke
from pylib.snapshot.bodies import Body, condition, dig, name_of, part, word, words
from pylib.snapshot.model import Tenant, event_time
from pylib.snapshot.pods import claim_names, containers, pod_spec
from pylib.snapshot.reader import Reader

METRICS_APIS = (
    "v1beta2.custom.metrics.k8s.io",
    "v1beta1.custom.metrics.k8s.io",
    "v1beta1.external.metrics.k8s.io",
)
"""Registrations of the metrics APIs, the newest first."""
EVENTS_OF_ONE = 40
"""Events kept of one object, the newest."""
NODES = 50
"""Nodes, and pods, for which something is asked one by one."""
NODES_ONE_BY_ONE = 10
"""Nodes up to which Events are asked one by one; the Events of all nodes are one request."""


def nodes(
    reader: Reader, workloads: list[Body], pods: list[Body]
) -> tuple[list[Body], dict[str, int]]:
    """Nodes that the release may run on or does run on; and, where a selector finds none, how many
    nodes carry each of its labels."""
    found: dict[str, Body] = {}
    counts: dict[str, int] = {}
    for selector in _selectors(workloads):
        joined = ",".join(selector)
        matching = reader.many("v1", "Node", labels=joined, namespace=None)
        found |= {name_of(node): node for node in matching}
        if not matching and "Node" not in reader.unread:
            counts |= _counts(reader, selector, found)
    for name in dict.fromkeys(word(pod, "spec", "nodeName") for pod in pods):
        node = (
            reader.one("v1", "Node", name, namespace=None) if name and name not in found else None
        )
        if node:
            found[name] = node
    return list(found.values()), counts


def _selectors(workloads: Iterable[Body]) -> list[tuple[str, ...]]:
    """The node selectors, each once, as sorted ``key=value``; a pod without one may go anywhere."""
    found = (
        tuple(
            sorted(f"{key}={value}" for key, value in words(pod_spec(body), "nodeSelector").items())
        )
        for body in workloads
    )
    return [selector for selector in dict.fromkeys(found) if selector]


def _counts(reader: Reader, selector: tuple[str, ...], found: dict[str, Body]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for label in selector:
        carrying = reader.many("v1", "Node", labels=label, namespace=None)
        counts[label] = len(carrying)
        # The node pool's nodes say where it is, when it is not where the pod wants to go.
        if label.startswith(f"{gke.NODE_POOL}="):
            found |= {name_of(node): node for node in carrying[:NODES]}
    return counts


def tenants(reader: Reader, pods: list[Body], all_nodes: list[Body]) -> tuple[Tenant, ...]:
    """Who holds GPUs of the nodes, asked only while a pod of the release waits for a node."""
    waiting = any(not word(pod, "spec", "nodeName") for pod in pods)
    found: list[Tenant] = []
    for node in all_nodes[:NODES] if waiting else []:
        name = name_of(node)
        fields = f"spec.nodeName={name},status.phase!=Succeeded,status.phase!=Failed"
        on_node = reader.whole("pods of other namespaces", "v1", "Pod", None, fields=fields)
        for pod in on_node:
            if gpus := gpus_of(pod):
                owner = f"{word(pod, 'metadata', 'namespace')}/{name_of(pod)}"
                found.append(Tenant(name, owner, gpus))
    return tuple(found)


def gpus_of(pod: Body) -> int:
    """GPUs that a pod asks for."""
    asked = (
        dig(container, "resources", "limits", gke.GPU)
        or dig(container, "resources", "requests", gke.GPU)
        for container in containers(pod)
    )
    return sum(int(count) for count in map(str, asked) if count.isdecimal())


def events(reader: Reader, objects: list[Body]) -> list[Body]:
    """Events about these objects: the namespace's, and those of nodes, which lie in ``default``."""
    about = {(word(body, "kind"), name_of(body)) for body in objects}
    found = reader.many("v1", "Event")
    node_names = [name for kind, name in about if kind == "Node"]
    for fields in _node_event_fields(node_names):
        found += reader.many("v1", "Event", fields=fields, namespace="default")
    kept: dict[tuple[str, str], list[Body]] = {}
    for event in sorted(found, key=event_time):
        subject = part(event, "involvedObject")
        key = (word(subject, "kind"), word(subject, "name"))
        if key in about:
            kept.setdefault(key, []).append(event)
    return [event for of_one in kept.values() for event in of_one[-EVENTS_OF_ONE:]]


def _node_event_fields(names: list[str]) -> list[str]:
    if len(names) > NODES_ONE_BY_ONE:
        return ["involvedObject.kind=Node"]
    return [f"involvedObject.kind=Node,involvedObject.name={name}" for name in sorted(names)]


def api_services(reader: Reader) -> Iterator[Body]:
    """The registrations of the metrics APIs that are there.

    The APIs themselves are not asked: the autoscaler's condition says what they answered, and one
    that is down would be waited for.
    """
    for name in METRICS_APIS:
        service = reader.one("apiregistration.k8s.io/v1", "APIService", name, namespace=None)
        if service:
            yield service


def attachments(reader: Reader, pods: list[Body], volumes: list[Body]) -> Iterator[Body]:
    """The VolumeAttachments of the volumes of pods that are not ready to the pods' nodes, found by
    their names."""
    claims = {
        name_of(body): body for body in volumes if word(body, "kind") == "PersistentVolumeClaim"
    }
    known = {name_of(body): body for body in volumes if word(body, "kind") == "PersistentVolume"}
    unready = [pod for pod in pods if word(condition(pod, "Ready"), "status") != "True"]
    for pod in unready[:NODES]:
        node = word(pod, "spec", "nodeName")
        for claim in claim_names([pod]) if node else []:
            volume = word(claims.get(claim), "spec", "volumeName")
            name = attachment_name(known.get(volume), node)
            found = (
                reader.one("storage.k8s.io/v1", "VolumeAttachment", name, namespace=None)
                if name
                else None
            )
            if found:
                yield found


def attachment_name(volume: Body | None, node: str) -> str:
    """Name of the VolumeAttachment of a volume to a node; empty for one that no driver attaches.

    kubernetes/kubernetes pkg/volume/csi/csi_attacher.go getAttachmentName@v1.36.3.
    """
    csi = part(volume, "spec", "csi")
    text = word(csi, "volumeHandle") + word(csi, "driver") + node
    return f"csi-{hashlib.sha256(text.encode()).hexdigest()}" if csi else ""
