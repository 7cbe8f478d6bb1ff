"""Compute Engine disk types: what they can read, how large they may be, how many may share one.

Sizes are in GiB, throughput in MiB/s.  A Persistent Disk earns its rate by its size; a Hyperdisk
has the rate it was provisioned with.
"""

from __future__ import annotations

from dataclasses import dataclass

from pylib.facts import Evidence, Source

_GCPDIAG = (
    "GoogleCloudPlatform/gcpdiag gcpdiag/runbook/gce/disk_performance_benchmark/"
    "limits_per_gb.json@06ec858, added up in gcpdiag/runbook/gce/vm_performance.py"
)
_PERFORMANCE = "https://cloud.google.com/compute/docs/disks/performance"
_SHARING = "https://cloud.google.com/compute/docs/disks/sharing-disks-between-vms"
_HYPERDISK_ML = "https://cloud.google.com/compute/docs/disks/hd-types/hyperdisk-ml"
_HYPERDISK_BALANCED = "https://cloud.google.com/compute/docs/disks/hd-types/hyperdisk-balanced"
_DISKS = "https://cloud.google.com/compute/docs/disks"

PD_MAX_MIB_S = 1200
"""Most that one VM reads from all its SSD or balanced Persistent Disks together."""

PD_SSD_KNEE_GIB = 2000
"""From this size on a pd-ssd is as fast as the VM lets it be: (1200 - 240) / 0.48."""


@dataclass(frozen=True)
class Rate:
    """Read throughput in MiB/s: ``base + per_gib * size``, at most ``maximum``."""

    base: float
    per_gib: float
    maximum: float
    source: Source


@dataclass(frozen=True)
class Readers:
    """How many VMs may attach one disk read-only at once; ``count`` is ``None`` when not known."""

    count: int | None
    source: Source


@dataclass(frozen=True)
class DiskType:
    """One disk type; ``min_gib`` and ``max_gib`` bound its size."""

    name: str
    rate: Rate
    readers: Readers
    min_gib: int
    max_gib: int
    size_source: Source

    @property
    def hyperdisk(self) -> bool:
        """True for the types whose rate is provisioned, not earned by size."""
        return self.name.startswith("hyperdisk-")


_PD_SIZE = Source(f"{_DISKS} (64 TiB; the least of 10 GiB not found there)", Evidence.UNVERIFIED)
_HYPERDISK_SIZE = Source(f"{_DISKS} (recalled)", Evidence.UNVERIFIED)
_TEN_READERS = Source(f"{_SHARING} (10 recalled; the table was not at hand)", Evidence.UNVERIFIED)
_NO_ACCESS_MODE = Source(f"{_SHARING}: the access mode of this type cannot be set")

DISK_TYPES: dict[str, DiskType] = {
    disk.name: disk
    for disk in (
        DiskType(
            "pd-standard",
            Rate(0, 0.12, PD_MAX_MIB_S, Source(_GCPDIAG)),
            Readers(10, _TEN_READERS),
            10,
            65_536,
            _PD_SIZE,
        ),
        DiskType(
            "pd-balanced",
            Rate(140, 0.28, PD_MAX_MIB_S, Source(_GCPDIAG)),
            Readers(10, _TEN_READERS),
            10,
            65_536,
            _PD_SIZE,
        ),
        DiskType(
            "pd-ssd",
            Rate(240, 0.48, PD_MAX_MIB_S, Source(_GCPDIAG)),
            Readers(
                100,
                Source(
                    "GoogleCloudPlatform/accelerated-platforms "
                    "use-cases/inferencing/serving/vllm/persistent-disk/README.md@9320f3b2"
                ),
            ),
            10,
            65_536,
            _PD_SIZE,
        ),
        DiskType(
            "pd-extreme",
            Rate(0, 0.168, 4000, Source(f"{_GCPDIAG}; most per VM: {_PERFORMANCE}")),
            Readers(10, _TEN_READERS),
            500,
            65_536,
            _PD_SIZE,
        ),
        DiskType(
            "hyperdisk-ml",
            Rate(
                0,
                24,
                1_200_000,
                Source(
                    f"most: {_HYPERDISK_ML}; 24 MiB/s per GiB when none is provisioned: one disk "
                    "of 1 TiB in GoogleCloudPlatform/accelerated-platforms "
                    "use-cases/inferencing/serving/vllm/hyperdisk-ml/README.md@9320f3b2",
                    Evidence.REPORTED,
                ),
            ),
            Readers(2500, Source(_HYPERDISK_ML)),
            4,
            65_536,
            Source(_HYPERDISK_ML),
        ),
        DiskType(
            "hyperdisk-balanced",
            Rate(
                140,
                0,
                2400,
                Source(
                    f"most: {_HYPERDISK_BALANCED}; 140 MiB/s when none is provisioned: recalled",
                    Evidence.UNVERIFIED,
                ),
            ),
            Readers(None, Source(f"{_SHARING} (not readable)", Evidence.UNVERIFIED)),
            4,
            65_536,
            _HYPERDISK_SIZE,
        ),
        DiskType(
            "hyperdisk-balanced-high-availability",
            Rate(140, 0, 2400, Source(_HYPERDISK_BALANCED, Evidence.UNVERIFIED)),
            Readers(None, Source(f"{_SHARING} (not readable)", Evidence.UNVERIFIED)),
            4,
            65_536,
            _HYPERDISK_SIZE,
        ),
        DiskType(
            "hyperdisk-extreme",
            Rate(0, 0, 5000, Source(f"{_DISKS} (recalled)", Evidence.UNVERIFIED)),
            Readers(1, _NO_ACCESS_MODE),
            64,
            65_536,
            _HYPERDISK_SIZE,
        ),
        DiskType(
            "hyperdisk-throughput",
            Rate(0, 0, 2400, Source(f"{_DISKS} (recalled)", Evidence.UNVERIFIED)),
            Readers(1, _NO_ACCESS_MODE),
            2048,
            32_768,
            _HYPERDISK_SIZE,
        ),
    )
}


def read_mib_s(disk_type: str, gib: float, provisioned: float | None = None) -> float:
    """Read limit of a disk of this type and size in MiB/s, whatever the machine allows.

    ``provisioned`` is the throughput that a Hyperdisk was given; without it the rate that Compute
    Engine gives by itself.  Raises :class:`KeyError` for a disk type that is not in the table.
    """
    rate = DISK_TYPES[disk_type].rate
    wanted = provisioned if provisioned is not None else rate.base + rate.per_gib * gib
    return min(wanted, rate.maximum)
