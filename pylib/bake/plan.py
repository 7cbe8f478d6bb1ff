"""What a bake will make, from inputs alone: names, labels, the job for the guest.  Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pylib.bake.recipe import Recipe
from pylib.cloud.records import AttachSpec, DiskSpec, ImageSpec, InstanceSpec
from pylib.names import MAX_NAME, label_value

RUN = "bake-run"
OWNER = "bake-owner"
EXPIRES = "bake-expires"
PHASE = "bake-phase"
INPUTS = "bake-inputs"
"""Labels on everything that a bake makes, from its first moment."""

CANDIDATE = "candidate"
PUBLISHED = "published"

INPUT_DIGITS = 12
DEVICE = "vfs-target"
"""Device name of the target disk; the guest finds it as /dev/disk/by-id/google-vfs-target."""

BOOT_PROJECT = "debian-cloud"
BOOT_FAMILY = "debian-12"
"""The guest's system: its newest image is looked up once a run and then named by its own name."""
BOOT_GIB = 10

DEFAULT_PREFIX = {"image": "image-cache", "weights": "weights"}
"""Start of the name of an image that nobody named, by kind."""


@dataclass(frozen=True)
class Place:
    """Where a bake runs and as whom; ``zones`` are tried in order."""

    project: str
    images_project: str
    zones: tuple[str, ...]
    network: str = "default"
    subnetwork: str | None = None
    machine_type: str = "n2-standard-8"
    disk_type: str = "pd-ssd"
    external_ip: bool = False
    service_account: str | None = None
    timeout_seconds: int = 3600
    boot_image: str | None = None
    """``projects/P/global/images/N`` in place of the newest Debian 12."""

    def of_images(self, project: str) -> Place:
        """The same place, with images in another project."""
        return replace(self, images_project=project)


@dataclass(frozen=True)
class SourceDisk:
    """A disk that somebody else filled, to be imaged as it is; never changed or deleted."""

    zone: str
    name: str
    id: str


@dataclass(frozen=True)
class Bake:
    """One bake, as it was asked for.

    ``disk`` is imaged in place of one that a guest fills; with ``verify_only`` the image is there
    already, and nothing but the check is made.
    """

    recipe: Recipe
    size_gib: int
    place: Place
    image_name: str
    owner: str
    family: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    storage_locations: tuple[str, ...] = ()
    kms_key: str | None = None
    log_bucket: str | None = None
    disk: SourceDisk | None = None
    verify_only: bool = False

    @property
    def inputs(self) -> str:
        """12 hex digits over all that the image depends on: what makes a published one reusable."""
        parts = {
            "format": 1,
            "kind": self.recipe.kind,
            "recipe": self.recipe.inputs(),
            "size": self.size_gib,
            "kms": self.kms_key,
            "locations": self.storage_locations,
        }
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:INPUT_DIGITS]


@dataclass(frozen=True)
class Run:
    """One attempt at it, in one zone: what it makes is named by ``id``."""

    bake: Bake
    id: str
    zone: str
    nonce: str
    started: int

    @property
    def name(self) -> str:
        """Name of the target disk and start of the others."""
        return run_name(self.bake.image_name, self.id)

    @property
    def vm(self) -> str:
        """Name of the VM that fills the disk, and of its boot disk."""
        return f"{self.name}-vm"

    @property
    def check_disk(self) -> str:
        """Name of the disk that is made from the image to check it."""
        return f"{self.name}-check"

    @property
    def check_vm(self) -> str:
        """Name of the VM that checks the image, and of its boot disk."""
        return f"{self.name}-checkvm"

    @property
    def expires(self) -> int:
        """When everything of this run but a published image may be deleted: both VMs' time."""
        return self.started + 2 * vm_seconds(self.bake.place)

    def labels(self, phase: str) -> dict[str, str]:
        """Labels of a resource that is made in ``phase``."""
        return {
            **self.bake.labels,
            RUN: self.id,
            OWNER: label_value(self.bake.owner),
            EXPIRES: str(self.expires),
            INPUTS: self.bake.inputs,
            PHASE: phase,
        }

    def disk(self) -> DiskSpec:
        """The disk to fill."""
        place = self.bake.place
        return DiskSpec(
            name=self.name,
            zone=self.zone,
            size_gib=self.bake.size_gib,
            type=place.disk_type,
            labels=self.labels("fill"),
            kms_key=self.bake.kms_key,
        )

    def copy(self, image: str) -> DiskSpec:
        """A disk made from the image ``image`` (a link), to check what others will read."""
        place = self.bake.place
        return DiskSpec(
            name=self.check_disk,
            zone=self.zone,
            size_gib=self.bake.size_gib,
            type=place.disk_type,
            labels=self.labels("check"),
            image=image,
            kms_key=self.bake.kms_key,
        )

    def machine(self, boot_image: str, metadata: Mapping[str, str], *, check: bool) -> InstanceSpec:
        """The VM that fills the disk, or the one that checks its image."""
        place = self.bake.place
        disk = self.check_disk if check else self.name
        return InstanceSpec(
            name=self.check_vm if check else self.vm,
            zone=self.zone,
            machine_type=place.machine_type,
            boot_image=boot_image,
            boot_gib=BOOT_GIB,
            boot_type=place.disk_type,
            disks=(AttachSpec(DEVICE, disk, read_only=check, auto_delete=True),),
            network=place.network,
            subnetwork=place.subnetwork,
            labels=self.labels("check" if check else "fill"),
            metadata=metadata,
            max_run_seconds=vm_seconds(place),
            external_ip=place.external_ip,
            service_account=place.service_account,
            scopes=self.bake.recipe.scopes if place.service_account else (),
            kms_key=self.bake.kms_key,
        )

    def image(self) -> ImageSpec:
        """The image, not yet for use: no family, and a label that says so."""
        return ImageSpec(
            project=self.bake.place.images_project,
            name=self.bake.image_name,
            disk=self.bake.disk.name if self.bake.disk else self.name,
            zone=self.zone,
            labels=self.labels(CANDIDATE),
            storage_locations=self.bake.storage_locations,
            kms_key=self.bake.kms_key,
        )

    def guest_job(self, *, check: bool) -> dict[str, Any]:
        """The guest's job; the nonce of the check differs, so that no report is taken for both."""
        return {
            **self.bake.recipe.job(),
            "version": 1,
            "kind": self.bake.recipe.kind,
            "nonce": f"{self.nonce}-check" if check else self.nonce,
            "device": f"/dev/disk/by-id/google-{DEVICE}",
            "device_bytes": self.bake.size_gib << 30,
        }


def vm_seconds(place: Place) -> int:
    """When the service deletes a VM by itself: later than the bake gives up on it."""
    return place.timeout_seconds + 1800


def run_name(image: str, run_id: str) -> str:
    """``<image>-<run>``, cut so that the longest suffix still fits a name."""
    room = MAX_NAME - len("-checkvm") - len(run_id) - 1
    return f"{image[:room].rstrip('-')}-{run_id}"


def default_name(bake: Bake) -> str:
    """Name of an image that nobody named: the same for the same inputs."""
    prefix = DEFAULT_PREFIX[bake.recipe.kind]
    return f"{prefix}-{bake.inputs}"
