"""The same as commands of gcloud, for people who must review or paste them.  Pure."""

from __future__ import annotations

import shlex

from pylib.cloud.pools import PoolSpec
from pylib.cloud.records import DiskSpec
from pylib.facts.gke import FLEX_START_SECONDS, SECONDARY_BOOT_DISK_MODE


def enable_service(project: str, name: str) -> str:
    """Turn a service on."""
    return f"gcloud services enable {name} --project={project}"


def create_bucket(project: str, bucket: str, location: str) -> str:
    """Make a bucket."""
    where = f"--project={project} --location={location} --uniform-bucket-level-access"
    return f"gcloud storage buckets create gs://{bucket} {where}"


def grant_on_bucket(bucket: str, role: str, member: str) -> str:
    """Give a role on a bucket."""
    words = ["gcloud", "storage", "buckets", "add-iam-policy-binding", f"gs://{bucket}"]
    return shlex.join([*words, f"--role={role}", f"--member={member}", "--condition=None"])


def grant_on_project(project: str, role: str, member: str) -> str:
    """Give a role on a project."""
    words = ["gcloud", "projects", "add-iam-policy-binding", project]
    return shlex.join([*words, f"--role={role}", f"--member={member}", "--condition=None"])


def create_disk(project: str, spec: DiskSpec) -> str:
    """Make a disk from an image."""
    words = [
        *("gcloud", "compute", "disks", "create", spec.name),
        f"--project={project}",
        f"--zone={spec.zone}",
        f"--type={spec.type}",
        f"--size={spec.size_gib}GB",
    ]
    if spec.image:
        words.append(f"--image={spec.image}")
    if spec.access_mode:
        words.append(f"--access-mode={spec.access_mode}")
    if spec.throughput_mib_s:
        words.append(f"--provisioned-throughput={spec.throughput_mib_s}")
    if spec.kms_key:
        words.append(f"--kms-key={spec.kms_key}")
    if spec.labels:
        words.append(f"--labels={_labels(spec.labels)}")
    return shlex.join(words)


def delete_disk(project: str, zone: str, name: str) -> str:
    """Delete a disk."""
    return f"gcloud compute disks delete {name} --project={project} --zone={zone} --quiet"


def delete_image(project: str, name: str) -> str:
    """Delete an image."""
    return f"gcloud compute images delete {name} --project={project} --quiet"


def create_pool(project: str, spec: PoolSpec) -> str:
    """Make a node pool."""
    words = [
        *("gcloud", "container", "node-pools", "create", spec.name),
        *_where(project, spec),
        f"--node-locations={','.join(spec.zones)}",
        f"--machine-type={spec.machine_type}",
        f"--num-nodes={spec.least}",
        "--enable-autoscaling",
        *_limits(spec),
        f"--disk-type={spec.disk_type}",
        f"--disk-size={spec.disk_gib}",
        "--enable-image-streaming",
        "--workload-metadata=GKE_METADATA",
    ]
    if spec.accelerator:
        count = f"count={spec.accelerator_count}"
        words.append(f"--accelerator=type={spec.accelerator},{count},gpu-driver-version=latest")
    if spec.image:
        mode = f"mode={SECONDARY_BOOT_DISK_MODE}"
        words.append(f"--secondary-boot-disk=disk-image={spec.image},{mode}")
    if spec.labels:
        words.append(f"--labels={_labels(spec.labels)}")
    if spec.kms_key:
        words.append(f"--boot-disk-kms-key={spec.kms_key}")
    return shlex.join([*words, *_bought(spec)])


def scale_pool(project: str, spec: PoolSpec) -> str:
    """Set a node pool's limits."""
    words = ["gcloud", "container", "node-pools", "update", spec.name, *_where(project, spec)]
    return shlex.join([*words, "--enable-autoscaling", *_limits(spec)])


def delete_pool(project: str, spec: PoolSpec) -> str:
    """Delete a node pool."""
    words = ["gcloud", "container", "node-pools", "delete", spec.name, *_where(project, spec)]
    return shlex.join([*words, "--quiet"])


def create_cluster(project: str, location: str, name: str, network: str) -> str:
    """Make a cluster that node pools like ours can join."""
    return (
        f"gcloud container clusters create {name} --project={project} --location={location} "
        f"--network={network} --workload-pool={project}.svc.id.goog --num-nodes=1"
    )


def turn_workload_identity_on(project: str, location: str, name: str) -> str:
    """Let pods have identities of their own."""
    return (
        f"gcloud container clusters update {name} --project={project} --location={location} "
        f"--workload-pool={project}.svc.id.goog"
    )


def _where(project: str, spec: PoolSpec) -> tuple[str, ...]:
    return (f"--project={project}", f"--cluster={spec.cluster}", f"--location={spec.location}")


def _limits(spec: PoolSpec) -> tuple[str, ...]:
    total = "total-" if spec.flex_start else ""
    return (f"--{total}min-nodes={spec.least}", f"--{total}max-nodes={spec.most}")


def _bought(spec: PoolSpec) -> list[str]:
    found = ["--spot"] if spec.spot else []
    if spec.reservation:
        found += ["--reservation-affinity=specific", f"--reservation={spec.reservation}"]
    if spec.flex_start:
        found += [
            *("--flex-start", "--location-policy=ANY", "--reservation-affinity=none"),
            *("--no-enable-autorepair", f"--max-run-duration={FLEX_START_SECONDS}s"),
        ]
    return found


def _labels(labels: object) -> str:
    pairs = dict(labels) if isinstance(labels, dict) else {}
    return ",".join(f"{key}={value}" for key, value in sorted(pairs.items()))
