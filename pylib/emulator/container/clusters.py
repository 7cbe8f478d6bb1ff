"""container.projects.locations.clusters: as much as node pools need one."""

from __future__ import annotations

import re

from pylib.emulator.clock import zulu
from pylib.emulator.container.operations import (
    LINKS,
    absent,
    begin,
    invalid_argument,
    refuse_while_busy,
    scope_of,
)
from pylib.emulator.effects import Effect, register
from pylib.emulator.errors import ApiError, Json
from pylib.emulator.naming import public
from pylib.emulator.routes import Handler, Route
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_KEPT = ("autopilot", "description", "resourceLabels", "releaseChannel", "workloadIdentityConfig")


def cluster_ref(world: World, call: Call) -> Ref:
    """The cluster that a path names."""
    return Ref("clusters", call.project, scope_of(world, call), call.params["cluster"])


def need_cluster(world: World, ref: Ref) -> Json:
    """A cluster that must be there."""
    doc = world.store.get(ref)
    if doc is None:
        raise absent(f"projects/{ref.project}/{ref.scope}/clusters/{ref.name}")
    return doc


def _with_pools(world: World, ref: Ref, doc: Json) -> Json:
    found = world.store.find("nodePools", ref.project, ref.scope)
    pools = [public(d) for key, d in found.items() if key.name.startswith(f"{ref.name}/")]
    return {**public(doc), **({"nodePools": pools} if pools else {})}


def get(world: World, call: Call) -> Json:
    """A cluster with its node pools."""
    ref = cluster_ref(world, call)
    return _with_pools(world, ref, need_cluster(world, ref))


def list_(world: World, call: Call) -> Json:
    """Clusters of a location, ``-`` for all; zones out of reach are named."""
    scope = "" if call.params["location"] == "-" else scope_of(world, call)
    found = world.store.find("clusters", call.project, scope)
    answer: Json = {}
    if found:
        answer["clusters"] = [_with_pools(world, ref, doc) for ref, doc in found.items()]
    if lost := sorted(world.settings.unreachable):
        answer["missingZones"] = lost
    return answer


def create(world: World, call: Call) -> Json:
    """Make a cluster without node pools, whatever the body says of them."""
    asked = call.body.get("cluster", {})
    name = asked.get("name", "")
    if not _NAME.fullmatch(name):
        message = f'Invalid value for field "cluster.name": {name!r}.'
        raise invalid_argument(f"{message} Must be a match of regex '{_NAME.pattern}'")
    ref = Ref("clusters", call.project, scope_of(world, call), name)
    if world.store.get(ref) is not None:
        where = f"projects/{ref.project}/{ref.scope}/clusters/{name}"
        raise ApiError(409, "alreadyExists", f"Already exists: {where}.")
    world.store.put(ref, {**new_cluster(world, ref, asked), "status": "PROVISIONING"})
    return begin(world, call, "CREATE_CLUSTER", ref, "cluster.create")


def new_cluster(world: World, ref: Ref, asked: Json) -> Json:
    """Document of a cluster that runs."""
    place = ref.scope.removeprefix("locations/")
    zones = world.settings.all_zones()
    inside = [zone for zone in zones if zone.rpartition("-")[0] == place]
    number = world.number(ref.project)
    kept: Json = {key: asked[key] for key in _KEPT if key in asked}
    return {
        "name": ref.name,
        "network": "default",
        "subnetwork": "default",
        "location": place,
        "zone": place,
        "locations": asked.get("locations") or inside or [place],
        "status": "RUNNING",
        "currentMasterVersion": world.settings.cluster_version,
        "currentNodeVersion": world.settings.cluster_version,
        "createTime": zulu(world.now()),
        "endpoint": "203.0.113.10",
        "selfLink": f"{LINKS}projects/{number}/{ref.scope}/clusters/{ref.name}",
        **kept,
    }


def delete(world: World, call: Call) -> Json:
    """Delete a cluster and its node pools."""
    ref = cluster_ref(world, call)
    doc = need_cluster(world, ref)
    refuse_while_busy(world, ref)
    world.store.put(ref, {**doc, "status": "STOPPING"})
    return begin(world, call, "DELETE_CLUSTER", ref, "cluster.delete")


def _made(world: World, operation: Json) -> None:
    ref = Ref(*operation["_target"])
    changed = operation["_data"].get("changed", {})
    world.store.put(ref, {**world.need(ref), **changed, "status": "RUNNING"})


def _in_error(world: World, operation: Json) -> None:
    ref = Ref(*operation["_target"])
    world.store.put(ref, {**world.need(ref), "status": "ERROR"})


def _deleted(world: World, operation: Json) -> None:
    ref = Ref(*operation["_target"])
    world.store.drop(ref)
    for pool in world.store.find("nodePools", ref.project, ref.scope):
        if pool.name.startswith(f"{ref.name}/"):
            world.store.drop(pool)


register("cluster.create", Effect(done=_made, failed=_in_error))
register("cluster.update", Effect(done=_made, failed=_made))
register("cluster.delete", Effect(done=_deleted, failed=_made))


def server_config(world: World, _call: Call) -> Json:
    """Versions that the location offers."""
    version = world.settings.cluster_version
    return {
        "defaultClusterVersion": version,
        "validMasterVersions": [version],
        "validNodeVersions": [version],
        "defaultImageType": "COS_CONTAINERD",
        "validImageTypes": ["COS_CONTAINERD", "UBUNTU_CONTAINERD"],
    }


_PLACE = "/v1/projects/{project}/locations/{location}"
_ALL = f"{_PLACE}/clusters"
_ONE = f"{_ALL}/{{cluster}}"


def _route(name: str, verb: str, path: str, handle: Handler, request: str, answer: str) -> Route:
    method = f"container.clusters.{name}"
    return Route(method, verb, path, handle, request, answer, (method,))


ROUTES = (
    _route("create", "POST", _ALL, create, "CreateClusterRequest", "Operation"),
    _route("list", "GET", _ALL, list_, "ListClustersRequest", "ListClustersResponse"),
    _route("get", "GET", _ONE, get, "GetClusterRequest", "Cluster"),
    _route("delete", "DELETE", _ONE, delete, "DeleteClusterRequest", "Operation"),
    Route(
        "container.getServerConfig",
        "GET",
        f"{_PLACE}/serverConfig",
        server_config,
        "GetServerConfigRequest",
        "ServerConfig",
    ),
)
