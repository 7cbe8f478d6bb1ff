"""Rules of one cell: its nodes, its GPUs, and the disks that its machines can attach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from pylib.config.model import BootDisk, Cell, Config, Disk, Provisioning
from pylib.errors import Problem
from pylib.facts.gke import MAX_SECONDARY_BOOT_DISK_IMAGE
from pylib.facts.machines import MACHINE_TYPES, family_of


def cell_problems(path: str, cell: Cell, config: Config) -> Iterator[Problem]:
    """What is wrong with the cell at ``path`` (such as ``cells[0]``)."""
    yield from _place(path, cell, config)
    yield from _provisioning(path, cell)
    yield from _gpus(path, cell, config)
    yield from _disks(path, cell, config)


def _place(path: str, cell: Cell, config: Config) -> Iterator[Problem]:
    if (cell.nodePool is None) == (cell.computeClass is None):
        given = "neither" if cell.nodePool is None else "both"
        yield Problem(
            path,
            f"has {given} of nodePool and computeClass",
            "Write one of nodePool: {name: …} and computeClass: {name: …}.",
        )
    image = config.imageCache.name
    if cell.computeClass and image and len(image) > MAX_SECONDARY_BOOT_DISK_IMAGE:
        yield Problem(
            "imageCache.name",
            f"{image!r} has {len(image)} characters; with a computeClass the node label allows"
            f" {MAX_SECONDARY_BOOT_DISK_IMAGE}",
            "Shorten the image's name.",
        )
    if cell.minNodes > cell.maxNodes:
        yield Problem(
            f"{path}.minNodes",
            f"{cell.minNodes} is more than maxNodes ({cell.maxNodes})",
            "Lower minNodes or raise maxNodes.",
        )


def _provisioning(path: str, cell: Cell) -> Iterator[Problem]:
    if cell.computeClass and cell.provisioning is not Provisioning.ON_DEMAND:
        yield Problem(
            f"{path}.provisioning",
            f"{cell.provisioning.value} is not the cell's to say: its computeClass decides",
            "Remove it; write it into the ComputeClass's priorities.",
        )
    reserved = cell.provisioning is Provisioning.RESERVATION
    if reserved and cell.reservation is None:
        yield Problem(
            f"{path}.reservation",
            "is required with provisioning: reservation",
            "Add reservation: <reservation name>.",
        )
    if cell.reservation is not None and not reserved:
        yield Problem(
            f"{path}.reservation",
            f"is of no use with provisioning: {cell.provisioning.value}",
            "Remove it, or write provisioning: reservation.",
        )


def _gpus(path: str, cell: Cell, config: Config) -> Iterator[Problem]:
    machine = MACHINE_TYPES.get(cell.machineType)
    if machine is not None and machine.accelerator != cell.accelerator.type:
        yield Problem(
            f"{path}.accelerator.type",
            f"{cell.accelerator.type} is not what machine type {cell.machineType} has",
            f"Write type: {machine.accelerator}, or another machineType.",
        )
    elif machine is not None and machine.gpus != cell.accelerator.count:
        yield Problem(
            f"{path}.accelerator.count",
            f"{cell.accelerator.count} GPUs are not what machine type {cell.machineType} has",
            f"Write count: {machine.gpus}, or another machineType.",
        )
    wanted = config.serving.tensorParallelism if config.serving else None
    if wanted is not None and wanted > cell.accelerator.count:
        yield Problem(
            "serving.tensorParallelism",
            f"{wanted} is more than the {cell.accelerator.count} GPUs of a node in {cell.key}",
            f"Write at most {cell.accelerator.count}.",
        )


def _disks(path: str, cell: Cell, config: Config) -> Iterator[Problem]:
    family = family_of(cell.machineType)
    if family is None:
        return
    known = family.disk_types
    weights = config.weights
    if isinstance(weights, Disk) and weights.type not in known:
        yield Problem(
            "weights.type",
            f"a {weights.type} cannot be attached to machine type {cell.machineType}"
            f" (cell {cell.key})",
            f"Write one of: {_types_in(Disk, known)}.",
        )
    if cell.bootDisk.type not in known:
        yield Problem(
            f"{path}.bootDisk.type",
            f"a {cell.bootDisk.type} cannot be the boot disk of machine type {cell.machineType}",
            f"Write bootDisk: {{type: …}} with one of: {_types_in(BootDisk, known)}.",
        )


def _types_in(model: type[Disk | BootDisk], known: frozenset[str]) -> str:
    allowed = get_args(model.model_fields["type"].annotation)
    return ", ".join(name for name in allowed if name in known)
