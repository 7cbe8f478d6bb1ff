"""Images of Google's public projects; their blocks are empty, since no guest boots from them."""

from __future__ import annotations

from functools import cache

from pylib.emulator.errors import Json
from pylib.emulator.naming import fingerprint, link

PUBLIC_PROJECTS = frozenset(
    {
        "centos-cloud",
        "cos-cloud",
        "debian-cloud",
        "deeplearning-platform-release",
        "fedora-cloud",
        "fedora-coreos-cloud",
        "google.com:cloudsdktool",
        "opensuse-cloud",
        "oracle-linux-cloud",
        "rhel-cloud",
        "rhel-sap-cloud",
        "rocky-linux-accelerator-cloud",
        "rocky-linux-cloud",
        "suse-cloud",
        "suse-sap-cloud",
        "ubuntu-os-accelerator-images",
        "ubuntu-os-cloud",
        "ubuntu-os-pro-cloud",
        "windows-cloud",
        "windows-sql-cloud",
    }
)
"""Projects that anyone may read images of; those of them with no image here list none."""

_IMAGES = (
    ("debian-cloud", "debian-11-bullseye-v20230912", "debian-11", "X86_64", "OBSOLETE"),
    ("debian-cloud", "debian-12-bookworm-v20261007", "debian-12", "X86_64", "DEPRECATED"),
    ("debian-cloud", "debian-12-bookworm-v20261110", "debian-12", "X86_64", ""),
    ("debian-cloud", "debian-12-bookworm-arm64-v20261110", "debian-12-arm64", "ARM64", ""),
    ("debian-cloud", "debian-13-trixie-v20261110", "debian-13", "X86_64", ""),
    ("cos-cloud", "cos-125-19216-104-25", "cos-125-lts", "X86_64", ""),
)
"""Project, name, family, architecture and deprecation; made-up dates, real form."""


@cache
def public_images(project: str) -> tuple[Json, ...]:
    """Images of a public project."""
    return tuple(_image(index, *row) for index, row in enumerate(_IMAGES) if row[0] == project)


def _image(index: int, project: str, name: str, family: str, architecture: str, state: str) -> Json:
    doc: Json = {
        "kind": "compute#image",
        "id": str(5_000_000_000_000_000_000 + index),
        "creationTimestamp": f"2026-11-{10 + index}T09:00:00.000-08:00",
        "name": name,
        "description": f"{family}, built for the emulator",
        "sourceType": "RAW",
        "rawDisk": {"source": "", "containerType": "TAR"},
        "status": "READY",
        "archiveSizeBytes": "1200000000",
        "diskSizeGb": "10",
        "family": family,
        "architecture": architecture,
        "storageLocations": ["asia", "eu", "us"],
        "guestOsFeatures": [
            {"type": feature} for feature in ("UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "GVNIC")
        ],
        "labelFingerprint": fingerprint({}),
        "selfLink": link(f"projects/{project}/global/images/{name}"),
    }
    if state:
        doc["deprecated"] = {"state": state}
    return doc
