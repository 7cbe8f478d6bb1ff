"""From a pod's volume to its claim and on to the disk behind it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pylib.facts import gke
from pylib.manifests import Manifest
from pylib.validate.rules.objects import (
    Objects,
    PodTemplate,
    each,
    same_namespace,
    selects,
    texts,
)

PDCSI = "kubernetes-sigs/gcp-compute-persistent-disk-csi-driver"
"""Repository of the driver, for sources."""


@dataclass(frozen=True)
class Use:
    """A pod's volume that comes from a claim; ``claim`` and ``volume`` are ``None`` when absent."""

    pod: PodTemplate
    index: int
    name: str
    claim_name: str
    read_only: bool
    claim: Manifest | None
    volume: Manifest | None

    @property
    def modes(self) -> list[str]:
        """Access modes of the claim, of the volume where the claim is not at hand."""
        return access_modes(self.claim) if self.claim else access_modes(self.volume)


def access_modes(manifest: Manifest | None) -> list[str]:
    """Access modes of a claim or volume, empty when absent or malformed."""
    found = manifest.get("spec", "accessModes") if manifest else None
    return [str(mode) for mode in found] if isinstance(found, list) else []


def listed(values: list[str]) -> str:
    """A list of words as YAML writes it in one line."""
    return f"[{', '.join(values)}]"


def is_pd(volume: Manifest) -> bool:
    """Whether the Persistent Disk CSI driver serves this PersistentVolume."""
    return bool(volume.get("spec", "csi", "driver") == gke.PD_CSI)


def handle_of(volume: Manifest) -> re.Match[str] | None:
    """The parts of a disk's volumeHandle, ``None`` when it is none."""
    return gke.VOLUME_HANDLE.fullmatch(str(volume.get("spec", "csi", "volumeHandle", default="")))


def zones_required(terms: object, *keys: str) -> set[str] | None:
    """Zones that node selector terms allow; ``None`` when some term leaves the zone open."""
    found: set[str] = set()
    some = list(each({"terms": terms}, "terms"))
    for _, term in some:
        zones = [
            {str(zone) for zone in rule["values"]}
            for _, rule in each(term, "matchExpressions")
            if rule.get("key") in keys
            and rule.get("operator") == "In"
            and isinstance(rule.get("values"), list)
        ]
        if not zones:
            return None
        found |= set.intersection(*zones)
    return found if some else None


def zones_of_volume(volume: Manifest) -> set[str] | None:
    """Zones of a PersistentVolume by its node affinity; ``None`` when it names none."""
    terms = volume.get("spec", "nodeAffinity", "required", "nodeSelectorTerms")
    return zones_required(terms, gke.PD_CSI_ZONE, gke.ZONE)


def disk_type_of(volume: Manifest, objects: Objects) -> str:
    """Disk type by annotation, else by the StorageClass; empty when neither says it."""
    said = texts(volume.metadata.get("annotations")).get(gke.DISK_TYPE)
    if said:
        return said
    name = str(volume.get("spec", "storageClassName", default=""))
    storage_class = objects.by_name("StorageClass", "", name) if name else None
    parameters = storage_class.get("parameters") if storage_class else None
    return texts(parameters).get("type", "").lower()


class Volumes:
    """Claims and PersistentVolumes of a run, each found from the other."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._by_claim: dict[str, list[Manifest]] = defaultdict(list)
        self._static: list[Manifest] = []
        for volume in objects.of_kind("PersistentVolume"):
            self._static.append(volume)
            self._by_claim[str(volume.get("spec", "claimRef", "name", default=""))].append(volume)

    def volume_of(self, claim: Manifest) -> Manifest | None:
        """The PersistentVolume that a claim names, is reserved by, or selects by labels."""
        name = claim.get("spec", "volumeName")
        if name:
            return self._objects.by_name("PersistentVolume", "", str(name))
        for volume in self._by_claim.get(claim.name, ()):
            if same_namespace(str(volume.get("spec", "claimRef", "namespace")), claim.namespace):
                return volume
        selector = claim.get("spec", "selector")
        return self._selected(selector) if isinstance(selector, Mapping) and selector else None

    def _selected(self, selector: Mapping[str, Any]) -> Manifest | None:
        for volume in self._static:
            if selects(selector, texts(volume.metadata.get("labels"))):
                return volume
        return None

    def uses(self) -> Iterator[Use]:
        """Every volume of every pod template that comes from a claim."""
        for pod in self._objects.pods():
            yield from self.uses_of(pod)

    def uses_of(self, pod: PodTemplate) -> Iterator[Use]:
        """The volumes of one pod template that come from a claim."""
        for index, volume in each(pod.spec, "volumes"):
            source = volume.get("persistentVolumeClaim")
            if not isinstance(source, Mapping):
                continue
            name = str(source.get("claimName") or "")
            claim = self._objects.by_name("PersistentVolumeClaim", pod.namespace, name)
            yield Use(
                pod=pod,
                index=index,
                name=str(volume.get("name") or ""),
                claim_name=name,
                read_only=source.get("readOnly") is True,
                claim=claim,
                volume=self.volume_of(claim) if claim else None,
            )
