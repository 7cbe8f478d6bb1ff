"""Objects of the cluster that belong to no release: the metrics adapter, compute classes, and the
list of images that GKE may put on nodes.  Pure but for what is read from the cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from pylib.config.model import Cell, Config, Provisioning
from pylib.errors import Problem
from pylib.facts.gke import SECONDARY_BOOT_DISK_MODE
from pylib.kube import Body, Kube
from pylib.lock import Lock
from pylib.provision.action import Action, Verb
from pylib.provision.roles import ADAPTER_ACCOUNT, ADAPTER_NAMESPACE, reads_metrics
from pylib.snapshot.bodies import part, word
from pylib.yamlio import parse_all

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "vllm-fast-start"
_SERVICE = {"name": ADAPTER_ACCOUNT, "namespace": ADAPTER_NAMESPACE}


def wanted_objects(config: Config, lock: Lock) -> list[Body]:
    """What the config needs in its cluster, in the order to make it."""
    found: list[Body] = []
    classes = [cell for cell in config.cells if cell.computeClass is not None]
    if classes and config.imageCache.enabled and lock.imageCache is not None:
        found.append(_allowlist(config, lock.imageCache.project))
    found += [_compute_class(cell, lock) for cell in classes if not _existing(cell)]
    if reads_metrics(config):
        found += adapter()
    return [_marked(body) for body in found]


def adapter() -> list[Body]:
    """Our own manifest of the metrics adapter."""
    text = resources.files("pylib.provision").joinpath("adapter.yaml").read_text("utf-8")
    return [dict(document.body) for document in parse_all(text)]


def plan_objects(bodies: list[Body], kube: Kube, problems: list[Problem]) -> Iterator[Action]:
    """Apply what is not there, or not as wanted; the adapter is left alone where somebody else's
    serves the same API, or Google's own manifest has put it there already."""
    services = [body for body in bodies if body["kind"] == "APIService"]
    strangers = list(_strangers(kube, services))
    for name, owner in strangers:
        message = f"APIService {name} is served by {owner}"
        fix = (
            "The cluster has room for one metrics adapter: write autoscaling.source: keda or gke, "
            "or take the other adapter away."
        )
        problems.append(Problem("autoscaling.source", message, fix))
    foreign = _are_foreign(kube, services)
    for body in bodies:
        is_part = body in services or word(body, "metadata", "namespace") == ADAPTER_NAMESPACE
        if services and (strangers or foreign) and (is_part or body["kind"] in _OF_ADAPTER):
            if body is services[0] and not strangers:
                yield Action(
                    Verb.CHECK, "metrics adapter", ADAPTER_ACCOUNT, "somebody put it there"
                )
            continue
        yield _plan(body, kube)


_OF_ADAPTER = frozenset({"Namespace", "ClusterRole", "ClusterRoleBinding", "RoleBinding"})
"""Kinds that only the adapter has among what is applied."""


def _strangers(kube: Kube, services: list[Body]) -> Iterator[tuple[str, str]]:
    for body in services:
        name = body["metadata"]["name"]
        live = kube.get("apiregistration.k8s.io/v1", "APIService", name)
        service = part(live, "spec", "service")
        if live is not None and {key: service.get(key) for key in _SERVICE} != _SERVICE:
            owner = f"{service.get('namespace', 'the API server')}/{service.get('name', '')}"
            yield name, owner.rstrip("/")


def _are_foreign(kube: Kube, services: list[Body]) -> bool:
    """Whether the adapter serves already, and somebody else has put it there."""
    found = (
        kube.get(body["apiVersion"], "APIService", body["metadata"]["name"]) for body in services
    )
    return any(it and word(it, "metadata", "labels", MANAGED_BY) != MANAGER for it in found)


def _plan(body: Body, kube: Kube) -> Action:
    meta = body["metadata"]
    live = kube.get(body["apiVersion"], body["kind"], meta["name"], meta.get("namespace"))
    name = f"{body['kind']}/{meta['name']}"
    if live is None:
        return Action(Verb.CREATE, "object", name, spec=body)
    if covers(live, body):
        return Action(Verb.REUSE, "object", name, spec=body)
    return Action(Verb.CHANGE, "object", name, "is not as wanted", spec=body)


def covers(live: Any, wanted: Any) -> bool:
    """Whether ``live`` has all that ``wanted`` has, whatever the server filled in besides."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(
            covers(live.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        same = isinstance(live, list) and len(live) == len(wanted)
        return same and all(covers(one, other) for one, other in zip(live, wanted, strict=True))
    return bool(live == wanted)


def _existing(cell: Cell) -> bool:
    return cell.computeClass is not None and cell.computeClass.existing


def _marked(body: Body) -> Body:
    meta = body["metadata"]
    labels = {**meta.get("labels", {}), MANAGED_BY: MANAGER}
    return {**body, "metadata": {**meta, "labels": labels}}


def _allowlist(config: Config, images_project: str) -> Body:
    """Images of the project that GKE may make secondary boot disks from, where it makes the pools
    itself: https://cloud.google.com/kubernetes-engine/docs/how-to/data-container-image-preloading.
    """
    del config
    return {
        "apiVersion": "node.gke.io/v1",
        "kind": "GCPResourceAllowlist",
        "metadata": {"name": f"vllm-fast-start-{images_project.replace(':', '-')}"},
        "spec": {"allowedResourcePatterns": [f"projects/{images_project}/global/images/.*"]},
    }


def _compute_class(cell: Cell, lock: Lock) -> Body:
    """A class whose one priority is the cell's machine, with the image cache on its nodes."""
    name = cell.computeClass.name if cell.computeClass else ""
    storage: Body = {"bootDiskType": cell.bootDisk.type, "bootDiskSize": cell.bootDisk.sizeGiB}
    if lock.imageCache is not None:
        storage["secondaryBootDisks"] = [
            {
                "diskImageName": lock.imageCache.name,
                "project": lock.imageCache.project,
                "mode": SECONDARY_BOOT_DISK_MODE,
            }
        ]
    priority: Body = {
        "machineType": cell.machineType,
        "gpu": {
            "type": cell.accelerator.type,
            "count": cell.accelerator.count,
            "driverVersion": "latest",
        },
        "location": {"zones": [cell.zone]},
        "storage": storage,
        **_bought(cell),
    }
    return {
        "apiVersion": "cloud.google.com/v1",
        "kind": "ComputeClass",
        "metadata": {"name": name},
        "spec": {
            "priorities": [priority],
            "nodePoolAutoCreation": {"enabled": True},
            "nodePoolConfig": {"imageStreaming": {"enabled": True}},
            "whenUnsatisfiable": "DoNotScaleUp",
        },
    }


def _bought(cell: Cell) -> Body:
    if cell.provisioning is Provisioning.SPOT:
        return {"spot": True}
    if cell.provisioning is Provisioning.FLEX_START:
        return {"flexStart": {"enabled": True}}
    if cell.reservation:
        return {"reservations": {"affinity": "Specific", "specific": [{"name": cell.reservation}]}}
    return {}
