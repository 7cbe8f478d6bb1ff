"""GKE's messages to records of our own, and back."""

from __future__ import annotations

from google.cloud import container_v1 as gke
from google.protobuf.duration_pb2 import Duration

from pylib.cloud.pools import NodePool, PoolSpec
from pylib.cloud.records import Cluster, Operation, OperationError
from pylib.facts.gke import (
    FLEX_START_SECONDS,
    NODE_SCOPES,
    RESERVATION_KEY,
)


def cluster(found: gke.Cluster) -> Cluster:
    """A cluster."""
    return Cluster(
        found.name,
        found.location,
        gke.Cluster.Status(found.status).name,
        found.current_master_version,
        bool(found.autopilot.enabled),
        found.workload_identity_config.workload_pool,
    )


def pool(location: str, cluster_name: str, found: gke.NodePool) -> NodePool:
    """A node pool of a cluster."""
    config = found.config
    accelerator = next(iter(config.accelerators), None)
    image = next((disk.disk_image for disk in config.secondary_boot_disks), None)
    affinity = config.reservation_affinity
    scaling = found.autoscaling
    spec = PoolSpec(
        location=location,
        cluster=cluster_name,
        name=found.name,
        zones=tuple(found.locations),
        machine_type=config.machine_type,
        accelerator=accelerator.accelerator_type if accelerator else "",
        accelerator_count=int(accelerator.accelerator_count) if accelerator else 0,
        disk_type=config.disk_type,
        disk_gib=int(config.disk_size_gb),
        image=_plain(image) if image else None,
        least=int(scaling.min_node_count or scaling.total_min_node_count),
        most=int(scaling.max_node_count or scaling.total_max_node_count),
        labels=dict(config.resource_labels),
        spot=bool(config.spot),
        reservation=next(iter(affinity.values), None),
        flex_start=bool(config.flex_start),
        kms_key=config.boot_disk_kms_key or None,
    )
    return NodePool(spec, gke.NodePool.Status(found.status).name, found.status_message)


def _plain(link: str) -> str:
    """``projects/…`` of a link in whatever form."""
    head, found, rest = link.partition("projects/")
    return f"{found}{rest}" if found else head


def pool_body(spec: PoolSpec) -> gke.NodePool:
    """What ``nodePools.create`` takes.

    It starts with as many nodes as it keeps: without a number gcloud starts three in each zone.
    """
    return gke.NodePool(
        name=spec.name,
        config=_config(spec),
        initial_node_count=spec.least,
        locations=list(spec.zones),
        autoscaling=scaling_body(spec),
        management=gke.NodeManagement(auto_upgrade=True, auto_repair=not spec.flex_start),
        upgrade_settings=gke.NodePool.UpgradeSettings(max_surge=1),
    )


def scaling_body(spec: PoolSpec) -> gke.NodePoolAutoscaling:
    """The pool's limits; what may come later, or from a spare, is taken where it comes."""
    if spec.flex_start:
        return gke.NodePoolAutoscaling(
            enabled=True,
            total_min_node_count=spec.least,
            total_max_node_count=spec.most,
            location_policy=gke.NodePoolAutoscaling.LocationPolicy.ANY,
        )
    return gke.NodePoolAutoscaling(
        enabled=True, min_node_count=spec.least, max_node_count=spec.most
    )


def _config(spec: PoolSpec) -> gke.NodeConfig:
    driver = gke.GPUDriverInstallationConfig(
        gpu_driver_version=gke.GPUDriverInstallationConfig.GPUDriverVersion.LATEST
    )
    config = gke.NodeConfig(
        machine_type=spec.machine_type,
        disk_type=spec.disk_type,
        disk_size_gb=spec.disk_gib,
        oauth_scopes=list(NODE_SCOPES),
        gcfs_config=gke.GcfsConfig(enabled=True),
        resource_labels=dict(spec.labels),
        spot=spec.spot,
        boot_disk_kms_key=spec.kms_key or "",
        workload_metadata_config=gke.WorkloadMetadataConfig(
            mode=gke.WorkloadMetadataConfig.Mode.GKE_METADATA
        ),
    )
    if spec.accelerator:
        config.accelerators = [
            gke.AcceleratorConfig(
                accelerator_type=spec.accelerator,
                accelerator_count=spec.accelerator_count,
                gpu_driver_installation_config=driver,
            )
        ]
    if spec.image:
        mode = gke.SecondaryBootDisk.Mode.CONTAINER_IMAGE_CACHE
        config.secondary_boot_disks = [gke.SecondaryBootDisk(mode=mode, disk_image=spec.image)]
    _provision(config, spec)
    return config


def _provision(config: gke.NodeConfig, spec: PoolSpec) -> None:
    """How the nodes are bought."""
    kinds = gke.ReservationAffinity.Type
    if spec.reservation:
        config.reservation_affinity = gke.ReservationAffinity(
            consume_reservation_type=kinds.SPECIFIC_RESERVATION,
            key=RESERVATION_KEY,
            values=[spec.reservation],
        )
    if spec.flex_start:
        config.flex_start = True
        config.max_run_duration = Duration(seconds=FLEX_START_SECONDS)
        config.reservation_affinity = gke.ReservationAffinity(
            consume_reservation_type=kinds.NO_RESERVATION
        )


def operation(project: str, scope: str, what: str, found: gke.Operation) -> Operation:
    """An operation of ``project`` in ``scope``."""
    failed = found.error.message or found.status_message
    code = str(found.error.code or "")
    ended = found.status == gke.Operation.Status.DONE
    errors = (OperationError(_reason(failed, code), failed),) if ended and failed else ()
    return Operation(project, scope, found.name, what, done=ended, errors=errors)


def _reason(message: str, code: str) -> str:
    """A word that tells the kind: GKE has it in its messages, as ``[GCE_STOCKOUT]``."""
    for word in ("GCE_STOCKOUT", "ZONE_RESOURCE_POOL_EXHAUSTED", "QUOTA_EXCEEDED"):
        if word in message.upper():
            return word
    return code
