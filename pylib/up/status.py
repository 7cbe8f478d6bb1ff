"""What of a config is there, how old it is, whether anything uses it, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pylib.bake.plan import PHASE, PUBLISHED, RUN
from pylib.cloud.inventory import Marked
from pylib.cloud.pools import NodePool, PoolSpec
from pylib.facts import prices
from pylib.lock import Lock
from pylib.names import RELEASE_LABEL
from pylib.provision.owned import ours
from pylib.up.site import Site

DAY = 86_400.0
REVISION_LABEL = "vfs-revision"


@dataclass(frozen=True)
class Line:
    """One resource: age in days where the service tells it, dollars a month where a price is
    known, ``use`` for who needs it."""

    kind: str
    name: str
    state: str
    about: str
    use: str
    days: float | None
    month: float | None

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Status:
    """All of them; ``unknown`` has a line for each list or place that gave no answer."""

    lines: tuple[Line, ...]
    unknown: tuple[str, ...] = ()

    @property
    def month(self) -> float:
        """Dollars a month of everything whose price is known."""
        return round(sum(line.month or 0.0 for line in self.lines), 2)


def status(site: Site) -> Status:
    """Images that were baked in the config's projects, and the release's disks and node pools.

    Raises CallError when a list does not come at all; a zone out of reach is told.
    """
    config, lock = site.config, site.lock()
    now = site.cloud.service_time()
    images = site.cloud.marked("image", config.imagesProject or config.project, RUN)
    disks = site.cloud.marked("disk", config.project, RELEASE_LABEL)
    pools = site.cloud.pools(site.location, config.cluster.name)
    lines = [
        *(_image(it, lock, now) for it in images.items if it.labels.get(PHASE) == PUBLISHED),
        *(_disk(it, lock, now) for it in disks.items if ours(it.labels, config)),
        *(_pool(it) for it in pools if ours(it.spec.labels, config)),
    ]
    lost = [f"images in {place}" for place in images.unreachable]
    lost += [f"disks in {place}" for place in disks.unreachable]
    return Status(tuple(lines), tuple(lost))


def _image(found: Marked, lock: Lock, now: float) -> Line:
    named = dict(_locked_images(lock))
    month = round(found.size_gib * prices.IMAGE_GIB_MONTH, 2)
    days = (now - found.created) / DAY
    about = f"{found.size_gib} GiB"
    use = named.get(found.link, "not in the lock file")
    return Line("image", found.name, found.status, about, use, round(days, 1), month)


def _locked_images(lock: Lock) -> Iterator[tuple[str, str]]:
    if lock.imageCache is not None:
        cache = lock.imageCache
        yield f"projects/{cache.project}/global/images/{cache.name}", "image cache"
    for revision in lock.weights.revisions if lock.weights else ():
        if revision.image is not None:
            image = revision.image
            link = f"projects/{image.project}/global/images/{image.name}"
            yield link, f"revision {revision.name}"


def _disk(found: Marked, lock: Lock, now: float) -> Line:
    month = disk_month(found.type, found.size_gib)
    revision = found.labels.get(REVISION_LABEL, "")
    current = lock.weights is not None and lock.weights.current == revision
    word = "current" if current else "not current"
    use = f"{word} revision {revision}, {len(found.users)} nodes have it"
    about = f"{found.type} of {found.size_gib} GiB in {found.place}"
    days = round((now - found.created) / DAY, 1)
    return Line("disk", found.name, found.status, about, use, days, month)


def _pool(found: NodePool) -> Line:
    spec, month = found.spec, pool_month(found.spec)
    cache = spec.image.rsplit("/", 1)[-1] if spec.image else "no image cache"
    about = f"{spec.machine_type} in {', '.join(spec.zones)}, {cache}"
    use = f"cell {spec.labels.get('vfs-cell', '')}, {spec.least} to {spec.most} nodes a zone"
    return Line("node pool", spec.name, found.status, about, use, None, month)


def disk_month(kind: str, gib: int) -> float | None:
    """Dollars a month of a disk; ``None`` where no price is known."""
    price = prices.DISK_GIB_MONTH.get(kind)
    return None if price is None else round(gib * price, 2)


def pool_month(spec: PoolSpec) -> float | None:
    """Dollars a month of a pool's least nodes, which it costs at least."""
    hour = prices.GPU_MACHINE_HOUR.get(spec.machine_type)
    if hour is None or spec.spot or spec.flex_start:
        return None
    return round(hour * prices.HOURS_A_MONTH * spec.least * len(spec.zones), 2)
