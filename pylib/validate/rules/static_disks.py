"""PersistentVolumes on disks that exist: how they attach, where, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.facts import gke
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Hit, Objects, at, texts
from pylib.validate.rules.registry import rule
from pylib.validate.rules.volumes import (
    PDCSI,
    access_modes,
    handle_of,
    is_pd,
    listed,
    zones_of_volume,
)

_ROX = ["ReadOnlyMany"]
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


@rule(
    name="pv-access-mode",
    severity=Severity.ERROR,
    summary="A disk that many nodes read is ReadOnlyMany and csi.readOnly",
    explain=(
        "The Persistent Disk CSI driver takes two words for one wish: the access mode decides "
        "whether the file system is mounted read-only, csi.readOnly whether the disk is attached "
        "read-only. With the access mode alone the first node attaches it for writing and the "
        "second fails with RESOURCE_IN_USE_BY_ANOTHER_RESOURCE; with csi.readOnly alone one node "
        "at a time may have it, and tries to grow a file system that it cannot write. Source: "
        f"{PDCSI} pkg/gce-pd-csi-driver/controller.go and utils.go@b560165."
    ),
)
def pv_access_mode(objects: Objects) -> Iterator[Hit]:
    """Volumes that say only half of it."""
    for volume in filter(is_pd, objects.of_kind("PersistentVolume")):
        modes = access_modes(volume)
        read_only = volume.get("spec", "csi", "readOnly") is True
        if read_only and modes != _ROX:
            yield at(
                volume,
                "spec",
                "accessModes",
                message=f"accessModes is {listed(modes)} while csi.readOnly is true",
                fix="Write accessModes: [ReadOnlyMany].",
                severity=Severity.WARNING,
            )
        elif "ReadOnlyMany" in modes and not read_only:
            yield at(
                volume,
                "spec",
                "csi",
                "readOnly",
                message=f"accessModes is {listed(modes)}, but csi.readOnly is not true, so the "
                "first node attaches the disk for writing and the second cannot attach it",
                fix="Write readOnly: true under csi.",
                severity=None if modes == _ROX else Severity.WARNING,
            )


@rule(
    name="pv-reclaim-policy",
    severity=Severity.ERROR,
    summary="A static volume does not delete its disk",
    explain=(
        "With persistentVolumeReclaimPolicy: Delete the disk is deleted with the claim, weights "
        "and all, as soon as a release is uninstalled. (What a provisioner made is its own "
        "matter.) Source: "
        "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming. Write Retain."
    ),
)
def pv_reclaim_policy(objects: Objects) -> Iterator[Hit]:
    """Volumes that say Delete or Recycle."""
    for volume in objects.of_kind("PersistentVolume"):
        policy = volume.get("spec", "persistentVolumeReclaimPolicy", default="Retain")
        provisioned = _PROVISIONED_BY in texts(volume.metadata.get("annotations"))
        if policy != "Retain" and not provisioned:
            yield at(
                volume,
                "spec",
                "persistentVolumeReclaimPolicy",
                message=f"the policy is {policy}, so the disk goes when its claim is deleted",
                fix="Write persistentVolumeReclaimPolicy: Retain.",
            )


@rule(
    name="pv-zone",
    severity=Severity.ERROR,
    summary="A volume's node affinity is the zone of its disk",
    explain=(
        "A zonal disk attaches only to nodes of its zone. The scheduler knows that zone from the "
        "volume's node affinity alone; where that names another zone, or nothing, pods land where "
        "the disk cannot follow and hang in ContainerCreating. Source: https://cloud.google.com/"
        "kubernetes-engine/docs/how-to/persistent-volumes/preexisting-pd. Require "
        f"{gke.PD_CSI_ZONE} In [zone]."
    ),
)
def pv_zone(objects: Objects) -> Iterator[Hit]:
    """Disks whose handle and node affinity differ."""
    for volume in filter(is_pd, objects.of_kind("PersistentVolume")):
        handle = handle_of(volume)
        if handle is None or handle["place"] in (gke.MULTI_ZONE, gke.UNSPECIFIED):
            continue
        place, zones = handle["place"], zones_of_volume(volume)
        wanted = place if handle["scope"] == "zones" else f"two zones of {place}"
        fits = {zone for zone in zones or () if zone == place or zone.startswith(f"{place}-")}
        if zones is None:
            yield at(
                volume,
                "spec",
                "nodeAffinity",
                message=f"the disk is in {place}, but no node affinity holds its pods there",
                fix=f"Require {gke.PD_CSI_ZONE} In [{wanted}] under nodeAffinity.",
                severity=Severity.WARNING,
            )
        elif zones != fits:
            yield at(
                volume,
                "spec",
                "nodeAffinity",
                message=f"the disk is in {place}, the node affinity names "
                f"{', '.join(sorted(zones))}",
                fix=f"Require {gke.PD_CSI_ZONE} In [{wanted}].",
            )
