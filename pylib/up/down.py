"""Taking away what ``up`` made, the other way round: the release first, images last and only when
asked for.

Roles stay: others may rely on them.  So do services and the log bucket.
"""

from __future__ import annotations

from dataclasses import dataclass

from pylib import gcloud
from pylib.bake.lockfile import replace_lock
from pylib.bake.plan import RUN
from pylib.cloud.records import Image
from pylib.journal import Journal
from pylib.kube import Body
from pylib.lock import LockedImage
from pylib.provision.action import Action, Verb
from pylib.provision.objects import MANAGED_BY, MANAGER, adapter, wanted_objects
from pylib.snapshot.bodies import word
from pylib.up import acts
from pylib.up.prune import our_disks, our_pools
from pylib.up.release import is_installed, uninstall
from pylib.up.remains import remaining
from pylib.up.site import Site


@dataclass(frozen=True)
class Extent:
    """What goes besides the release, its disks, pools and classes."""

    images: bool = False
    adapter: bool = False


def plan_down(site: Site, extent: Extent) -> list[Action]:
    """Everything of ours that is there, in the order to take it away."""
    project, release = site.config.project, site.config.release
    found = []
    if is_installed(site):
        name = f"{release.namespace}/{release.name}"
        words = f"helm uninstall {release.name} -n {release.namespace}"
        found.append(Action(Verb.DELETE, "release", name, "", (words,)))
    found += [_object(body) for body in _objects(site, extent)]
    found += [
        Action(Verb.DELETE, "node pool", it.name, "", (gcloud.delete_pool(project, it),), it)
        for it in our_pools(site)
    ]
    found += [
        Action(
            *(Verb.DELETE, "disk", f"{it.name} in {it.zone}", ""),
            (gcloud.delete_disk(project, it.zone, it.name),),
            it,
        )
        for it in our_disks(site)
    ]
    if extent.images:
        found += [
            Action(
                Verb.DELETE, "image", it.name, "", (gcloud.delete_image(it.project, it.name),), it
            )
            for it in _images(site)
        ]
    return found


def down(site: Site, extent: Extent) -> list[Action]:
    """Take it all away; returns what was done.  Safe to stop anywhere and to run again.

    Raises CallError, ProvisionError, KubeError and HelmError: what went before is gone, and the
    same call goes on from there.
    """
    with Journal(site.file.with_name(f"{site.file.stem}.up.journal"), "up") as held:
        actions = plan_down(site, extent)
        for action in actions:
            site.say(str(action))
            _act(site, action)
        pools = site.cloud.pools(site.location, site.config.cluster.name)
        names = frozenset(it.spec.name for it in pools)
        lock = remaining(site.config, site.lock(), site.cloud, names)
        replace_lock(site.lock_file, site.file.name, lock)
        held.remove()
    return actions


def _act(site: Site, action: Action) -> None:
    spec = action.spec
    if action.kind == "release":
        uninstall(site)
    elif action.kind == "object":
        meta = spec["metadata"]
        site.kube.delete(spec["apiVersion"], spec["kind"], meta["name"], meta.get("namespace"))
    elif action.kind == "node pool":
        acts.delete_pool(site.cloud, spec)
    elif action.kind == "disk":
        acts.until_idle(site.cloud, spec.zone, spec.name, site.say)
        acts.delete_disk(site.cloud, spec.zone, spec.name, spec.id)
    else:
        acts.delete_image(site.cloud, spec)


def _objects(site: Site, extent: Extent) -> list[Body]:
    """Objects beside the release that are there, and carry our mark."""
    wanted = wanted_objects(site.config, site.lock())
    parts = {(it["kind"], it["metadata"]["name"]) for it in adapter()}
    found = []
    for body in reversed(wanted):
        meta = body["metadata"]
        is_adapter = (body["kind"], meta["name"]) in parts
        if is_adapter and not extent.adapter:
            continue
        live = site.kube.get(body["apiVersion"], body["kind"], meta["name"], meta.get("namespace"))
        if live is not None and word(live, "metadata", "labels", MANAGED_BY) == MANAGER:
            found.append(body)
    return found


def _object(body: Body) -> Action:
    return Action(Verb.DELETE, "object", f"{body['kind']}/{body['metadata']['name']}", spec=body)


def _images(site: Site) -> list[Image]:
    """Images of the lock file that are there, are the very ones, and were baked by us."""
    lock = site.lock()
    revisions = lock.weights.revisions if lock.weights else ()
    locked: list[LockedImage | None] = [lock.imageCache, *(it.image for it in revisions)]
    found = []
    for it in locked:
        image = site.cloud.image(it.project, it.name) if it is not None else None
        if it is not None and image is not None and image.id == it.id and RUN in image.labels:
            found.append(image)
    return found
