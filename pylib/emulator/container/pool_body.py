"""What ``nodePools.create`` takes, checked, with the defaults that GKE fills in.

Sources: https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/NodeConfig and
https://cloud.google.com/kubernetes-engine/docs/how-to/data-container-image-preloading.
"""

from __future__ import annotations

import re

from pylib.emulator.catalog import MACHINES, fits
from pylib.emulator.compute.images_found import find_image
from pylib.emulator.container.operations import invalid_argument
from pylib.emulator.container.pool_bought import check_bought
from pylib.emulator.errors import ApiError, Json, OperationFailedError
from pylib.emulator.naming import check_labels, parse_url
from pylib.emulator.store import Ref
from pylib.emulator.world import World
from pylib.facts.disks import DISK_TYPES

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_IMAGE = re.compile(r"(projects/[^/]+/)?global/images/[^/]+")
DEFAULT_MACHINE = "e2-medium"


def check(world: World, project: str, cluster: Json, pool: Json) -> Json:
    """The pool as it will be shown; 400 for what GKE refuses at once."""
    name = pool.get("name", "")
    if not _NAME.fullmatch(name):
        message = f'Invalid value for field "node_pool.name": {name!r}.'
        raise invalid_argument(f"{message} Must be a match of regex '{_NAME.pattern}'")
    config = dict(pool.get("config", {}))
    _check_config(project, config)
    if config.get("flexStart") and pool.get("management", {}).get("autoRepair"):
        raise invalid_argument("Flex-start node pools do not support node auto-repair.")
    found = {
        **pool,
        "config": {
            "machineType": DEFAULT_MACHINE,
            "diskSizeGb": 100,
            "diskType": "pd-balanced",
            "imageType": "COS_CONTAINERD",
            "serviceAccount": "default",
            **config,
        },
        "locations": _locations(world, cluster, pool),
        "version": pool.get("version", world.settings.cluster_version),
        "initialNodeCount": pool.get("initialNodeCount", 0),
    }
    check_scaling(found)
    return found


def _check_config(project: str, config: Json) -> None:
    machine = config.get("machineType", DEFAULT_MACHINE)
    if machine != DEFAULT_MACHINE and machine not in MACHINES:
        raise invalid_argument(f"Machine type with name '{machine}' does not exist.")
    kind = config.get("diskType", "pd-balanced")
    if kind not in DISK_TYPES:
        raise invalid_argument(f"Disk type with name '{kind}' does not exist.")
    if not fits(machine, kind):
        message = f"[{kind}, {machine}] features are not compatible for creating instance."
        raise invalid_argument(message)
    for accelerator in config.get("accelerators", []):
        _check_accelerator(machine, accelerator)
    _check_secondary(project, config)
    check_bought(config)
    try:
        check_labels(config.get("resourceLabels", {}), "node_pool.config.resource_labels")
    except ApiError as error:
        raise invalid_argument(error.message) from None


def _check_accelerator(machine: str, accelerator: Json) -> None:
    kind = accelerator.get("acceleratorType", "")
    count = int(accelerator.get("acceleratorCount", 0))
    about = MACHINES.get(machine)
    if about is not None and about.gpus:
        if (kind, count) != (about.accelerator, about.gpus):
            raise invalid_argument(
                f"Machine type '{machine}' comes with {about.gpus} of '{about.accelerator}'; "
                f"{count} of '{kind}' cannot be attached."
            )
    elif not machine.startswith("n1-"):
        raise invalid_argument(f"Accelerators cannot be attached to machine type '{machine}'.")


def _check_secondary(project: str, config: Json) -> None:
    disks = config.get("secondaryBootDisks", [])
    if disks and not config.get("gcfsConfig", {}).get("enabled", False):
        raise invalid_argument("Secondary boot disks require image streaming (gcfs_config).")
    for disk in disks:
        image = disk.get("diskImage", "")
        if not _IMAGE.fullmatch(image.partition("/compute/v1/")[2] or image):
            raise invalid_argument(f"Invalid secondary boot disk image {image!r} in {project}.")


def _locations(world: World, cluster: Json, pool: Json) -> list[str]:
    locations: list[str] = pool.get("locations") or cluster["locations"]
    place = cluster["location"]
    region = place if place in world.settings.regions else place.rpartition("-")[0]
    for zone in locations:
        if zone not in world.settings.all_zones() or zone.rpartition("-")[0] != region:
            message = f"Location {zone!r} is not a zone in the region of the cluster, {region!r}."
            raise invalid_argument(message)
    return locations


def check_scaling(pool: Json) -> None:
    """400 for limits that contradict each other, per zone or in all."""
    scaling = pool.get("autoscaling", {})
    if not scaling.get("enabled"):
        return
    least = scaling.get("minNodeCount", 0) or scaling.get("totalMinNodeCount", 0)
    most = scaling.get("maxNodeCount", 0) or scaling.get("totalMaxNodeCount", 0)
    if most < 1 or least > most:
        raise invalid_argument(f"Autoscaling from {least} to {most} nodes is impossible.")


def check_images(world: World, project: str, pool: Json) -> None:
    """End the operation unless the images of the secondary boot disks are there and READY."""
    for disk in pool["config"].get("secondaryBootDisks", []):
        ref = parse_url(disk["diskImage"], "images", project, "disk_image")
        try:
            doc = find_image(world, ref)[1]
        except ApiError as error:
            raise OperationFailedError("RESOURCE_NOT_FOUND", error.message) from None
        if doc["status"] != "READY":
            message = f"The resource '{ref.path}' is not ready"
            raise OperationFailedError("RESOURCE_NOT_READY", message)


def first_nodes(pool: Json) -> int:
    """Nodes per zone that a new pool starts with."""
    scaling = pool.get("autoscaling", {})
    count = int(pool["initialNodeCount"])
    return max(count, int(scaling.get("minNodeCount", 0))) if scaling.get("enabled") else count


def pool_ref(cluster: Ref, name: str) -> Ref:
    """Where a pool of a cluster is kept."""
    return Ref("nodePools", cluster.project, cluster.scope, f"{cluster.name}/{name}")
