"""Weights disks of a revision: those that the lock file names, and those still to be made.  Pure.

A baked revision has an image before it has disks.  The names of its disks follow from release, cell
and revision, so that values can name them at once, and whoever makes them finds the same names.

No disk has the label goog-gke-multi-zone.  It stands for a volume of one name in several zones
(``isMultiZoneDisk``, ``convertMultiZoneVolKeyToZoned`` in gcp-compute-persistent-disk-csi-driver),
and here each cell has a disk and a PersistentVolume of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from pylib.cloud.records import DiskSpec
from pylib.config.model import Cell, Config, Disk
from pylib.lock import Lock, LockedDisk, LockedRevision
from pylib.names import release_labels, weights_disk

READ_ONLY_MANY = "READ_ONLY_MANY"
"""Access mode without which no second node gets a Hyperdisk:
https://cloud.google.com/compute/docs/disks/sharing-disks-between-vms."""


def mounted_revisions(lock: Lock) -> tuple[LockedRevision, ...]:
    """The current revision, and every other one that has disks to mount."""
    weights = lock.weights
    if weights is None:
        return ()
    return tuple(it for it in weights.revisions if it.disks or it.name == weights.current)


def disk_spec(config: Config, cell: Cell, revision: LockedRevision) -> DiskSpec | None:
    """The disk that a cell asks for; ``None`` where there is no image to make it from."""
    weights, image, release = config.weights, revision.image, config.release
    if not isinstance(weights, Disk) or image is None:
        return None
    known = revision.disks.get(cell.key)
    hyperdisk = weights.type.startswith("hyperdisk")
    return DiskSpec(
        name=known.name if known else weights_disk(release.name, cell.key, revision.name),
        zone=cell.zone,
        size_gib=weights.sizeGiB,
        type=weights.type,
        labels=release_labels(
            release.name, release.namespace, cell=cell.key, revision=revision.name
        ),
        image=f"projects/{image.project}/global/images/{image.name}",
        kms_key=config.kmsKey,
        access_mode=READ_ONLY_MANY if hyperdisk else None,
        throughput_mib_s=weights.throughputMiBps if weights.type == "hyperdisk-ml" else None,
    )


def disks_of(revision: LockedRevision, config: Config) -> dict[str, LockedDisk]:
    """The disk of each cell, by cell; none for a cell whose disk is not there and has no image."""
    found = dict(revision.disks)
    for cell, spec in _unmade(revision, config):
        found[cell] = LockedDisk(
            name=spec.name, zone=spec.zone, type=spec.type, sizeGiB=spec.size_gib
        )
    return found


def unmade(config: Config, lock: Lock) -> Iterator[DiskSpec]:
    """Disks that values name and that are not made yet."""
    for revision in mounted_revisions(lock):
        yield from (spec for _, spec in _unmade(revision, config))


def _unmade(revision: LockedRevision, config: Config) -> Iterator[tuple[str, DiskSpec]]:
    for cell in config.cells:
        spec = None if cell.key in revision.disks else disk_spec(config, cell, revision)
        if spec is not None:
            yield cell.key, spec
