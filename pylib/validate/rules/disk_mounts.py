"""What the Persistent Disk CSI driver reads in a volume: handle, file system, read-ahead."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylib.facts import gke
from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Hit, Objects, at
from pylib.validate.rules.registry import rule
from pylib.validate.rules.volumes import (
    PDCSI,
    access_modes,
    handle_of,
    is_pd,
)

_LIKE_READ_AHEAD = re.compile(r"(?i)read[-_ ]?ahead")
_USEFUL_READ_AHEAD_KIB = 1024


@rule(
    name="pv-disk",
    severity=Severity.ERROR,
    summary="A volume names its disk as the Persistent Disk CSI driver reads it",
    explain=(
        "The driver takes projects/<project>/zones/<zone>/disks/<disk>, or regions/<region> for a "
        "regional disk, and nothing else; zones/multi-zone works read-only. The name of the driver "
        f"is {gke.PD_CSI}. Source: {PDCSI} pkg/common/utils.go@b560165. A wrong handle shows only "
        "as a failed attach when the pod starts."
    ),
)
def pv_disk(objects: Objects) -> Iterator[Hit]:
    """Handles and driver names that the driver does not know."""
    for volume in objects.of_kind("PersistentVolume"):
        if volume.get("spec", "gcePersistentDisk"):
            yield at(
                volume,
                "spec",
                "gcePersistentDisk",
                message="gcePersistentDisk is deprecated, the cluster only translates it",
                fix=f"Write csi: {{driver: {gke.PD_CSI}, volumeHandle: projects/…}}.",
                severity=Severity.WARNING,
            )
        driver = str(volume.get("spec", "csi", "driver", default=""))
        if driver != gke.PD_CSI and re.search(r"(^|[.-])(gce-?)?pd([.-]|$)", driver):
            yield at(
                volume,
                "spec",
                "csi",
                "driver",
                message=f"driver is {driver}, which GKE does not have",
                fix=f"Write driver: {gke.PD_CSI}.",
            )
        elif driver == gke.PD_CSI:
            yield from _handle(volume)


def _handle(volume: Manifest) -> Iterator[Hit]:
    text = volume.get("spec", "csi", "volumeHandle", default="")
    handle = handle_of(volume)
    if handle is None:
        yield at(
            volume,
            "spec",
            "csi",
            "volumeHandle",
            message=f"volumeHandle is {text}",
            fix="Write projects/<project>/zones/<zone>/disks/<disk>.",
        )
    elif handle["place"] == gke.MULTI_ZONE and access_modes(volume) != ["ReadOnlyMany"]:
        yield at(
            volume,
            "spec",
            "csi",
            "volumeHandle",
            message=f"volumeHandle is {text}, which can only be ReadOnlyMany",
            fix="Write accessModes: [ReadOnlyMany], or name the disk of one zone.",
        )


@rule(
    name="pv-fs-type",
    severity=Severity.ERROR,
    summary="The file system is one that GKE's Linux nodes mount",
    explain=(
        "Linux nodes of GKE mount ext4, which is also the default, and xfs. Source: "
        "https://cloud.google.com/kubernetes-engine/docs/concepts/persistent-volumes. The driver "
        f"also passes other names on to mount ({PDCSI} pkg/gce-pd-csi-driver/node.go@b560165), "
        "which then fails on Container-Optimized OS."
    ),
)
def pv_fs_type(objects: Objects) -> Iterator[Hit]:
    """Volumes with another fsType."""
    for volume in filter(is_pd, objects.of_kind("PersistentVolume")):
        kind = str(volume.get("spec", "csi", "fsType", default="ext4"))
        if kind not in gke.FS_TYPES:
            yield at(
                volume,
                "spec",
                "csi",
                "fsType",
                message=f"fsType is {kind}, which GKE's nodes do not mount",
                fix="Write fsType: ext4.",
            )


@rule(
    name="pv-read-ahead",
    severity=Severity.ERROR,
    summary="A weights disk has read_ahead_kb, spelt as the driver reads it",
    explain=(
        "vLLM's lazy loader waits for one read-ahead window after another: at Linux' 128 KiB a "
        "model loads two to three times slower than at 1024 (tutorial: 84 s against 38 s). The "
        "driver takes the mount option read_ahead_kb=<KiB, an integer> and sets it on the device; "
        "every other spelling goes to mount(8), which fails, and the API server checks none of it. "
        f"Source: {PDCSI} pkg/gce-pd-csi-driver/node.go@b560165. Write "
        f"mountOptions: [read_ahead_kb={gke.ADVISED_READ_AHEAD_KIB}]."
    ),
)
def pv_read_ahead(objects: Objects) -> Iterator[Hit]:
    """Missing, misspelt, malformed and small read-ahead."""
    for volume in filter(is_pd, objects.of_kind("PersistentVolume")):
        mode = volume.get("spec", "volumeMode", default="Filesystem")
        shared = "ReadOnlyMany" in access_modes(volume) and mode == "Filesystem"
        yield from _read_ahead(volume, ("spec", "mountOptions"), wanted=shared)
    for storage_class in objects.of_kind("StorageClass"):
        if storage_class.get("provisioner") == gke.PD_CSI:
            yield from _read_ahead(storage_class, ("mountOptions",), wanted=False)


def _read_ahead(manifest: Manifest, path: tuple[str, ...], *, wanted: bool) -> Iterator[Hit]:
    listed = manifest.get(*path)
    options = [str(item) for item in listed] if isinstance(listed, list) else []
    found = False
    for index, option in enumerate(options):
        if _LIKE_READ_AHEAD.search(option):
            found = True
            yield from _read_ahead_option(manifest, (*path, index), option)
    if wanted and not found:
        yield at(
            manifest,
            *path,
            message=f"no read_ahead_kb, so the disk is read {gke.DEFAULT_READ_AHEAD_KIB} KiB "
            "at a time",
            fix=f"Write mountOptions: [read_ahead_kb={gke.ADVISED_READ_AHEAD_KIB}].",
            severity=Severity.WARNING,
        )


def _read_ahead_option(
    manifest: Manifest, path: tuple[str | int, ...], option: str
) -> Iterator[Hit]:
    advised = f"Write read_ahead_kb={gke.ADVISED_READ_AHEAD_KIB}."
    match = gke.READ_AHEAD.fullmatch(option)
    if match is None:
        message = f"mount option {option} is not read_ahead_kb=<KiB>, so the mount fails"
        yield at(manifest, *path, message=message, fix=advised)
    elif not re.fullmatch(r"\+?\d{1,18}", match[1]):
        message = f"read_ahead_kb is {match[1]}, it must be a number of KiB without a unit"
        yield at(manifest, *path, message=message, fix=advised)
    elif int(match[1]) < _USEFUL_READ_AHEAD_KIB:
        message = f"read_ahead_kb is {match[1]}, so each read brings little and weights load slowly"
        yield at(manifest, *path, message=message, fix=advised, severity=Severity.WARNING)
