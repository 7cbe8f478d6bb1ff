"""container.projects.locations.clusters.nodePools."""

from __future__ import annotations

import hashlib

from pylib.emulator import quota
from pylib.emulator.catalog import MACHINES
from pylib.emulator.container.clusters import cluster_ref, need_cluster
from pylib.emulator.container.operations import LINKS, absent, begin, refuse_while_busy
from pylib.emulator.container.pool_body import (
    check,
    check_images,
    check_scaling,
    first_nodes,
    pool_ref,
)
from pylib.emulator.effects import Effect, register
from pylib.emulator.errors import ApiError, Json, OperationFailedError
from pylib.emulator.naming import fingerprint, link, public
from pylib.emulator.routes import Handler, Route
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World


def _ref(world: World, call: Call) -> Ref:
    return pool_ref(cluster_ref(world, call), call.params["pool"])


def _need(world: World, ref: Ref) -> Json:
    doc = world.store.get(ref)
    if doc is None:
        cluster, _, name = ref.name.partition("/")
        where = f"projects/{ref.project}/{ref.scope}/clusters/{cluster}/nodePools/{name}"
        raise absent(where)
    return doc


def get(world: World, call: Call) -> Json:
    """A node pool."""
    need_cluster(world, cluster_ref(world, call))
    return public(_need(world, _ref(world, call)))


def list_(world: World, call: Call) -> Json:
    """Node pools of a cluster."""
    cluster = cluster_ref(world, call)
    need_cluster(world, cluster)
    rows = pools_of(world, cluster)
    return {"nodePools": rows} if rows else {}


def pools_of(world: World, cluster: Ref) -> list[Json]:
    """Node pools of a cluster."""
    found = world.store.find("nodePools", cluster.project, cluster.scope)
    return [public(d) for ref, d in found.items() if ref.name.startswith(f"{cluster.name}/")]


def create(world: World, call: Call) -> Json:
    """Make a node pool."""
    ref = cluster_ref(world, call)
    cluster = need_cluster(world, ref)
    asked = call.body.get("nodePool", {})
    doc = check(world, call.project, cluster, asked)
    pool = pool_ref(ref, doc["name"])
    if world.store.get(pool) is not None:
        where = f"projects/{ref.project}/{ref.scope}/clusters/{ref.name}/nodePools/{doc['name']}"
        raise ApiError(409, "alreadyExists", f"Already exists: {where}.")
    refuse_while_busy(world, pool)
    world.store.put(pool, {**doc, **_shown(world, pool, doc), "status": "PROVISIONING"})
    return begin(world, call, "CREATE_NODE_POOL", pool, "pool.create")


def _shown(world: World, pool: Ref, doc: Json) -> Json:
    cluster, _, name = pool.name.partition("/")
    mark = hashlib.sha256(pool.path.encode()).hexdigest()[:8]
    group = f"gke-{cluster}-{name}-{mark}-grp"
    number = world.number(pool.project)
    path = f"{pool.scope}/clusters/{cluster}/nodePools/{name}"
    return {
        "selfLink": f"{LINKS}projects/{number}/{path}",
        "instanceGroupUrls": [
            link(f"projects/{pool.project}/zones/{zone}/instanceGroupManagers/{group}")
            for zone in doc["locations"]
        ],
        "etag": fingerprint(doc),
    }


def _made(world: World, operation: Json) -> None:
    ref = Ref(*operation["_target"])
    doc = world.need(ref)
    check_images(world, ref.project, doc)
    nodes = first_nodes(doc)
    _take_quota(world, ref, doc, nodes)
    world.store.put(ref, {**doc, "status": "RUNNING", "_nodes": nodes})


def _take_quota(world: World, ref: Ref, doc: Json, nodes: int) -> None:
    machine = doc["config"]["machineType"]
    if machine not in MACHINES or not nodes:
        return
    region = doc["locations"][0].rpartition("-")[0]
    need = quota.machine_need(machine, nodes * len(doc["locations"]))
    try:
        quota.fail_short(quota.take(world, ref.project, region, need))
    except ApiError as error:
        raise OperationFailedError("QUOTA_EXCEEDED", error.message) from None


def _not_made(world: World, operation: Json) -> None:
    """A pool that got no nodes stays, in error: so it is on GKE."""
    ref = Ref(*operation["_target"])
    why = operation.get("_error", {}).get("message", "Not all instances are running in the group.")
    doc = world.need(ref)
    world.store.put(ref, {**doc, "status": "RUNNING_WITH_ERROR", "statusMessage": why})


def delete(world: World, call: Call) -> Json:
    """Delete a node pool."""
    ref = _ref(world, call)
    doc = _need(world, ref)
    refuse_while_busy(world, ref)
    world.store.put(ref, {**doc, "status": "STOPPING", "_was": doc["status"]})
    return begin(world, call, "DELETE_NODE_POOL", ref, "pool.delete")


def _deleted(world: World, operation: Json) -> None:
    world.store.drop(Ref(*operation["_target"]))


def _kept(world: World, operation: Json) -> None:
    ref = Ref(*operation["_target"])
    doc = world.need(ref)
    world.store.put(ref, {**doc, "status": doc.pop("_was")})


def set_size(world: World, call: Call) -> Json:
    """Set the number of nodes per zone."""
    ref = _ref(world, call)
    doc = _need(world, ref)
    refuse_while_busy(world, ref)
    nodes = int(call.body.get("nodeCount", 0))
    world.store.put(ref, {**doc, "status": "RECONCILING", "_was": doc["status"]})
    return begin(world, call, "SET_NODE_POOL_SIZE", ref, "pool.size", {"nodes": nodes})


def _sized(world: World, operation: Json) -> None:
    ref, nodes = Ref(*operation["_target"]), operation["_data"]["nodes"]
    doc = world.need(ref)
    _take_quota(world, ref, doc, max(0, nodes - doc.get("_nodes", 0)))
    doc.pop("_was")
    world.store.put(ref, {**doc, "status": "RUNNING", "_nodes": nodes, "initialNodeCount": nodes})


def set_autoscaling(world: World, call: Call) -> Json:
    """Set how many nodes per zone there may be."""
    return scale(world, call, _ref(world, call), call.body.get("autoscaling", {}))


def scale(world: World, call: Call, ref: Ref, scaling: Json) -> Json:
    """Set a pool's limits, whichever method asks for it."""
    doc = _need(world, ref)
    refuse_while_busy(world, ref)
    check_scaling({"autoscaling": scaling})
    world.store.put(ref, {**doc, "status": "RECONCILING", "_was": doc["status"]})
    data = {"autoscaling": scaling}
    return begin(world, call, "UPDATE_CLUSTER", ref, "pool.scale", data)


def _scaled(world: World, operation: Json) -> None:
    ref = Ref(*operation["_target"])
    doc = world.need(ref)
    doc.pop("_was")
    world.store.put(ref, {**doc, "status": "RUNNING", **operation["_data"]})


def update(world: World, call: Call) -> Json:
    """Change what can change in place; secondary boot disks cannot."""
    ref = _ref(world, call)
    doc = _need(world, ref)
    refuse_while_busy(world, ref)
    config = {k: v for k, v in call.body.items() if k in _CONFIG}
    world.store.put(ref, {**doc, "status": "RECONCILING", "_was": doc["status"]})
    return begin(world, call, "UPGRADE_NODES", ref, "pool.update", {"config": config})


def _updated(world: World, operation: Json) -> None:
    ref, config = Ref(*operation["_target"]), operation["_data"]["config"]
    doc = world.need(ref)
    doc.pop("_was")
    world.store.put(ref, {**doc, "status": "RUNNING", "config": {**doc["config"], **config}})


_CONFIG = {"imageType", "machineType", "diskType", "diskSizeGb", "resourceLabels", "gcfsConfig"}

register("pool.create", Effect(done=_made, failed=_not_made))
register("pool.delete", Effect(done=_deleted, failed=_kept))
register("pool.size", Effect(done=_sized, failed=_kept))
register("pool.scale", Effect(done=_scaled, failed=_kept))
register("pool.update", Effect(done=_updated, failed=_kept))

_ALL = "/v1/projects/{project}/locations/{location}/clusters/{cluster}/nodePools"
_ONE = f"{_ALL}/{{pool}}"


def _route(
    name: str, verb: str, path: str, handle: Handler, request: str, answer: str, permission: str
) -> Route:
    method = f"container.nodePools.{name}"
    permissions = (f"container.clusters.{permission}",)
    return Route(method, verb, path, handle, request, answer, permissions)


ROUTES = (
    _route("create", "POST", _ALL, create, "CreateNodePoolRequest", "Operation", "update"),
    _route("list", "GET", _ALL, list_, "ListNodePoolsRequest", "ListNodePoolsResponse", "get"),
    _route("get", "GET", _ONE, get, "GetNodePoolRequest", "NodePool", "get"),
    _route("update", "PUT", _ONE, update, "UpdateNodePoolRequest", "Operation", "update"),
    _route("delete", "DELETE", _ONE, delete, "DeleteNodePoolRequest", "Operation", "update"),
    _route(
        "setAutoscaling",
        "POST",
        f"{_ONE}:setAutoscaling",
        set_autoscaling,
        "SetNodePoolAutoscalingRequest",
        "Operation",
        "update",
    ),
    _route(
        "setSize",
        "POST",
        f"{_ONE}:setSize",
        set_size,
        "SetNodePoolSizeRequest",
        "Operation",
        "update",
    ),
)
