"""What a GKE cluster has beside Kubernetes: nodes of pools, custom resources, a storage class."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pylib.facts import gke
from pylib.facts.machines import MACHINE_TYPES
from pylib.kube import Body
from tests.cluster.bed.components import MADE_BY

PROJECT = "my-project"
STORAGE_CLASS = "standard-rwo"

_DEFINITIONS = Path(str(files("pylib") / "crds"))
_CLUSTER_SCOPED = frozenset(
    {"ComputeClass", "ClusterPodMonitoring", "GCPResourceAllowlist", "ClusterRules", "GlobalRules"}
    | {"ClusterTriggerAuthentication", "VolumeSnapshotClass", "VolumeSnapshotContent"}
)
_PLURALS = {
    "Rules": "rules",
    "ClusterRules": "clusterrules",
    "GlobalRules": "globalrules",
    "ComputeClass": "computeclasses",
    "VolumeSnapshotClass": "volumesnapshotclasses",
}


def node(
    name: str,
    *,
    zone: str,
    pool: str,
    machine: str = "g2-standard-24",
    gpus: int = 2,
    accelerator: str = "nvidia-l4",
    taint: bool = True,
    cached_image: str = "",
    run_by: str = "kwok",
    labels: Mapping[str, str] | None = None,
) -> Body:
    """A node as GKE makes it for a pool: its labels, its GPU taint, what pods may ask of it.

    Nodes without GPUs have no accelerator; ``cached_image`` is a secondary boot disk's image.
    """
    found = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        gke.ZONE: zone,
        "topology.kubernetes.io/region": zone.rpartition("-")[0],
        gke.PD_CSI_ZONE: zone,
        gke.NODE_POOL: pool,
        gke.INSTANCE_TYPE: machine,
        gke.MACHINE_FAMILY: machine.partition("-")[0],
        MADE_BY: run_by,
    }
    taints = []
    if gpus:
        found |= {gke.ACCELERATOR: accelerator, gke.ACCELERATOR_COUNT: str(gpus)}
        if taint:
            taints.append({"key": gke.GPU, "value": "present", "effect": "NoSchedule"})
    if cached_image:
        key = f"{gke.SECONDARY_BOOT_DISK_LABEL}{cached_image}"
        found[key] = f"{gke.SECONDARY_BOOT_DISK_MODE}.{PROJECT}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": found | dict(labels or {})},
        "spec": {"taints": taints, "providerID": f"gce://{PROJECT}/{zone}/{name}"},
        "status": _capacity(machine, gpus),
    }


_NODE_INFO = {
    "architecture": "amd64",
    "operatingSystem": "linux",
    "osImage": "Container-Optimized OS from Google",
    "kernelVersion": "6.12.0",
    "containerRuntimeVersion": "containerd://2.1.0",
    "kubeletVersion": "v1.36.3-gke.1000000",
    "kubeProxyVersion": "",
    "machineID": "",
    "systemUUID": "",
    "bootID": "",
}


def _capacity(machine: str, gpus: int) -> dict[str, Any]:
    """Capacity and allocatable; the difference is roughly what GKE keeps for itself."""
    known = MACHINE_TYPES.get(machine)
    vcpus, memory = (known.vcpus, known.memory_gib) if known else (8, 32)
    extended = {gke.GPU: str(gpus)} if gpus else {}
    storage = {"ephemeral-storage": "93Gi", "pods": "110", **extended}
    return {
        "nodeInfo": _NODE_INFO,
        "capacity": {"cpu": str(vcpus), "memory": f"{memory}Gi", **storage},
        "allocatable": {
            "cpu": f"{vcpus * 1000 - 150}m",
            "memory": f"{memory * 1024 - 2048 - memory * 30}Mi",
            **storage,
        },
    }


def storage_class() -> Body:
    """GKE's default class; provisioner.py makes the volumes."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": gke.PD_CSI,
        "parameters": {"type": "pd-balanced"},
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
    }


def definitions() -> Iterator[Body]:
    """The custom resources that pylib knows the schemas of, as the API server wants them."""
    for file in sorted(_DEFINITIONS.glob("*/*.json")):
        schema = json.loads(file.read_text(encoding="utf-8"))
        for which in schema["x-kubernetes-group-version-kind"]:
            yield _definition(which["group"], which["version"], which["kind"], schema)


def _definition(group: str, version: str, kind: str, schema: Mapping[str, Any]) -> Body:
    plural = _PLURALS.get(kind, f"{kind.lower()}s")
    # Groups of Kubernetes' own projects need it; elsewhere it means nothing.
    approved = {"api-approved.kubernetes.io": "unapproved, a test's copy"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": approved},
        "spec": {
            "group": group,
            "scope": "Cluster" if kind in _CLUSTER_SCOPED else "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _structural(schema)},
                }
            ],
        },
    }


def _structural(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of the whole object without what a structural one may not have."""
    shared = schema.get("$defs", {})
    properties = {
        name: _part(part, shared)
        for name, part in schema["properties"].items()
        if name not in {"apiVersion", "kind", "metadata"}
    }
    found: dict[str, Any] = {"type": "object", "properties": properties}
    if required := [name for name in schema.get("required", []) if name in properties]:
        found["required"] = required
    return found


_KEPT = frozenset(
    {"type", "description", "enum", "format", "maxItems", "maxLength", "maximum", "minItems"}
    | {"minLength", "minimum", "nullable", "pattern", "required", "default", "maxProperties"}
    | {"minProperties", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"}
)
_ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}


def _part(part: Any, shared: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(part, Mapping):
        return _ANYTHING
    if "$ref" in part:  # of Kubernetes' own types only the names are there
        own = shared.get(part["$ref"].removeprefix("#/$defs/"))
        return _part(own, shared)
    found = {key: value for key, value in part.items() if key in _KEPT}
    if isinstance(found.get("type"), list):
        found |= _one_type(found.pop("type"))
    if "properties" in part:
        inner = part["properties"].items()
        found |= {"type": "object", "properties": {k: _part(v, shared) for k, v in inner}}
    elif isinstance(part.get("additionalProperties"), Mapping):
        found["additionalProperties"] = _part(part["additionalProperties"], shared)
    if "items" in part:
        found["items"] = _part(part["items"], shared)
    has_type = "type" in found or found.get("x-kubernetes-int-or-string")
    return found if has_type else _ANYTHING


def _one_type(types: list[str]) -> dict[str, Any]:
    """A structural schema has one type; null is a property of it."""
    others = [one for one in types if one != "null"]
    if set(others) == {"integer", "string"}:
        return {"x-kubernetes-int-or-string": True}
    return {"type": others[0], "nullable": "null" in types}
