"""GKE: clusters, node pools and their operations, by Google's client over REST."""

from __future__ import annotations

from functools import cached_property

from google.cloud import container_v1 as gke

from pylib.cloud.gcp import convert_pools
from pylib.cloud.gcp.compute import ONCE
from pylib.cloud.gcp.transport import Transport
from pylib.cloud.pools import NodePool, PoolSpec
from pylib.cloud.records import Cluster, Operation


class ContainerCalls:
    """The part of :class:`pylib.cloud.serving.Serving` that is GKE's."""

    _transport: Transport

    @cached_property
    def _clusters(self) -> gke.ClusterManagerClient:
        return gke.ClusterManagerClient(
            transport="rest",
            credentials=self._transport.credentials,
            client_options=self._transport.options("container"),
        )

    def _cluster_path(self, location: str, name: str) -> str:
        return f"projects/{self._transport.project}/locations/{location}/clusters/{name}"

    def _pool_path(self, spec: PoolSpec) -> str:
        return f"{self._cluster_path(spec.location, spec.cluster)}/nodePools/{spec.name}"

    def cluster(self, location: str, name: str) -> Cluster | None:
        """One GKE cluster."""
        path = self._cluster_path(location, name)
        found = self._transport.read(
            f"clusters.get {name}", lambda: self._clusters.get_cluster(name=path, **ONCE)
        )
        return None if found is None else convert_pools.cluster(found)

    def identify_pods(self, location: str, name: str) -> Operation:
        """Turn Workload Identity of a cluster on."""
        pool = f"{self._transport.project}.svc.id.goog"
        request = gke.UpdateClusterRequest(
            name=self._cluster_path(location, name),
            update=gke.ClusterUpdate(
                desired_workload_identity_config=gke.WorkloadIdentityConfig(workload_pool=pool)
            ),
        )
        what = f"clusters.update {name}"
        done = self._transport.call(
            what, lambda: self._clusters.update_cluster(request=request, **ONCE)
        )
        return convert_pools.operation(self._transport.project, f"locations/{location}", what, done)

    def pools(self, location: str, cluster: str) -> tuple[NodePool, ...]:
        """Node pools of a cluster; none when there is no such cluster."""
        path = self._cluster_path(location, cluster)
        found = self._transport.read(
            f"nodePools.list {cluster}", lambda: self._clusters.list_node_pools(parent=path, **ONCE)
        )
        listed = found.node_pools if found is not None else ()
        return tuple(convert_pools.pool(location, cluster, it) for it in listed)

    def pool(self, spec: PoolSpec) -> NodePool | None:
        """The node pool that has the name of ``spec`` now."""
        path = self._pool_path(spec)
        found = self._transport.read(
            f"nodePools.get {spec.name}", lambda: self._clusters.get_node_pool(name=path, **ONCE)
        )
        return None if found is None else convert_pools.pool(spec.location, spec.cluster, found)

    def insert_pool(self, spec: PoolSpec) -> Operation:
        """Make a node pool."""
        request = gke.CreateNodePoolRequest(
            parent=self._cluster_path(spec.location, spec.cluster),
            node_pool=convert_pools.pool_body(spec),
        )
        what = f"nodePools.create {spec.name}"
        done = self._transport.call(
            what, lambda: self._clusters.create_node_pool(request=request, **ONCE)
        )
        return self._operation_of(spec, what, done)

    def scale_pool(self, spec: PoolSpec) -> Operation:
        """Let the pool have as many nodes as ``spec`` says."""
        request = gke.SetNodePoolAutoscalingRequest(
            name=self._pool_path(spec), autoscaling=convert_pools.scaling_body(spec)
        )
        what = f"nodePools.setAutoscaling {spec.name}"
        done = self._transport.call(
            what, lambda: self._clusters.set_node_pool_autoscaling(request=request, **ONCE)
        )
        return self._operation_of(spec, what, done)

    def delete_pool(self, spec: PoolSpec) -> Operation:
        """Delete a node pool."""
        path, what = self._pool_path(spec), f"nodePools.delete {spec.name}"
        done = self._transport.call(
            what, lambda: self._clusters.delete_node_pool(name=path, **ONCE)
        )
        return self._operation_of(spec, what, done)

    def container_operation(self, known: Operation) -> Operation:
        """How far an operation of this service is now."""
        path = f"projects/{known.project}/{known.scope}/operations/{known.name}"
        found = self._transport.call(
            f"operations.get {known.what}",
            lambda: self._clusters.get_operation(name=path, **ONCE),
        )
        return convert_pools.operation(known.project, known.scope, known.what, found)

    def _operation_of(self, spec: PoolSpec, what: str, found: gke.Operation) -> Operation:
        scope = f"locations/{spec.location}"
        return convert_pools.operation(self._transport.project, scope, what, found)
