"""Zones, machine types and disk types that the emulated project sees.

GPU machines and disk types come from :mod:`pylib.facts`.  General-purpose machines, on which a
bake may run: sizes from https://cloud.google.com/compute/docs/general-purpose-machines, recalled;
disks that attach from kubernetes-sigs/gcp-compute-persistent-disk-csi-driver
deploy/disk_type_labels.sh@b560165, without what needs a confidential VM.
"""

from __future__ import annotations

from dataclasses import dataclass

from pylib.facts.disks import DISK_TYPES
from pylib.facts.machines import ACCELERATORS, MACHINE_TYPES, attaches

_PD = frozenset({"pd-standard", "pd-balanced", "pd-ssd", "pd-extreme"})


@dataclass(frozen=True)
class _Family:
    """``memory`` in MiB per vCPU, by kind."""

    vcpus: tuple[int, ...]
    memory: dict[str, int]
    disk_types: frozenset[str]


_MEMORY = {"standard": 4096, "highmem": 8192, "highcpu": 2048}
_GENERAL = {
    "e2": _Family((2, 4, 8, 16, 32), {**_MEMORY, "highcpu": 1024}, _PD),
    "n1": _Family(
        (1, 2, 4, 8, 16, 32, 64, 96), {"standard": 3840, "highmem": 6656, "highcpu": 922}, _PD
    ),
    "n2": _Family(
        (2, 4, 8, 16, 32, 48, 64, 80, 96, 128),
        {**_MEMORY, "highcpu": 1024},
        _PD | {"hyperdisk-extreme", "hyperdisk-ml"},
    ),
    "n2d": _Family(
        (2, 4, 8, 16, 32, 48, 64, 80, 96, 128, 224), _MEMORY, _PD | {"hyperdisk-throughput"}
    ),
    "c3": _Family(
        (4, 8, 22, 44, 88, 176),
        _MEMORY,
        frozenset(DISK_TYPES) - {"pd-standard"},
    ),
    "c3d": _Family(
        (4, 8, 16, 30, 60, 90, 180, 360),
        _MEMORY,
        frozenset(DISK_TYPES) - {"pd-standard", "pd-extreme"},
    ),
    "c4": _Family(
        (2, 4, 8, 16, 24, 32, 48, 96, 144, 192),
        _MEMORY,
        frozenset(DISK_TYPES) - _PD - {"hyperdisk-ml"},
    ),
    "n4": _Family(
        (2, 4, 8, 16, 32, 48, 64, 80),
        _MEMORY,
        frozenset(
            {
                "hyperdisk-balanced",
                "hyperdisk-balanced-high-availability",
                "hyperdisk-throughput",
                "pd-balanced",
                "pd-ssd",
            }
        ),
    ),
}


@dataclass(frozen=True)
class Machine:
    """A machine type; ``accelerator`` is empty for one without GPUs."""

    name: str
    vcpus: int
    memory_mib: int
    accelerator: str = ""
    gpus: int = 0


def _general() -> dict[str, Machine]:
    return {
        name: Machine(name, vcpus, vcpus * per)
        for family, about in _GENERAL.items()
        for kind, per in about.memory.items()
        for vcpus in about.vcpus
        for name in (f"{family}-{kind}-{vcpus}",)
    }


MACHINES: dict[str, Machine] = {
    **_general(),
    **{
        m.name: Machine(m.name, m.vcpus, m.memory_gib * 1024, m.accelerator, m.gpus)
        for m in MACHINE_TYPES.values()
    },
}
"""Every machine type by name; all zones have all of them."""

GPUS = tuple(ACCELERATORS)

DEFAULT_GIB = {"pd-standard": 500, "pd-balanced": 100, "pd-ssd": 100, "pd-extreme": 1000}
"""Size that a disk gets when none is asked for; 100 for any other type."""


def fits(machine_type: str, disk_type: str) -> bool:
    """Whether the disk attaches to the machine."""
    family = machine_type.partition("-")[0]
    general = _GENERAL.get(family)
    if general is not None:
        return disk_type in general.disk_types
    return attaches(machine_type, disk_type) is not False
