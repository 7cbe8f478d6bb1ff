"""What an update left behind: revisions, disks and node pools of ours that nothing uses."""

from __future__ import annotations

from pylib import gcloud
from pylib.bake.lockfile import drop_revision
from pylib.cloud.pools import PoolSpec
from pylib.cloud.records import Disk
from pylib.lock import LockedRevision
from pylib.names import RELEASE_LABEL, label_value
from pylib.provision.action import Action, Verb
from pylib.provision.owned import ours
from pylib.up import acts
from pylib.up.after import TheRelease, chosen_pools, fitting, release_line
from pylib.up.printed import drop_line
from pylib.up.site import Site, Stage
from pylib.weights_disks import disks_of


class Prune(Stage):
    """Runs only when asked for: without it an update can be rolled back at once."""

    def plan(self, site: Site) -> list[Action]:
        """Delete what is ours and not in the release any more."""
        if not site.wishes.prune or site.pending:
            return []
        project = site.config.project
        revisions = [
            Action(Verb.DELETE, "revision", name, "is not the current one", _drop(site, name), name)
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
            # Right after an update, pods of the old revision are still on their way out.
            acts.until_idle(site.cloud, action.spec.zone, action.spec.name, site.say)
            acts.delete_disk(site.cloud, action.spec.zone, action.spec.name, action.spec.id)
        else:
            acts.delete_pool(site.cloud, action.spec)


def old_revisions(site: Site) -> list[str]:
    """Revisions in the lock file that pods do not mount, once all that comes before is done."""
    weights, kept = site.lock().weights, _kept(site)
    if weights is None or kept is None:
        return []
    return [it.name for it in weights.revisions if it.name != kept.name]


def old_disks(site: Site) -> list[Disk]:
    """Disks of ours that are not the kept revision's; all there are of this release."""
    kept, names = _kept(site), set[tuple[str, str]]()
    if kept is not None:
        names = {(disk.zone, disk.name) for disk in disks_of(kept, site.config).values()}
    return [it for it in our_disks(site) if (it.zone, it.name) not in names]


def _kept(site: Site) -> LockedRevision | None:
    """The config's revision, also while the lock file still calls another one current."""
    weights = site.lock().weights
    if weights is None:
        return None
    current = (it for it in weights.revisions if it.name == weights.current)
    return fitting(site) or next(current, None)


def _drop(site: Site, revision: str) -> tuple[str, ...]:
    return (drop_line(site.lock_file, site.file, revision), release_line(site))


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
    """Node pools of ours that no cell is on, nor will be once all that comes before is done."""
    wanted = {it.spec.name for it in chosen_pools(site)}
    return [it for it in our_pools(site) if it.name not in wanted]
