"""How long, how large, how much: pure arithmetic over published figures.

Units stand in names: GiB, MiB/s, seconds.  Nothing here is measured by this project; every
function says where its figures come from and what it assumes, and errs on the slow side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypedDict, Unpack

from pylib.facts import Evidence, Source, disks, machines

MIB_PER_GIB = 1024

READ_LATENCY_SECONDS = 0.000_485
LOAD_CPU_SECONDS_PER_MIB = 0.000_62
LAZY_SOURCE = Source(
    "fit of windows * latency + size * (1/bandwidth + cpu) to the pd-ssd rows of 1 and 2 TiB in "
    "GoogleCloudPlatform/cloud-solutions projects/serve-llm-app-using-gke README.md: within 7 %; "
    "its row of 0.5 TiB (112 s at any read-ahead) is three times slower and unexplained",
    Evidence.REPORTED,
)
"""The lazy loader waits for one read-ahead window at a time and copies it to the GPU in between."""

PARALLEL_SOURCE = Source(
    "run-ai/runai-model-streamer docs/src/benchmarks.md: from 4 readers on, the disk's limit",
    Evidence.REPORTED,
)

HYPERDISK_MACHINE_MIB_S = 2400
HYPERDISK_MACHINE_SOURCE = Source(
    "rate in GoogleCloudPlatform/kubernetes-engine-samples hyperdisk-ml-sc.yaml@2b50365; limits "
    "per machine are in https://cloud.google.com/compute/docs/disks/hyperdisk-perf-limits and "
    "were not at hand",
    Evidence.UNVERIFIED,
)

BOOT_SECONDS = 300
BOOT_SOURCE = Source(
    "slowest published start of vLLM apart from weights, compile 43 s and profiling 210 s: "
    "https://github.com/vllm-project/vllm/issues/44881",
    Evidence.REPORTED,
)
STREAMED_IMAGE_SECONDS = 360
STREAMED_IMAGE_SOURCE = Source(
    "4 to 6 minutes to pull an image of 15 to 20 GB; with image streaming the container starts "
    "first and reads it while it runs: "
    "https://cloud.google.com/kubernetes-engine/docs/how-to/image-streaming",
    Evidence.REPORTED,
)
BUDGET_MARGIN = 2.0
BUDGET_STEP_SECONDS = 30

HOST_MEMORY_GIB = 6
PAGE_CACHE_SHARE = 0.9
MEMORY_SOURCE = Source(
    "vLLM prefetches weights that fit 90 % of the memory; 6 GiB for Python, CUDA and the server: "
    "https://github.com/vllm-project/vllm vllm/model_executor/model_loader",
    Evidence.REPORTED,
)

EXT4_SHARE = 1.03
EXT4_GIB = 2
EXT4_SOURCE = Source(
    "mke2fs.conf: one inode of 256 bytes per 16 KiB (1.6 %) and a journal of up to 1 GiB: "
    "https://man7.org/linux/man-pages/man5/mke2fs.conf.5.html"
)


@dataclass(frozen=True)
class LoadEstimate:
    """Time to read the weights once, cold.

    ``limited_by`` is ``disk``, ``machine``, ``latency`` (one read at a time) or ``cpu`` (copying);
    ``mib_s`` is the read limit that held.
    """

    seconds: float
    limited_by: str
    mib_s: float
    source: str


@dataclass(frozen=True)
class _Limit:
    mib_s: float
    by: str
    source: str


class Reading(TypedDict, total=False):
    """How the weights are read; every part may be left out.

    ``parallel``: a loader with four or more reads in flight, instead of vLLM's lazy one, whose
    speed depends on ``read_ahead_kib`` (128).  ``readers``: pods on as many nodes that read at the
    same time (1); they are assumed to divide the disk's limit evenly.  ``machine``: machine type,
    for its own limit.  ``provisioned_mib_s``: throughput that a Hyperdisk was given.
    """

    parallel: bool
    read_ahead_kib: int
    readers: int
    machine: str | None
    provisioned_mib_s: float | None


def load_seconds(
    model_gib: float, disk_type: str, disk_gib: float, **how: Unpack[Reading]
) -> LoadEstimate:
    """Seconds that a cold pod needs to read ``model_gib`` GiB of weights from a disk.

    Raises :class:`ValueError` for a number that is not positive or a disk type not known.
    """
    read_ahead = how.get("read_ahead_kib", 128)
    _positive(model_gib=model_gib, disk_gib=disk_gib, read_ahead_kib=read_ahead)
    limit = _read_limit(disk_type, disk_gib, how)
    size = model_gib * MIB_PER_GIB
    reading = size / limit.mib_s
    if how.get("parallel", False):
        source = f"{PARALLEL_SOURCE.cite}; {limit.source}"
        return LoadEstimate(round(reading, 1), limit.by, limit.mib_s, source)
    waiting = size * MIB_PER_GIB / read_ahead * READ_LATENCY_SECONDS
    parts = {
        limit.by: reading,
        "latency": waiting,
        "cpu": size * LOAD_CPU_SECONDS_PER_MIB,
    }
    return LoadEstimate(
        seconds=round(sum(parts.values()), 1),
        limited_by=max(parts, key=lambda part: parts[part]),
        mib_s=limit.mib_s,
        source=f"{LAZY_SOURCE.cite}; {limit.source}",
    )


def probe_budget_seconds(
    load: float, *, image_cached: bool = True, margin: float = BUDGET_MARGIN
) -> int:
    """Seconds that a startupProbe should allow, in steps of 30.

    ``load`` seconds for the weights and :data:`BOOT_SECONDS` for vLLM itself, times ``margin``.
    The pull of an image ends before probes begin; but an image that is neither cached nor pulled,
    only streamed, is read while vLLM starts.  Too long a budget costs nothing while pods are well.
    Raises :class:`ValueError` for a negative load or a margin below 1.
    """
    if load < 0 or margin < 1:
        raise ValueError(f"load is {load} s (at least 0) and margin {margin} (at least 1)")
    seconds = load + BOOT_SECONDS + (0 if image_cached else STREAMED_IMAGE_SECONDS)
    return math.ceil(seconds * margin / BUDGET_STEP_SECONDS) * BUDGET_STEP_SECONDS


def disk_gib_for(
    model_gib: float,
    wanted_seconds: float,
    disk_type: str = "pd-ssd",
    **how: Unpack[Reading],
) -> int:
    """Smallest Persistent Disk, in GiB, from which the weights load in ``wanted_seconds``.

    Never smaller than the model needs.  Raises :class:`ValueError` when no size of this type gets
    there, with the best time that any size gives, and for a Hyperdisk, whose rate is not its size.
    """
    _positive(model_gib=model_gib, wanted_seconds=wanted_seconds)
    kind = _disk(disk_type)
    if kind.hyperdisk:
        raise ValueError(f"{disk_type} is provisioned by throughput, its size sets no rate")

    def seconds(gib: int) -> float:
        return load_seconds(model_gib, disk_type, gib, **how).seconds

    least, most = bake_disk_gib(model_gib, disk_type), kind.max_gib
    if seconds(most) > wanted_seconds:
        raise ValueError(
            f"no {disk_type} loads {model_gib:g} GiB in {wanted_seconds:g} s; "
            f"the largest needs {seconds(most):g} s"
        )
    while least < most:
        middle = (least + most) // 2
        if seconds(middle) <= wanted_seconds:
            most = middle
        else:
            least = middle + 1
    return most


def memory_gib(model_gib: float, *, shm_gib: float = 0) -> int:
    """Memory request of a pod in GiB: the weights in the page cache, vLLM, and used /dev/shm.

    With less the kernel drops pages that the loader still needs.  Raises :class:`ValueError` for a
    size that is not positive.
    """
    _positive(model_gib=model_gib)
    return math.ceil(model_gib / PAGE_CACHE_SHARE + HOST_MEMORY_GIB + shm_gib)


def grace_seconds(pre_stop: int, drain: int, buffer: int) -> int:
    """terminationGracePeriodSeconds: preStop runs inside the grace period, then the drain.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination.
    Raises :class:`ValueError` for a negative number.
    """
    if min(pre_stop, drain, buffer) < 0:
        raise ValueError(f"preStop {pre_stop}, drain {drain}, buffer {buffer}: none may be below 0")
    return pre_stop + drain + buffer


def bake_disk_gib(content_gib: float, disk_type: str = "pd-ssd") -> int:
    """Size in GiB of an ext4 disk that holds ``content_gib`` GiB of files.

    Raises :class:`ValueError` for a size that is not positive or beyond the largest disk.
    """
    _positive(content_gib=content_gib)
    kind = _disk(disk_type)
    size = max(kind.min_gib, math.ceil(content_gib * EXT4_SHARE + EXT4_GIB))
    if size > kind.max_gib:
        raise ValueError(
            f"{content_gib:g} GiB do not fit the largest {disk_type}, {kind.max_gib} GiB"
        )
    return size


def _read_limit(disk_type: str, disk_gib: float, how: Reading) -> _Limit:
    kind = _disk(disk_type)
    readers = how.get("readers", 1)
    _positive(readers=readers)
    of_disk = disks.read_mib_s(disk_type, disk_gib, how.get("provisioned_mib_s")) / readers
    _positive(throughput_mib_s=of_disk)
    of_machine = _machine_limit(kind, how.get("machine"))
    if of_machine.mib_s <= of_disk:
        return of_machine
    return _Limit(of_disk, "disk", kind.rate.source.cite)


def _machine_limit(kind: disks.DiskType, machine: str | None) -> _Limit:
    if kind.hyperdisk:
        return _Limit(HYPERDISK_MACHINE_MIB_S, "machine", HYPERDISK_MACHINE_SOURCE.cite)
    known = machines.pd_read_cap(machine) if machine else None
    if known is None:
        return _Limit(kind.rate.maximum, "machine", kind.rate.source.cite)
    return _Limit(known, "machine", machines.PD_READ_SOURCE.cite)


def _disk(disk_type: str) -> disks.DiskType:
    if disk_type not in disks.DISK_TYPES:
        known = ", ".join(disks.DISK_TYPES)
        raise ValueError(f"disk type {disk_type!r} is not known; known are {known}")
    return disks.DISK_TYPES[disk_type]


def _positive(**numbers: float) -> None:
    for name, number in numbers.items():
        if not number > 0:
            raise ValueError(f"{name} is {number:g}, it must be above 0")
