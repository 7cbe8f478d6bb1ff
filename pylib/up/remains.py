"""What a lock file still tells the truth about, when things of it were taken away."""

from __future__ import annotations

from pylib.cloud.serving import Serving
from pylib.config.model import Config, Disk
from pylib.lock import Lock, LockedImage, LockedRevision, LockedWeights


def remaining(config: Config, lock: Lock, cloud: Serving, pools: frozenset[str]) -> Lock:
    """``lock`` without the disks, images and ``pools`` that are not there any more.

    What the config calls existing was never ours, and stays as it is written.
    """
    weights = lock.weights
    if not (isinstance(config.weights, Disk) and config.weights.existing):
        weights = _weights(weights, cloud)
    cache = lock.imageCache
    if cache is not None and not config.imageCache.existing and not _is_there(cache, cloud):
        cache = None
    kept = {cell: pool for cell, pool in (lock.pools or {}).items() if pool.name in pools}
    return lock.model_copy(update={"weights": weights, "imageCache": cache, "pools": kept or None})


def _weights(weights: LockedWeights | None, cloud: Serving) -> LockedWeights | None:
    if weights is None:
        return None
    found = [_revision(it, cloud) for it in weights.revisions]
    revisions = tuple(it for it in found if it.disks or it.image is not None)
    if not revisions:
        return None
    names = {it.name for it in revisions}
    current = weights.current if weights.current in names else revisions[-1].name
    return LockedWeights(current=current, revisions=revisions)


def _revision(revision: LockedRevision, cloud: Serving) -> LockedRevision:
    disks = {
        cell: disk
        for cell, disk in revision.disks.items()
        if cloud.disk(disk.zone, disk.name) is not None
    }
    image = revision.image if revision.image and _is_there(revision.image, cloud) else None
    return revision.model_copy(update={"disks": disks, "image": image})


def _is_there(image: LockedImage, cloud: Serving) -> bool:
    found = cloud.image(image.project, image.name)
    return found is not None and image.id in (None, found.id)
