"""GPU machines of Compute Engine: accelerators, machine types, disks that attach, read limits.

Memory of machines is in GiB, of GPUs in GB as Google and NVIDIA name them.
"""

from __future__ import annotations

from dataclasses import dataclass

from pylib.facts import Evidence, Source

_TYPES = Source(
    "https://cloud.google.com/compute/docs/accelerator-optimized-machines, read as "
    "Cyclenerd/google-cloud-pricing-cost-calculator build/gcp.yml@dac3128",
    Evidence.REPORTED,
)
_RECALLED = Source(
    "https://cloud.google.com/compute/docs/accelerator-optimized-machines (recalled)",
    Evidence.UNVERIFIED,
)
_LABELS = "label: AI-Hypercomputer/xpk src/xpk/core/system_characteristics.py@367c838"
_GPUS = "https://cloud.google.com/compute/docs/gpus"
_LABEL_SAYS = Source(f"{_LABELS}; the label names the memory")
_GPU_TABLE = Source(f"{_GPUS}, as quoted by others; {_LABELS}", Evidence.REPORTED)
_GPU_RECALLED = Source(f"{_GPUS} (recalled)", Evidence.UNVERIFIED)
_ATTACH = Source(
    "kubernetes-sigs/gcp-compute-persistent-disk-csi-driver deploy/disk_type_labels.sh@b560165"
)


@dataclass(frozen=True)
class Family:
    """Machines that attach the same disk types."""

    name: str
    disk_types: frozenset[str]
    source: Source


@dataclass(frozen=True)
class Accelerator:
    """A value of the node label ``cloud.google.com/gke-accelerator``; memory per GPU in GB."""

    label: str
    family: str
    memory_gb: int
    source: Source


@dataclass(frozen=True)
class MachineType:
    """``pd_read_mib_s`` is what one VM reads from all its pd-ssd together, ``None`` if unknown."""

    name: str
    family: str
    accelerator: str
    gpus: int
    vcpus: int
    memory_gib: int
    pd_read_mib_s: int | None
    source: Source


_A3_DISKS = (
    "hyperdisk-balanced",
    "hyperdisk-balanced-high-availability",
    "hyperdisk-extreme",
    "hyperdisk-ml",
    "hyperdisk-throughput",
)
_A4_DISKS = frozenset({"hyperdisk-balanced", "hyperdisk-extreme", "hyperdisk-ml"})

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("n1", frozenset({"pd-standard", "pd-balanced", "pd-ssd", "pd-extreme"}), _ATTACH),
        Family(
            "g2",
            frozenset(
                {"pd-standard", "pd-balanced", "pd-ssd", "hyperdisk-ml", "hyperdisk-throughput"}
            ),
            _ATTACH,
        ),
        Family(
            "a2",
            frozenset({"pd-standard", "pd-balanced", "pd-ssd", "pd-extreme", "hyperdisk-ml"}),
            _ATTACH,
        ),
        Family("a3", frozenset({"pd-balanced", "pd-ssd", *_A3_DISKS}), _ATTACH),
        Family(
            "a3-ultra",
            frozenset(_A3_DISKS),
            Source(
                "https://cloud.google.com/vertex-ai/docs/reference/rest/v1/DiskSpec: its boot disk "
                "is a Hyperdisk; the list is that of a3",
                Evidence.REPORTED,
            ),
        ),
        Family("a4", _A4_DISKS, _ATTACH),
        Family("a4x", _A4_DISKS, _ATTACH),
        Family("g4", frozenset(_A3_DISKS), _ATTACH),
    )
}

ACCELERATORS: dict[str, Accelerator] = {
    accelerator.label: accelerator
    for accelerator in (
        Accelerator("nvidia-tesla-t4", "n1", 16, _GPU_TABLE),
        Accelerator("nvidia-tesla-v100", "n1", 16, _GPU_RECALLED),
        Accelerator("nvidia-l4", "g2", 24, _GPU_TABLE),
        Accelerator("nvidia-tesla-a100", "a2", 40, _GPU_TABLE),
        Accelerator("nvidia-a100-80gb", "a2", 80, _LABEL_SAYS),
        Accelerator("nvidia-h100-80gb", "a3", 80, _LABEL_SAYS),
        Accelerator("nvidia-h100-mega-80gb", "a3", 80, _LABEL_SAYS),
        Accelerator("nvidia-h200-141gb", "a3-ultra", 141, _LABEL_SAYS),
        Accelerator("nvidia-b200", "a4", 180, _GPU_TABLE),
        Accelerator("nvidia-gb200", "a4x", 186, _GPU_RECALLED),
        Accelerator("nvidia-rtx-pro-6000", "g4", 96, _GPU_TABLE),
    )
}


def _g2(vcpus: int, gpus: int, read: int) -> MachineType:
    name = f"g2-standard-{vcpus}"
    return MachineType(name, "g2", "nvidia-l4", gpus, vcpus, vcpus * 4, read, _TYPES)


def _a2(size: str, gpus: int, memory: int, label: str, read: int) -> MachineType:
    vcpus = min(96, 12 * gpus)
    return MachineType(f"a2-{size}-{gpus}g", "a2", label, gpus, vcpus, memory, read, _TYPES)


def _a3(size: str, gpus: int, label: str) -> MachineType:
    name = f"a3-{size}-{gpus}g"
    return MachineType(name, "a3", label, gpus, 26 * gpus, 234 * gpus, None, _TYPES)


def _g4(gpus: int) -> MachineType:
    name = f"g4-standard-{48 * gpus}"
    return MachineType(name, "g4", "nvidia-rtx-pro-6000", gpus, 48 * gpus, 180 * gpus, None, _TYPES)


MACHINE_TYPES: dict[str, MachineType] = {
    machine.name: machine
    for machine in (
        _g2(4, 1, 240),
        _g2(8, 1, 800),
        _g2(12, 1, 800),
        _g2(16, 1, 1200),
        _g2(24, 2, 1200),
        _g2(32, 1, 1200),
        _g2(48, 4, 1200),
        _g2(96, 8, 1200),
        _a2("highgpu", 1, 85, "nvidia-tesla-a100", 800),
        _a2("highgpu", 2, 170, "nvidia-tesla-a100", 1200),
        _a2("highgpu", 4, 340, "nvidia-tesla-a100", 1200),
        _a2("highgpu", 8, 680, "nvidia-tesla-a100", 1200),
        _a2("megagpu", 16, 1360, "nvidia-tesla-a100", 1200),
        _a2("ultragpu", 1, 170, "nvidia-a100-80gb", 800),
        _a2("ultragpu", 2, 340, "nvidia-a100-80gb", 1200),
        _a2("ultragpu", 4, 680, "nvidia-a100-80gb", 1200),
        _a2("ultragpu", 8, 1360, "nvidia-a100-80gb", 1200),
        _a3("highgpu", 1, "nvidia-h100-80gb"),
        _a3("highgpu", 2, "nvidia-h100-80gb"),
        _a3("highgpu", 4, "nvidia-h100-80gb"),
        _a3("highgpu", 8, "nvidia-h100-80gb"),
        _a3("megagpu", 8, "nvidia-h100-mega-80gb"),
        MachineType(
            "a3-ultragpu-8g", "a3-ultra", "nvidia-h200-141gb", 8, 224, 2952, None, _RECALLED
        ),
        MachineType("a4-highgpu-8g", "a4", "nvidia-b200", 8, 224, 3968, None, _RECALLED),
        MachineType("a4x-highgpu-4g", "a4x", "nvidia-gb200", 4, 140, 884, None, _RECALLED),
        *(_g4(gpus) for gpus in (1, 2, 4, 8)),
    )
}

PD_READ_SOURCE = Source(
    "GoogleCloudPlatform/gcpdiag gcpdiag/runbook/gce/disk_performance_benchmark/"
    "{a,g,n}-family.json@06ec858"
)
"""Where the read limits per machine come from; those of N1 go by vCPUs, see :func:`pd_read_cap`."""

_N1_CAPS = ((16, 1200), (8, 800), (1, 240))


def family_of(machine_type: str) -> Family | None:
    """Family of a machine type by its name, ``None`` when it is no GPU machine known here."""
    series, _, rest = machine_type.partition("-")
    return FAMILIES.get("a3-ultra" if series == "a3" and rest.startswith("ultra") else series)


def pd_read_cap(machine_type: str) -> int | None:
    """Most that this machine reads from its pd-ssd disks in MiB/s, ``None`` when not known.

    N1 goes by its number of vCPUs, which its name ends in, ``n1-custom-8-30720`` apart.
    """
    known = MACHINE_TYPES.get(machine_type)
    if known is not None:
        return known.pd_read_mib_s
    words = machine_type.split("-")
    if words[0] != "n1" or len(words) < 3 or not words[2].isdecimal():
        return None
    return next((cap for least, cap in _N1_CAPS if int(words[2]) >= least), None)


def attaches(machine_type: str, disk_type: str) -> bool | None:
    """Whether a disk of this type attaches to the machine; ``None`` when that is not known."""
    family = family_of(machine_type)
    return None if family is None else disk_type in family.disk_types


def most_gpus(accelerator: str) -> int | None:
    """GPUs of the largest machine with this accelerator, ``None`` when not known."""
    counts = [m.gpus for m in MACHINE_TYPES.values() if m.accelerator == accelerator]
    return max(counts, default=None)
