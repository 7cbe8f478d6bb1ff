"""Stages after the bakes: node pools, weights disks, cluster objects, the release itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from pylib.bake.lockfile import keep_disk, keep_pool, keep_spare, make_current
from pylib.config.model import Cell, Disk
from pylib.errors import Problem, ProvisionError
from pylib.lock import LockedRevision
from pylib.provision.action import Action, Verb
from pylib.provision.disks import (
    Made,
    fitting_revision,
    locked_disk,
    plan_disks,
    reader_problems,
)
from pylib.provision.objects import plan_objects, wanted_objects
from pylib.provision.pools import Chosen, plan_pools
from pylib.up import acts, release
from pylib.up.baking import wanted_revision
from pylib.up.printed import apply_lines, cluster_words
from pylib.up.site import Site, Stage
from pylib.weights_disks import disk_spec


class Pools(Stage):
    """A node pool for each cell, with the image cache on its nodes."""

    def plan(self, site: Site) -> list[Action]:
        """Make, scale or take the pools as they are."""
        chosen = chosen_pools(site)  # strangers are in the way whatever is baked
        site.problems += _machine_problems(site)
        if "image" in site.pending:
            return [
                _later("node pool", f"of cell {it.key} in {it.zone}") for it in _own_pools(site)
            ]
        return [it.action for it in chosen]

    def act(self, site: Site, action: Action) -> None:
        """Do one."""
        if action.verb is Verb.REPLACE:
            acts.delete_pool(site.cloud, action.spec)
        if action.verb is Verb.CHANGE:
            acts.scale_pool(site.cloud, action.spec)
        else:
            acts.make_pool(site.cloud, action.spec)

    def settle(self, site: Site) -> None:
        """Wait for what an earlier run began, and note the names that are not the config's."""
        for it in chosen_pools(site):
            if it.action.verb is Verb.REUSE:
                acts.settled(site.cloud, it.spec)
            plain = next(cell.nodePool for cell in site.config.cells if cell.key == it.cell)
            name = plain.name if plain else ""
            keep_pool(site.lock_file, site.file.name, it.cell, it.spec.name, name)


class Disks(Stage):
    """A weights disk for each cell, made from the wanted revision's image."""

    def plan(self, site: Site) -> list[Action]:
        """Make the disks that are not there."""
        weights = site.config.weights
        if not isinstance(weights, Disk):
            return []
        site.problems += reader_problems(site.config)
        if "weights" in site.pending:
            names = (f"of cell {cell.key} in {cell.zone}" for cell in site.config.cells)
            return [_later("disk", name) for name in names]
        revision = fitting(site)
        if revision is None:
            return []
        if weights.existing:
            return _existing(site, revision)
        return [it.action for it in self._made(site, revision)]

    def act(self, site: Site, action: Action) -> None:
        """Make one."""
        spec = action.spec
        if action.verb is Verb.REPLACE:
            acts.delete_disk(site.cloud, spec.zone, spec.name, None)
        acts.make_disk(site.cloud, spec)

    def settle(self, site: Site) -> None:
        """Write the disks into the lock file, and make their revision the current one."""
        weights, revision = site.config.weights, fitting(site)
        if revision is None or not isinstance(weights, Disk) or weights.existing:
            return
        keep_spare(site.lock_file, site.file.name, revision)
        for it in self._made(site, revision):
            disk = site.cloud.disk(it.spec.zone, it.spec.name)
            if disk is None:
                raise ProvisionError(f"disk {it.spec.name} in {it.spec.zone} is gone again.")
            keep_disk(site.lock_file, site.file.name, revision.name, it.cell, locked_disk(disk))
        make_current(site.lock_file, site.file.name, revision.name)

    def _made(self, site: Site, revision: LockedRevision) -> list[Made]:
        specs = (disk_spec(site.config, cell, revision) for cell in site.config.cells)
        found = {}
        for spec in specs:
            disk = site.cloud.disk(spec.zone, spec.name) if spec else None
            if disk is not None:
                found[(disk.zone, disk.name)] = disk
        return list(plan_disks(site.config, revision, found, site.problems))


def chosen_pools(site: Site) -> list[Chosen]:
    """The node pool of each cell, as it is or will be."""
    found = site.cloud.pools(site.location, site.config.cluster.name)
    by_name = {pool.spec.name: pool for pool in found}
    return list(plan_pools(site.config, site.lock(), by_name, site.problems))


def fitting(site: Site) -> LockedRevision | None:
    """The revision whose disks are as the config asks for, whether they are made or not."""
    found = wanted_revision(site.config, site.lock(), site.wishes.bake.shards)
    return None if found is None else fitting_revision(found, site.config)


def _machine_problems(site: Site) -> Iterator[Problem]:
    """Cells whose zone does not have their machine type; which zones of the region have it."""
    has = cache(lambda zone, name: site.cloud.machine_type(zone, name) is not None)
    for index, cell in enumerate(site.config.cells):
        existing = cell.nodePool is not None and cell.nodePool.existing
        if existing or has(cell.zone, cell.machineType):
            continue
        zones = site.cloud.zones(site.config.region)
        have = [it for it in zones if has(it, cell.machineType)]
        message = f"zone {cell.zone} has no {cell.machineType}"
        fix = f"Write one of {', '.join(have)}." if have else "Choose another machine type."
        yield Problem(f"cells[{index}].zone", message, fix)


def _own_pools(site: Site) -> list[Cell]:
    return [it for it in site.config.cells if it.nodePool and not it.nodePool.existing]


def _later(kind: str, name: str) -> Action:
    return Action(Verb.CREATE, kind, name, "from the image that is baked before")


def _existing(site: Site, revision: LockedRevision) -> list[Action]:
    found = []
    for disk in revision.disks.values():
        if site.cloud.disk(disk.zone, disk.name) is None:
            message = f"disk {disk.name} in {disk.zone} is said to exist and does not"
            fix = "Mend the lock file, or write existing: false."
            site.problems.append(Problem("weights.existing", message, fix))
        name = f"{disk.name} in {disk.zone}"
        found.append(Action(Verb.CHECK, "disk", name, "existing: true"))
    return found


class Objects(Stage):
    """What the cluster needs besides the release."""

    def plan(self, site: Site) -> list[Action]:
        """Apply what is not there as wanted."""
        bodies = wanted_objects(site.config, site.lock())
        actions = plan_objects(bodies, site.kube, site.problems) if bodies else ()
        return [self._with_line(site, it) if it.changes else it for it in actions]

    def act(self, site: Site, action: Action) -> None:
        """Apply one; its namespace came before it."""
        site.kube.apply(action.spec)

    def _with_line(self, site: Site, action: Action) -> Action:
        line = apply_lines(action.spec, site.kubeconfig, site.kube.context)
        return replace(action, commands=(line,))


class TheRelease(Stage):
    """The release, by helm, as its values say."""

    def plan(self, site: Site) -> list[Action]:
        """Whether helm finds anything to change is known once the rest is there."""
        named = site.config.release
        name = f"{named.namespace}/{named.name}"
        why = "helm changes what differs"
        return [Action(Verb.CHECK, "release", name, why, (release_line(site),))]

    def settle(self, site: Site) -> None:
        """Install or upgrade, and wait until it serves."""
        release.install(site)


def release_line(site: Site) -> str:
    """``install``, or ``up`` where only that writes what the values need into the lock file."""
    wishes = site.wishes
    words = ["install", "-f", str(site.file), "--create-namespace", "--yes"]
    limit = [f"--timeout={wishes.timeout:g}"] if wishes.timeout else []
    if not _is_written(site):
        words = ["up", "-f", str(site.file), "--yes"]
        limit = [f"--install-timeout={wishes.timeout:g}"] if wishes.timeout else []
    where = cluster_words(site.kubeconfig, wishes.context)
    return shlex.join(["python", "-m", "pylib", *words, *where, *limit])


def _is_written(site: Site) -> bool:
    """Whether the lock file names the pools and the revision that the release is to use."""
    lock, revision = site.lock(), fitting(site)
    if lock.weights and revision and lock.weights.current != revision.name:
        return False
    plain = {it.key: it.nodePool.name for it in site.config.cells if it.nodePool}
    known = {**plain, **{key: pool.name for key, pool in (lock.pools or {}).items()}}
    return all(known[it.cell] == it.spec.name for it in chosen_pools(site))
