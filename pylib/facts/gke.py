"""Names that GKE and its add-ons fixed: labels, annotations, drivers, formats, least versions.

Short names of sources: PDCSI is kubernetes-sigs/gcp-compute-persistent-disk-csi-driver@b560165,
GMP GoogleCloudPlatform/prometheus-engine@2ffde4e, ADAPTER GoogleCloudPlatform/k8s-stackdriver
custom-metrics-stackdriver-adapter@673c7dd.
"""

from __future__ import annotations

import re

# Annotations of this product, written by the chart and read by validation.
ANNOTATION_PREFIX = "vllm-fast-start/"
VLLM_VERSION = f"{ANNOTATION_PREFIX}vllm-version"
MODEL_SIZE_GIB = f"{ANNOTATION_PREFIX}model-size-gib"
WEIGHT_SHARDS = f"{ANNOTATION_PREFIX}weight-shards"
CACHED_IMAGES = f"{ANNOTATION_PREFIX}cached-images"
MACHINE_TYPE = f"{ANNOTATION_PREFIX}machine-type"
DISK_TYPE = f"{ANNOTATION_PREFIX}disk-type"

# Nodes: https://cloud.google.com/kubernetes-engine/docs/reference/kubernetes-labels and
# https://cloud.google.com/kubernetes-engine/docs/how-to/gpus.
ZONE = "topology.kubernetes.io/zone"
NODE_POOL = "cloud.google.com/gke-nodepool"
ACCELERATOR = "cloud.google.com/gke-accelerator"
ACCELERATOR_COUNT = "cloud.google.com/gke-accelerator-count"
SPOT = "cloud.google.com/gke-spot"
MACHINE_FAMILY = "cloud.google.com/machine-family"
COMPUTE_CLASS = "cloud.google.com/compute-class"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
GPU = "nvidia.com/gpu"

BESIDE_COMPUTE_CLASS = frozenset(
    {NODE_POOL, SPOT, MACHINE_FAMILY, ACCELERATOR, ACCELERATOR_COUNT, INSTANCE_TYPE}
)
"""Selectors that a ComputeClass decides itself, so that a pod must not ask for both:
https://cloud.google.com/kubernetes-engine/docs/concepts/about-custom-compute-classes."""

# Persistent Disk CSI driver: PDCSI pkg/constants/constants.go.
PD_CSI = "pd.csi.storage.gke.io"
PD_CSI_ZONE = "topology.gke.io/zone"
MULTI_ZONE = "multi-zone"
UNSPECIFIED = "UNSPECIFIED"
VOLUME_HANDLE = re.compile(
    r"projects/(?P<project>[^/]+)/(?P<scope>zones|regions)/(?P<place>[^/]+)/disks/(?P<disk>[^/]+)"
)
"""PDCSI pkg/common/utils.go VolumeIDToKey: six elements, a zone or a region."""
READ_AHEAD = re.compile(r"read_ahead_kb=(.+)")
"""PDCSI pkg/gce-pd-csi-driver/node.go; the value is an integer of at least 0, in KiB."""
DEFAULT_READ_AHEAD_KIB = 128
"""Linux default of a block device: https://docs.kernel.org/block/queue-sysfs.html."""
ADVISED_READ_AHEAD_KIB = 4096
"""GoogleCloudPlatform/kubernetes-engine-samples ai-ml hyperdisk-ml-sc.yaml@2b50365."""
FS_TYPES = frozenset({"ext4", "xfs"})
"""File systems for Linux nodes whose read-ahead the driver sets the same way:
https://cloud.google.com/kubernetes-engine/docs/concepts/persistent-volumes."""

PD_CSI_PARAMETERS = frozenset(
    {
        "access-mode",
        "availability-class",
        "data-cache-mode",
        "data-cache-size",
        "disk-encryption-kms-key",
        "disk-type-preference",
        "enable-confidential-storage",
        "enable-multi-zone-provisioning",
        "hyperdisk-type",
        "labels",
        "pd-type",
        "provisioned-iops-on-create",
        "provisioned-throughput-on-create",
        "replication-type",
        "resource-tags",
        "storage-pools",
        "type",
        "use-allowed-disk-topology",
    }
)
"""StorageClass parameters that CreateVolume knows; any other is refused.  Keys are compared in
lower case; those that start with ``csi.storage.k8s.io/`` are the external provisioner's.  PDCSI
pkg/parameters/parameters.go."""

# Secondary boot disks:
# https://cloud.google.com/kubernetes-engine/docs/how-to/data-container-image-preloading.
SECONDARY_BOOT_DISK_LABEL = (
    "cloud.google.com.node-restriction.kubernetes.io/gke-secondary-boot-disk-"
)
SECONDARY_BOOT_DISK_MODE = "CONTAINER_IMAGE_CACHE"

MAX_LABEL = 63
"""Longest label value, and longest name part of a label key:
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/."""
MAX_SECONDARY_BOOT_DISK_IMAGE = MAX_LABEL - len(SECONDARY_BOOT_DISK_LABEL.partition("/")[2])
"""39: what the label key leaves for the image's name."""

# Node pools.
MAX_POOL_NAME = 40
"""https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/projects.locations.clusters.nodePools."""
RESERVATION_KEY = "compute.googleapis.com/reservation-name"
"""Key of a node pool's specific reservation, by the same page, ReservationAffinity."""
FLEX_START_SECONDS = 604_800
"""Longest life of a flex-start node, seven days:
https://cloud.google.com/kubernetes-engine/docs/concepts/dws."""
NODE_SCOPES = tuple(
    f"https://www.googleapis.com/auth/{name}"
    for name in (
        "devstorage.read_only",
        "logging.write",
        "monitoring",
        "service.management.readonly",
        "servicecontrol",
        "trace.append",
    )
)
"""Scopes that gcloud gives a node pool by itself, read off its own request (version 528)."""

# Autoscaling.
STACKDRIVER_METRIC = re.compile(
    r"prometheus\.googleapis\.com\|(?P<metric>[^|/]+)\|(?P<kind>[a-z]+)"
)
"""ADAPTER README: the metric's path with ``|`` in place of ``/``."""
STACKDRIVER_KINDS = frozenset({"counter", "gauge", "histogram", "summary", "unknown"})
"""https://cloud.google.com/stackdriver/docs/managed-prometheus/cost-controls: kinds in names."""
GKE_METRIC = re.compile(r"autoscaling\.gke\.io\|(?P<resource>[^|/]+)\|(?P<metric>[^|/]+)")
"""https://cloud.google.com/kubernetes-engine/docs/how-to/expose-custom-metrics-autoscaling."""
AUTOSCALING_METRIC_SINCE = "1.35.1-gke.1396000"
MAX_AUTOSCALING_METRICS = 20
AUTOSCALING_METRIC_LABEL = re.compile(r"[A-Za-z0-9_-]+")
"""Label names that an AutoscalingMetric's selector takes: no dot, no slash (same page)."""
