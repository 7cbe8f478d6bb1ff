"""Weights disks of a revision: those that the lock file names, and those still to be made.  Pure.

A baked revision has an image before it has disks.  The names of its disks follow from release, cell
and revision, so that values can name them at once, and whoever makes them finds the same names.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from pylib.config.model import Cell, Config, Disk
from pylib.lock import Lock, LockedDisk, LockedImage, LockedRevision
from pylib.names import weights_disk


@dataclass(frozen=True)
class Unmade:
    """A disk to be made from a weights image."""

    disk: LockedDisk
    image: LockedImage


def mounted_revisions(lock: Lock) -> tuple[LockedRevision, ...]:
    """The current revision, and every other one that has disks to mount."""
    weights = lock.weights
    if weights is None:
        return ()
    return tuple(it for it in weights.revisions if it.disks or it.name == weights.current)


def disks_of(revision: LockedRevision, config: Config) -> dict[str, LockedDisk]:
    """The disk of each cell, by cell; none for a cell whose disk is not there and has no image."""
    found = dict(revision.disks)
    if revision.image is None or not isinstance(config.weights, Disk):
        return found
    for cell in config.cells:
        found.setdefault(cell.key, _planned(revision, cell, config.release.name, config.weights))
    return found


def unmade(config: Config, lock: Lock) -> Iterator[Unmade]:
    """Disks that values name and that are not made yet."""
    for revision in mounted_revisions(lock):
        for cell, disk in sorted(disks_of(revision, config).items()):
            if cell not in revision.disks and revision.image is not None:
                yield Unmade(disk, revision.image)


def command(config: Config, found: Unmade) -> str:
    """The gcloud command that makes the disk."""
    disk, image = found.disk, found.image
    words = [
        *("gcloud", "compute", "disks", "create", disk.name),
        f"--project={config.project}",
        f"--zone={disk.zone}",
        f"--type={disk.type}",
        f"--size={disk.sizeGiB}GB",
        f"--image=projects/{image.project}/global/images/{image.name}",
    ]
    if disk.type == "hyperdisk-ml":
        words.append("--access-mode=READ_ONLY_MANY")
        if isinstance(config.weights, Disk) and config.weights.throughputMiBps:
            words.append(f"--provisioned-throughput={config.weights.throughputMiBps}")
    if config.kmsKey:
        words.append(f"--kms-key={config.kmsKey}")
    return shlex.join(words)


def _planned(revision: LockedRevision, cell: Cell, release: str, weights: Disk) -> LockedDisk:
    return LockedDisk(
        name=weights_disk(release, cell.key, revision.name),
        zone=cell.zone,
        type=weights.type,
        sizeGiB=weights.sizeGiB,
    )
