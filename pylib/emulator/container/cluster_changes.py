"""container.projects.locations.clusters.update: one change of a cluster at a time.

gcloud scales a node pool by it too: the cluster's update names the pool.
"""

from __future__ import annotations

from pylib.emulator.container.clusters import cluster_ref, need_cluster
from pylib.emulator.container.operations import begin, invalid_argument, refuse_while_busy
from pylib.emulator.container.pool_body import pool_ref
from pylib.emulator.container.pools import scale
from pylib.emulator.errors import Json
from pylib.emulator.routes import Route
from pylib.emulator.world import Call, World


def update(world: World, call: Call) -> Json:
    """Upgrade the control plane, turn Workload Identity on, or scale a pool; 400 for what else a
    cluster can change."""
    change = dict(call.body.get("update", {}))
    pool, scaling = change.pop("desiredNodePoolId", ""), change.pop("desiredNodePoolAutoscaling", 0)
    if scaling and pool and not change:
        return scale(world, call, pool_ref(cluster_ref(world, call), pool), scaling)
    wanted = change.pop("desiredMasterVersion", "")
    identity = change.pop("desiredWorkloadIdentityConfig", {})
    right = {"workloadPool": f"{call.project}.svc.id.goog"}
    if change or scaling or bool(wanted) == bool(identity) or identity not in ({}, right):
        raise invalid_argument(f"Cluster update {call.body.get('update')!r} is not supported.")
    if wanted not in {"", "-", "latest", world.settings.cluster_version}:
        raise invalid_argument(f"Version {wanted!r} is not supported.")
    changed: Json = {"workloadIdentityConfig": identity} if identity else {}
    return _begin(world, call, "UPGRADE_MASTER" if wanted else "UPDATE_CLUSTER", changed)


def _begin(world: World, call: Call, kind: str, changed: Json) -> Json:
    ref = cluster_ref(world, call)
    doc = need_cluster(world, ref)
    refuse_while_busy(world, ref)
    world.store.put(ref, {**doc, "status": "RECONCILING"})
    return begin(world, call, kind, ref, "cluster.update", {"changed": changed})


_METHOD = "container.clusters.update"
ROUTES = (
    Route(
        _METHOD,
        "PUT",
        "/v1/projects/{project}/locations/{location}/clusters/{cluster}",
        update,
        "UpdateClusterRequest",
        "Operation",
        (_METHOD,),
    ),
)
