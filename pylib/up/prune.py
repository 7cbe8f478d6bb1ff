"""What an update left behind: revisions, disks and node pools of ours that nothing uses."""

from __future__ import annotations

from pylib import gcloud
from pylib.bake.lockfile import drop_revision
from pylib.cloud.pools import PoolSpec
from pylib.cloud.records import Disk
from pylib.names import RELEASE_LABEL, label_value
from pylib.provision.action import Action, Verb
from pylib.provision.owned import ours
from pylib.provision.pools import wanted_pool
from pylib.up import acts
from pylib.up.after import TheRelease
from pylib.up.site import Site, Stage


class Prune(Stage):
    """Runs only when asked for: without it an update can be rolled back at once."""

    def plan(self, site: Site) -> list[Action]:
        """Delete what is ours and not in the release any more."""
        if not site.wishes.prune or site.pending:
            return []
        project = site.config.project
        revisions = [
            Action(Verb.DELETE, "revision", name, "is not the current one", spec=name)
            for name in old_revisions(site)
        ]
        disks = [
            Action(
                *(Verb.DELETE, "disk", f"{it.name} in {it.zone}", "of no current revision"),
                (gcloud.delete_disk(project, it.zone, it.name),),
                it,
            )
            for it in old_disks(site)
        ]
        pools = [
            Action(
                *(Verb.DELETE, "node pool", it.name, "no cell is on it"),
                (gcloud.delete_pool(project, it),),
                it,
            )
            for it in old_pools(site)
        ]
        return [*revisions, *disks, *pools]

    def act(self, site: Site, action: Action) -> None:
        """Take one away; a revision's volumes leave the release before its disks go."""
        if action.kind == "revision":
            drop_revision(site.lock_file, site.file.name, action.spec)
            TheRelease().settle(site)
        elif action.kind == "disk":
            acts.delete_disk(site.cloud, action.spec.zone, action.spec.name, action.spec.id)
        else:
            acts.delete_pool(site.cloud, action.spec)


def old_revisions(site: Site) -> list[str]:
    """Revisions in the lock file that pods do not mount."""
    weights = site.lock().weights
    if weights is None:
        return []
    return [it.name for it in weights.revisions if it.name != weights.current]


def old_disks(site: Site) -> list[Disk]:
    """Disks of ours that are not the current revision's; all there are of this release."""
    weights = site.lock().weights
    current = [it for it in weights.revisions if it.name == weights.current] if weights else []
    kept = {(disk.zone, disk.name) for it in current for disk in it.disks.values()}
    return [it for it in our_disks(site) if (it.zone, it.name) not in kept]


def our_disks(site: Site) -> list[Disk]:
    """All weights disks of this release, by their labels."""
    name = label_value(site.config.release.name)
    found = site.cloud.labelled_disks(RELEASE_LABEL, name)
    return [it for it in found.items if ours(it.labels, site.config)]


def our_pools(site: Site) -> list[PoolSpec]:
    """All node pools of this release, by their labels."""
    found = site.cloud.pools(site.location, site.config.cluster.name)
    return [it.spec for it in found if ours(it.spec.labels, site.config)]


def old_pools(site: Site) -> list[PoolSpec]:
    """Node pools of ours that no cell is on."""
    lock = site.lock().pools or {}
    wanted = {}
    for cell in site.config.cells:
        spec = wanted_pool(site.config, cell, None)
        if spec is not None:
            wanted[cell.key] = lock[cell.key].name if cell.key in lock else spec.name
    return [it for it in our_pools(site) if it.name not in wanted.values()]
