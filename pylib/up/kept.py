"""What an update left for the way back, and what keeping it costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pylib.cloud.records import Disk
from pylib.up.prune import old_disks, old_pools
from pylib.up.site import Site
from pylib.up.status import REVISION_LABEL, disk_month, pool_month


def kept(site: Site) -> Iterator[str]:
    """A line for each revision and each node pool of ours that nothing needs any more.

    Raises CallError when a list does not come.
    """
    revisions = defaultdict[str, list[Disk]](list)
    for disk in old_disks(site):
        revisions[disk.labels.get(REVISION_LABEL, "")].append(disk)
    for name, disks in revisions.items():
        names = ", ".join(it.name for it in disks)
        yield _line(
            f"revision {name} on {names}", [disk_month(it.type, it.size_gib) for it in disks]
        )
    for pool in old_pools(site):
        least = pool.least * len(pool.zones)
        yield _line(f"node pool {pool.name} (nodes: {least} or more)", [pool_month(pool)])


def _line(what: str, months: list[float | None]) -> str:
    known = [it for it in months if it is not None]
    cost = f"about ${sum(known):.2f} a month" if len(known) == len(months) else "price unknown"
    return f"kept    {what}: {cost}; --prune takes it away"
