"""Disk types: do they attach, to how many nodes, and are they worth their size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pylib.facts import gke
from pylib.facts.disks import DISK_TYPES, PD_SSD_KNEE_GIB
from pylib.facts.machines import ACCELERATORS, FAMILIES, family_of
from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Hit, Objects, PodTemplate, at, texts
from pylib.validate.rules.quantities import gib
from pylib.validate.rules.registry import rule
from pylib.validate.rules.scaling import Scaling
from pylib.validate.rules.vllm_pods import machine_type
from pylib.validate.rules.volumes import (
    PDCSI,
    Volumes,
    access_modes,
    disk_type_of,
    handle_of,
    is_pd,
)

_USEFUL_PD_SSD_GIB = 2048
"""The next power of two above the knee: 2 TiB is a size that people choose."""


@rule(
    name="disk-machine",
    severity=Severity.ERROR,
    summary="The disk type attaches to the machine",
    explain=(
        "Newer GPU machines attach no Persistent Disk: A3 Ultra, A4, A4X and G4 take Hyperdisks "
        "only, G2 and A2 take no Hyperdisk Balanced. The attach fails when the pod starts. Source: "
        f"{PDCSI} deploy/disk_type_labels.sh@b560165. The disk type is read from the volume's "
        f"annotation {gke.DISK_TYPE} or its StorageClass, the machine from the pod's annotation "
        f"{gke.MACHINE_TYPE}, its selectors, or --machine-type."
    ),
)
def disk_machine(objects: Objects) -> Iterator[Hit]:
    """Pods whose disk cannot come to their machine."""
    for use in Volumes(objects).uses():
        if use.volume is None:
            continue
        disk, (machine, family) = disk_type_of(use.volume, objects), _family(use.pod, objects)
        kinds = FAMILIES[family].disk_types if family else frozenset()
        if disk and kinds and disk not in kinds:
            yield use.pod.at(
                "volumes",
                use.index,
                message=f"the disk of the claim {use.claim_name} is {disk}, which does not attach "
                f"to {machine}",
                fix=f"Use one of {', '.join(sorted(kinds))}.",
            )


def _family(pod: PodTemplate, objects: Objects) -> tuple[str, str]:
    machine = machine_type(pod, objects)
    if machine:
        family = family_of(machine)
        return machine, family.name if family else ""
    label = texts(pod.get("nodeSelector")).get(gke.ACCELERATOR, "")
    accelerator = ACCELERATORS.get(label)
    return label, accelerator.family if accelerator else ""


@rule(
    name="disk-readers",
    severity=Severity.ERROR,
    summary="No more pods than nodes that may attach the disk",
    explain=(
        "One pd-ssd attaches read-only to at most 100 nodes, one Hyperdisk ML to 2,500; the pod on "
        "the next node hangs. Source: https://cloud.google.com/compute/docs/disks/"
        "sharing-disks-between-vms. Pods are counted over all workloads that mount the disk, with "
        "the autoscaler's maximum. Make more cells or zones, each with a disk of its own, or take "
        "Hyperdisk ML. Limits that could not be confirmed give a warning."
    ),
)
def disk_readers(objects: Objects) -> Iterator[Hit]:
    """Disks with more possible readers than their type takes."""
    scaling = Scaling(objects)
    readers: dict[str, int] = defaultdict(int)
    homes: dict[str, Manifest] = {}
    for use in Volumes(objects).uses():
        if use.volume is not None and handle_of(use.volume):
            handle = str(use.volume.get("spec", "csi", "volumeHandle"))
            readers[handle] += scaling.most_pods(use.pod.owner)
            homes.setdefault(handle, use.volume)
    for handle, volume in homes.items():
        yield from _too_many(volume, disk_type_of(volume, objects), readers[handle])


def _too_many(volume: Manifest, kind: str, count: int) -> Iterator[Hit]:
    disk = DISK_TYPES.get(kind or "pd-ssd")
    limit = disk.readers.count if disk else None
    if disk is None or limit is None or count <= limit:
        return
    known = bool(kind) and disk.readers.source.confirmed
    yield at(
        volume,
        "spec",
        "csi",
        "volumeHandle",
        message=f"up to {count} pods read this disk, a {disk.name} attaches to {limit} nodes",
        fix="Add a cell with a disk of its own, lower the maximum, or use hyperdisk-ml.",
        severity=None if known else Severity.WARNING,
    )


@rule(
    name="disk-too-large",
    severity=Severity.NOTE,
    summary="A pd-ssd is no larger than its speed needs",
    explain=(
        f"A pd-ssd of {PD_SSD_KNEE_GIB} GiB already reads the 1,200 MiB/s that a VM can take "
        "(240 + 0.48 per GiB); every GiB above costs and brings nothing. Source: "
        "https://cloud.google.com/compute/docs/disks/performance. For more speed use hyperdisk-ml."
    ),
)
def disk_too_large(objects: Objects) -> Iterator[Hit]:
    """Shared pd-ssd volumes above the knee."""
    for volume in filter(is_pd, objects.of_kind("PersistentVolume")):
        size = gib(volume.get("spec", "capacity", "storage"))
        if "ReadOnlyMany" not in access_modes(volume) or not size or size <= _USEFUL_PD_SSD_GIB:
            continue
        if disk_type_of(volume, objects) == "pd-ssd":
            yield at(
                volume,
                "spec",
                "capacity",
                "storage",
                message=f"a pd-ssd of {size:g} GiB reads no faster than one of "
                f"{PD_SSD_KNEE_GIB} GiB",
                fix=f"Make the disk {PD_SSD_KNEE_GIB} GiB, or use hyperdisk-ml.",
            )


@rule(
    name="storage-class-parameters",
    severity=Severity.ERROR,
    summary="A StorageClass uses parameters that the driver knows",
    explain=(
        "The Persistent Disk CSI driver refuses to create a volume when its StorageClass has a "
        f"parameter that it does not know. Source: {PDCSI} pkg/parameters/parameters.go@b560165. "
        "The claim then stays Pending with the reason only in an event."
    ),
)
def storage_class_parameters(objects: Objects) -> Iterator[Hit]:
    """Unknown parameters and disk types."""
    for storage_class in objects.of_kind("StorageClass"):
        if storage_class.get("provisioner") != gke.PD_CSI:
            continue
        for key, value in texts(storage_class.get("parameters")).items():
            if key.lower() not in gke.PD_CSI_PARAMETERS and not key.startswith("csi.storage.k8s."):
                yield at(
                    storage_class,
                    "parameters",
                    key,
                    message=f"the driver knows no parameter {key} and refuses to make volumes",
                    fix=f"Use one of {', '.join(sorted(gke.PD_CSI_PARAMETERS))}.",
                )
            elif key.lower() == "type" and value.lower() not in (*DISK_TYPES, "dynamic"):
                yield at(
                    storage_class,
                    "parameters",
                    key,
                    message=f"{value} is no disk type",
                    fix=f"Use one of {', '.join(DISK_TYPES)}.",
                )
