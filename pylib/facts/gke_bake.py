"""What a bake needs of a Google Cloud project: services, permissions, quota, versions."""

from __future__ import annotations

import re

SERVING_SERVICES = ("container.googleapis.com", "containerfilesystem.googleapis.com")
"""GKE, and image streaming, which secondary boot disks require:
https://cloud.google.com/kubernetes-engine/docs/how-to/data-container-image-preloading."""
READ_SERVICES = (
    "compute.googleapis.com",
    "container.googleapis.com",
    "cloudresourcemanager.googleapis.com",
)
"""What is there can be seen only while these are on; the last is asked who holds which role:
https://cloud.google.com/resource-manager/reference/rest/v1/projects/getIamPolicy."""
SERVICES = ("compute.googleapis.com", *SERVING_SERVICES)
UP_SERVICES = (
    *SERVICES,
    "cloudresourcemanager.googleapis.com",
    "monitoring.googleapis.com",
)
"""With Cloud Monitoring, which stores the metrics that the HPA goes by:
https://cloud.google.com/kubernetes-engine/docs/tutorials/autoscaling-metrics."""

SECONDARY_BOOT_DISK_VERSION = "1.30.1-gke.1329000"
"""Least GKE version with Container-Optimized OS:
https://cloud.google.com/kubernetes-engine/docs/how-to/data-container-image-preloading."""

BAKE_PERMISSIONS = frozenset(
    {
        "compute.disks.create",
        "compute.disks.delete",
        "compute.disks.get",
        "compute.disks.list",
        "compute.disks.setLabels",
        "compute.disks.use",
        "compute.disks.useReadOnly",
        "compute.globalOperations.get",
        "compute.instances.create",
        "compute.instances.delete",
        "compute.instances.get",
        "compute.instances.getGuestAttributes",
        "compute.instances.getSerialPortOutput",
        "compute.instances.list",
        "compute.instances.setLabels",
        "compute.instances.setMetadata",
        "compute.networks.use",
        "compute.subnetworks.use",
        "compute.zoneOperations.get",
        "compute.zones.list",
    }
)
"""In the project of the bake: https://cloud.google.com/compute/docs/access/iam-permissions."""

IMAGE_PERMISSIONS = frozenset(
    {
        "compute.images.create",
        "compute.images.delete",
        "compute.images.get",
        "compute.images.setLabels",
        "compute.images.update",
        "compute.images.useReadOnly",
    }
)
"""In the project of the images."""

UP_PERMISSIONS = frozenset(
    {
        "compute.disks.create",
        "compute.disks.delete",
        "compute.disks.get",
        "compute.disks.list",
        "compute.disks.setLabels",
        "container.clusters.get",
        "container.clusters.update",
        "container.operations.get",
        "resourcemanager.projects.get",
        "resourcemanager.projects.getIamPolicy",
        "resourcemanager.projects.setIamPolicy",
        "serviceusage.services.enable",
        "serviceusage.services.get",
    }
)
"""What ``up`` needs besides a bake's:
https://cloud.google.com/kubernetes-engine/docs/reference/api-permissions and
https://cloud.google.com/iam/docs/permissions-reference."""

EXTERNAL_IP_PERMISSIONS = frozenset({"compute.subnetworks.useExternalIp"})

GOOGLE_HOST = re.compile(r"(?:[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io)/")
"""Registries that Private Google Access reaches:
https://cloud.google.com/vpc/docs/private-google-access."""

_OF_ALL_FAMILIES = frozenset({"e2", "n1", "f1", "g1"})


def cpu_metric(machine_type: str) -> str:
    """Quota of the vCPUs: https://cloud.google.com/compute/resource-usage."""
    family = machine_type.partition("-")[0]
    return "CPUS" if family in _OF_ALL_FAMILIES else f"{family.upper()}_CPUS"


def disk_metric(disk_type: str) -> str:
    """Quota of the GiB: https://cloud.google.com/compute/resource-usage."""
    return "DISKS_TOTAL_GB" if disk_type == "pd-standard" else "SSD_TOTAL_GB"
