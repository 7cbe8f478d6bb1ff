"""What the bake needs of Google Cloud, and nothing else.

A read has three answers: the record, ``None`` when the service said that there is no such thing,
and :class:`pylib.cloud.faults.CallError` when it is not known.  A change returns its operation
at once; ``request_id`` (a UUID) makes a repeat the same change.  All of them are retried inside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from pylib.cloud.clock import Clock
from pylib.cloud.records import (
    Cluster,
    Disk,
    DiskSpec,
    Image,
    ImageSpec,
    Instance,
    InstanceSpec,
    Labels,
    Listing,
    MachineType,
    Nat,
    Operation,
    Quota,
    Serial,
    StoredObject,
    Subnetwork,
)


class Compute(Protocol):
    """Compute Engine, in one project but for images, which name theirs."""

    project: str
    clock: Clock
    counts: Counter[str]

    def disk(self, zone: str, name: str) -> Disk | None:
        """One disk."""

    def instance(self, zone: str, name: str) -> Instance | None:
        """One VM."""

    def image(self, project: str, name: str) -> Image | None:
        """One image."""

    def image_of_family(self, project: str, family: str) -> Image | None:
        """The newest image of a family that is not deprecated."""

    def labelled_disks(self, key: str, value: str) -> Listing[Disk]:
        """Disks of all zones with this label."""

    def labelled_instances(self, key: str, value: str) -> Listing[Instance]:
        """VMs of all zones with this label."""

    def labelled_images(self, project: str, key: str, value: str) -> Listing[Image]:
        """Images of a project with this label."""

    def insert_disk(self, spec: DiskSpec, request_id: str) -> Operation:
        """Make a disk."""

    def insert_instance(self, spec: InstanceSpec, request_id: str) -> Operation:
        """Make a VM."""

    def insert_image(self, spec: ImageSpec, request_id: str) -> Operation:
        """Cut an image, never by force."""

    def label_image(self, image: Image, labels: Labels) -> Operation:
        """Put ``labels`` in place of the image's, if they are as in ``image`` still."""

    def describe_image(self, image: Image, text: str, request_id: str) -> Operation:
        """Make ``text`` the image's description."""

    def set_family(self, image: Image, family: str, request_id: str) -> Operation:
        """Make the image one of a family."""

    def delete_disk(self, zone: str, name: str, request_id: str) -> Operation:
        """Delete a disk."""

    def delete_instance(self, zone: str, name: str, request_id: str) -> Operation:
        """Delete a VM, and with it the disks that it deletes by itself."""

    def delete_image(self, project: str, name: str, request_id: str) -> Operation:
        """Delete an image."""

    def operation(self, operation: Operation) -> Operation:
        """How far the operation is now."""

    def guest_attribute(self, zone: str, instance: str, path: str) -> str | None:
        """Value at ``namespace/key``; ``None`` while the guest has written none."""

    def serial(self, zone: str, instance: str, start: int) -> Serial:
        """Serial output of port 1 from byte ``start`` on; a log for people, never a signal."""

    def put_object(self, bucket: str, name: str, text: str) -> None:
        """Write one object into a bucket."""

    def objects(self, bucket: str, prefix: str) -> tuple[StoredObject, ...]:
        """Objects of a bucket whose names begin with ``prefix``, all pages."""


class Surroundings(Protocol):
    """What a check before a bake looks at."""

    def zones(self, region: str) -> tuple[str, ...]:
        """Zones of a region that are up, in order."""

    def machine_type(self, zone: str, name: str) -> MachineType | None:
        """A machine type, as the zone offers it."""

    def has_disk_type(self, zone: str, name: str) -> bool:
        """Whether the zone offers the disk type."""

    def quotas(self, region: str) -> tuple[Quota, ...]:
        """Quotas of the region and of the project."""

    def subnetwork(self, region: str, name: str) -> Subnetwork | None:
        """One subnetwork."""

    def nats(self, region: str) -> tuple[Nat, ...]:
        """Cloud NAT gateways of the region."""

    def granted(self, project: str, permissions: Iterable[str]) -> frozenset[str]:
        """Those of ``permissions`` that the caller has on the project."""

    def enabled(self, services: Iterable[str]) -> Mapping[str, bool]:
        """Whether each service, such as ``compute.googleapis.com``, is enabled."""

    def cluster(self, location: str, name: str) -> Cluster | None:
        """One GKE cluster."""


class Cloud(Compute, Surroundings, Protocol):
    """All of it."""
