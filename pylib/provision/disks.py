"""Weights disks: one a cell and revision, made from the revision's image.  Pure.

A PersistentVolume cannot change, and it is named by its revision.  So disks of another type or size
make another revision of the same weights: its name is the old one's with a suffix of what the disks
are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pylib import gcloud
from pylib.cloud.records import Disk as Found
from pylib.cloud.records import DiskSpec
from pylib.config.model import Config, Disk
from pylib.errors import Problem
from pylib.facts.disks import DISK_TYPES
from pylib.lock import LockedDisk, LockedRevision
from pylib.provision.action import Action, Verb
from pylib.provision.owned import ours
from pylib.weights_disks import disk_spec

_DIGITS = 4


@dataclass(frozen=True)
class Made:
    """The disk of a cell, and what is done to it."""

    cell: str
    spec: DiskSpec
    action: Action


def fitting_revision(revision: LockedRevision, config: Config) -> LockedRevision:
    """The revision itself, or another of the same weights, where its disks are not as the config
    now asks for."""
    weights = config.weights
    if not isinstance(weights, Disk) or revision.image is None:
        return revision
    kept = [revision.disks[it.key] for it in config.cells if it.key in revision.disks]
    if all((it.type, it.sizeGiB) == (weights.type, weights.sizeGiB) for it in kept):
        return revision
    base = revision.name.partition("-")[0]
    text = json.dumps([weights.type, weights.sizeGiB, weights.throughputMiBps])
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return revision.model_copy(update={"name": f"{base}-{digest}", "disks": {}})


def plan_disks(
    config: Config,
    revision: LockedRevision,
    found: Mapping[tuple[str, str], Found],
    problems: list[Problem],
) -> Iterator[Made]:
    """The disk of each cell; ``found`` is by zone and name; what cannot be goes to ``problems``."""
    for index, cell in enumerate(config.cells):
        spec = disk_spec(config, cell, revision)
        if spec is None:
            continue
        there = found.get((spec.zone, spec.name))
        path = f"cells[{index}]"
        if there is None:
            yield Made(cell.key, spec, _create(config, spec, revision.disks.get(cell.key)))
        elif not ours(there.labels, config):
            message = f"disk {spec.name} in {spec.zone} is not this release's; it is left alone"
            fix = "Choose another release name, or delete that disk."
            problems.append(Problem(path, message, fix))
        elif (there.type, there.size_gib) != (spec.type, spec.size_gib):
            message = f"disk {spec.name} is a {there.type} of {there.size_gib} GiB"
            fix = f"Delete it, or write type: {there.type}, sizeGiB: {there.size_gib}."
            problems.append(Problem(path, message, fix))
        elif there.status == "FAILED":
            lines = (
                gcloud.delete_disk(config.project, spec.zone, spec.name),
                gcloud.create_disk(config.project, spec),
            )
            why = "its making failed"
            action = Action(Verb.REPLACE, "disk", f"{spec.name} in {spec.zone}", why, lines, spec)
            yield Made(cell.key, spec, action)
        else:
            action = Action(Verb.REUSE, "disk", f"{spec.name} in {spec.zone}", spec=spec)
            yield Made(cell.key, spec, action)


def reader_problems(config: Config) -> Iterator[Problem]:
    """Cells that may get more nodes than their disk takes readers; each node attaches it once."""
    weights = config.weights
    if not isinstance(weights, Disk):
        return
    readers = DISK_TYPES[weights.type].readers
    for index, cell in enumerate(config.cells):
        if readers.count is not None and readers.source.confirmed and cell.maxNodes > readers.count:
            message = f"{cell.maxNodes} nodes are more than may read one {weights.type} at a time"
            fix = f"Write at most {readers.count}, or let another cell or disk type take the rest."
            yield Problem(f"cells[{index}].maxNodes", message, fix)


def _create(config: Config, spec: DiskSpec, known: LockedDisk | None) -> Action:
    why = "the lock file has it, and it is gone" if known is not None and known.id else ""
    line = gcloud.create_disk(config.project, spec)
    return Action(Verb.CREATE, "disk", f"{spec.name} in {spec.zone}", why, (line,), spec)


def locked_disk(found: Found) -> LockedDisk:
    """The lock's entry for a disk."""
    return LockedDisk(
        name=found.name, zone=found.zone, id=found.id, type=found.type, sizeGiB=found.size_gib
    )
