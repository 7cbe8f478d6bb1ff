"""What Google Cloud says, as frozen records of our own.

Sizes are in GiB, times in seconds; ``id`` is the numeric id as text, which no two resources share
even when one takes the name of another that is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

Labels = Mapping[str, str]
Item = TypeVar("Item")
ResourceKind = Literal["disk", "instance", "image"]


@dataclass(frozen=True)
class Disk:
    """A zonal disk; ``users`` are names of the VMs that it is attached to, ``attached`` is when
    the last one got it, as the service writes it, empty for never."""

    name: str
    id: str
    zone: str
    status: str
    size_gib: int
    type: str
    labels: Labels
    users: tuple[str, ...] = ()
    attached: str = ""


@dataclass(frozen=True)
class Attached:
    """A disk as a VM has it: by its device name and its disk's name."""

    device: str
    disk: str
    read_only: bool
    boot: bool
    auto_delete: bool


@dataclass(frozen=True)
class Instance:
    """A VM."""

    name: str
    id: str
    zone: str
    status: str
    labels: Labels
    disks: tuple[Attached, ...] = ()


@dataclass(frozen=True)
class Image:
    """A disk image; ``link`` is ``projects/P/global/images/N``."""

    project: str
    name: str
    id: str
    status: str
    labels: Labels
    fingerprint: str
    family: str = ""
    description: str = ""
    source_disk_id: str = ""
    size_gib: int = 0
    archive_bytes: int = 0
    obsolete: bool = False

    @property
    def link(self) -> str:
        """Partial URL, as other resources name it."""
        return f"projects/{self.project}/global/images/{self.name}"


@dataclass(frozen=True)
class OperationError:
    """One error of an operation that ended."""

    code: str
    message: str


@dataclass(frozen=True)
class Operation:
    """A change under way; ``scope`` is ``global``, ``zones/Z`` or ``regions/R``."""

    project: str
    scope: str
    name: str
    what: str
    done: bool
    errors: tuple[OperationError, ...] = ()
    http_status: int = 0
    http_message: str = ""
    target_id: str = ""


@dataclass(frozen=True)
class Quota:
    """A quota: ``place`` is a region, or ``global``."""

    place: str
    metric: str
    limit: float
    usage: float

    @property
    def free(self) -> float:
        """What is left."""
        return self.limit - self.usage


@dataclass(frozen=True)
class MachineType:
    """A machine type that a zone offers."""

    name: str
    vcpus: int
    memory_mib: int


@dataclass(frozen=True)
class Subnetwork:
    """A subnetwork; ``network`` is a bare name."""

    name: str
    region: str
    network: str
    private_access: bool


@dataclass(frozen=True)
class Nat:
    """A Cloud NAT gateway; ``subnetworks`` is empty when it serves all of the network's."""

    network: str
    subnetworks: tuple[str, ...]


@dataclass(frozen=True)
class Cluster:
    """A GKE cluster; ``workload_pool`` is empty where Workload Identity is off."""

    name: str
    location: str
    status: str
    version: str
    autopilot: bool
    workload_pool: str = ""


@dataclass(frozen=True)
class Serial:
    """Serial output from ``start`` on; ask again from ``next``."""

    text: str
    start: int
    next: int


@dataclass(frozen=True)
class Listing(Generic[Item]):
    """What a list returned; with ``unreachable`` places, what is not in it may still exist."""

    items: tuple[Item, ...]
    unreachable: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """True when what is not listed is not there."""
        return not self.unreachable


@dataclass(frozen=True)
class StoredObject:
    """An object of a bucket; ``size`` in bytes."""

    name: str
    size: int
    generation: str


@dataclass(frozen=True)
class DiskSpec:
    """A disk to make; ``image`` is the link of the image that it copies.  Only a Hyperdisk has an
    access mode, and a throughput in MiB/s."""

    name: str
    zone: str
    size_gib: int
    type: str
    labels: Labels
    image: str | None = None
    kms_key: str | None = None
    access_mode: str | None = None
    throughput_mib_s: int | None = None


@dataclass(frozen=True)
class AttachSpec:
    """An existing disk of the same zone, attached under ``device``."""

    device: str
    disk: str
    read_only: bool
    auto_delete: bool


@dataclass(frozen=True)
class InstanceSpec:
    """A VM to make: Shielded, deleted by the service itself after ``max_run_seconds``, never
    restarted, with no external address unless asked for."""

    name: str
    zone: str
    machine_type: str
    boot_image: str
    boot_gib: int
    boot_type: str
    disks: tuple[AttachSpec, ...]
    network: str
    subnetwork: str | None
    labels: Labels
    metadata: Mapping[str, str] = field(repr=False)
    max_run_seconds: int
    external_ip: bool = False
    service_account: str | None = None
    scopes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    kms_key: str | None = None


@dataclass(frozen=True)
class ImageSpec:
    """An image to cut from a disk that nothing writes to."""

    project: str
    name: str
    disk: str
    zone: str
    labels: Labels
    description: str = ""
    storage_locations: tuple[str, ...] = ()
    kms_key: str | None = None
