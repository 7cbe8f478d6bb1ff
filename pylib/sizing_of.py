"""Sizing applied to a config: what one pod asks for, and why; the reasons go into the values file.

A number that the config gives is taken; one that it leaves out is computed for the largest need
among the cells, since all cells run one pod spec.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pylib import sizing
from pylib.config.model import Cell, Config, Disk, NoWeights, Serving
from pylib.facts.machines import MACHINE_TYPES
from pylib.facts.vllm_loaders import reads_in_parallel

CPU_SHARE = 0.8
"""Part of a node's vCPUs that pods ask for: the rest is for GKE's own pods and daemons."""
DEFAULT_CPU = 8
"""CPU request on a machine that the tables do not know."""

SHM_GIB_ONE_GPU = 2
SHM_GIB_MANY_GPUS = 8
"""/dev/shm: NCCL and vLLM's workers talk through it when a pod has several GPUs."""

SCRATCH_GIB = 10
"""The chart's cache volume (8 GiB) and /tmp (1 GiB), and 1 GiB for logs."""


@dataclass(frozen=True)
class PodSize:
    """One pod: GPUs, CPU request (cores), memory and storage (GiB), start-up budget (seconds).

    ``reasons`` says, one line each, where a computed number comes from.
    """

    gpus: int
    cpu: str
    memory_gib: int
    shm_gib: int
    ephemeral_storage_gib: int
    startup_budget_seconds: int
    reasons: tuple[str, ...]


def pod_size(config: Config) -> PodSize:
    """The size of one pod of a config in serve mode, whose fields fit together."""
    serving = config.serving
    if serving is None:
        raise ValueError("a config in serve mode needs serving")
    gpus = serving.tensorParallelism or min(cell.accelerator.count for cell in config.cells)
    shm = SHM_GIB_ONE_GPU if gpus == 1 else SHM_GIB_MANY_GPUS
    reasons: list[str] = []
    return PodSize(
        gpus=gpus,
        cpu=_cpu(config, serving, gpus, reasons),
        memory_gib=_memory(config, serving, shm, reasons),
        shm_gib=shm,
        ephemeral_storage_gib=_ephemeral_storage(config, serving),
        startup_budget_seconds=_budget(config, serving, reasons),
        reasons=tuple(reasons),
    )


def _cpu(config: Config, serving: Serving, gpus: int, reasons: list[str]) -> str:
    if serving.resources.cpu is not None:
        return f"{serving.resources.cpu:g}"
    share = min((_cpu_share(cell, gpus) for cell in config.cells), default=DEFAULT_CPU)
    known = all(cell.machineType in MACHINE_TYPES for cell in config.cells)
    why = f"{CPU_SHARE:.0%} of the node's vCPUs for its share of GPUs"
    reasons.append(f"cpu {share}: {why if known else 'assumed for a machine type not known here'}.")
    return str(share)


def _cpu_share(cell: Cell, gpus: int) -> int:
    machine = MACHINE_TYPES.get(cell.machineType)
    if machine is None:
        return DEFAULT_CPU
    return max(1, math.floor(machine.vcpus * CPU_SHARE * gpus / cell.accelerator.count))


def _memory(config: Config, serving: Serving, shm: int, reasons: list[str]) -> int:
    if serving.resources.memoryGiB is not None:
        return serving.resources.memoryGiB
    needed = sizing.memory_gib(config.model.sizeGiB, shm_gib=shm)
    reasons.append(
        f"memory {needed}Gi: {config.model.sizeGiB} GiB of weights in the page cache,"
        f" {shm} GiB of /dev/shm, and vLLM."
    )
    return needed


def _ephemeral_storage(config: Config, serving: Serving) -> int:
    if serving.resources.ephemeralStorageGiB is not None:
        return serving.resources.ephemeralStorageGiB
    weights = config.weights
    downloaded = weights.sizeGiB if isinstance(weights, NoWeights) else None
    return SCRATCH_GIB + (downloaded or 0)


def _budget(config: Config, serving: Serving, reasons: list[str]) -> int:
    if serving.startupBudgetSeconds is not None:
        return serving.startupBudgetSeconds
    load = max(_loads(config, serving, reasons), default=0.0)
    cached = config.imageCache.enabled
    budget = sizing.probe_budget_seconds(load, image_cached=cached)
    reasons.append(
        f"startup.budgetSeconds {budget}: load {load:g} s and vLLM's own start, doubled."
    )
    return budget


def _loads(config: Config, serving: Serving, reasons: list[str]) -> Iterator[float]:
    weights = config.weights
    if not isinstance(weights, Disk):
        yield 2 * sizing.load_seconds(config.model.sizeGiB, "pd-balanced", 100).seconds
        return
    parallel = reads_in_parallel(serving.args)
    machines = dict.fromkeys(cell.machineType for cell in config.cells)
    for machine in machines:
        estimate = sizing.load_seconds(
            config.model.sizeGiB,
            weights.type,
            weights.sizeGiB,
            parallel=parallel,
            read_ahead_kib=weights.readAheadKiB,
            machine=machine,
            provisioned_mib_s=weights.throughputMiBps,
        )
        reasons.append(
            f"load on {machine}: {estimate.seconds:g} s cold, limited by {estimate.limited_by}"
            f" ({estimate.mib_s:g} MiB/s)."
        )
        yield estimate.seconds
