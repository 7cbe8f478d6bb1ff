"""Google's messages to records of our own, and back."""

from __future__ import annotations

from google.cloud import compute_v1 as gce

from pylib.cloud.records import (
    Attached,
    Disk,
    DiskSpec,
    Image,
    ImageSpec,
    Instance,
    InstanceSpec,
    Operation,
    OperationError,
)


def last(link: str) -> str:
    """The bare name at the end of a URL."""
    return link.rsplit("/", 1)[-1]


def disk(found: gce.Disk) -> Disk:
    """A disk."""
    return Disk(
        name=found.name,
        id=str(found.id),
        zone=last(found.zone),
        status=found.status,
        size_gib=int(found.size_gb),
        type=last(found.type_),
        labels=dict(found.labels),
        users=tuple(last(user) for user in found.users),
        attached=found.last_attach_timestamp,
    )


def instance(found: gce.Instance) -> Instance:
    """A VM."""
    return Instance(
        name=found.name,
        id=str(found.id),
        zone=last(found.zone),
        status=found.status,
        labels=dict(found.labels),
        disks=tuple(
            Attached(
                device=disk.device_name,
                disk=last(disk.source),
                read_only=disk.mode == "READ_ONLY",
                boot=disk.boot,
                auto_delete=disk.auto_delete,
            )
            for disk in found.disks
        ),
    )


def image(project: str, found: gce.Image) -> Image:
    """An image of ``project``."""
    return Image(
        project=project,
        name=found.name,
        id=str(found.id),
        status=found.status,
        labels=dict(found.labels),
        fingerprint=found.label_fingerprint,
        family=found.family,
        description=found.description,
        source_disk_id=found.source_disk_id,
        size_gib=int(found.disk_size_gb),
        archive_bytes=int(found.archive_size_bytes),
        obsolete=found.deprecated.state in {"OBSOLETE", "DELETED"},
    )


def operation(project: str, scope: str, what: str, found: gce.Operation) -> Operation:
    """An operation of ``project`` in ``scope``."""
    return Operation(
        project=project,
        scope=scope,
        name=found.name,
        what=what,
        done=found.status == gce.Operation.Status.DONE,
        errors=tuple(OperationError(error.code, error.message) for error in found.error.errors),
        http_status=int(found.http_error_status_code),
        http_message=found.http_error_message,
        target_id=str(found.target_id or ""),
    )


def _key(name: str | None) -> gce.CustomerEncryptionKey | None:
    return gce.CustomerEncryptionKey(kms_key_name=name) if name else None


def disk_body(project: str, spec: DiskSpec) -> gce.Disk:
    """What ``disks.insert`` takes."""
    return gce.Disk(
        name=spec.name,
        size_gb=spec.size_gib,
        type_=f"projects/{project}/zones/{spec.zone}/diskTypes/{spec.type}",
        labels=dict(spec.labels),
        source_image=spec.image,
        disk_encryption_key=_key(spec.kms_key),
        access_mode=spec.access_mode,
        provisioned_throughput=spec.throughput_mib_s,
    )


def instance_body(project: str, spec: InstanceSpec) -> gce.Instance:
    """What ``instances.insert`` takes."""
    where = f"projects/{project}/zones/{spec.zone}"
    items = [gce.Items(key=key, value=value) for key, value in spec.metadata.items()]
    accounts = [gce.ServiceAccount(email=spec.service_account, scopes=list(spec.scopes))]
    return gce.Instance(
        name=spec.name,
        machine_type=f"{where}/machineTypes/{spec.machine_type}",
        labels=dict(spec.labels),
        metadata=gce.Metadata(items=items),
        tags=gce.Tags(items=list(spec.tags)),
        disks=[_boot(where, spec), *_disks(where, spec)],
        network_interfaces=[_interface(project, spec)],
        service_accounts=accounts if spec.service_account else [],
        scheduling=gce.Scheduling(
            automatic_restart=False,
            max_run_duration=gce.Duration(seconds=spec.max_run_seconds),
            instance_termination_action="DELETE",
        ),
        shielded_instance_config=gce.ShieldedInstanceConfig(
            enable_secure_boot=True, enable_vtpm=True, enable_integrity_monitoring=True
        ),
    )


def _boot(where: str, spec: InstanceSpec) -> gce.AttachedDisk:
    return gce.AttachedDisk(
        boot=True,
        auto_delete=True,
        device_name="boot",
        disk_encryption_key=_key(spec.kms_key),
        initialize_params=gce.AttachedDiskInitializeParams(
            disk_name=spec.name,
            source_image=spec.boot_image,
            disk_size_gb=spec.boot_gib,
            disk_type=f"{where}/diskTypes/{spec.boot_type}",
            labels=dict(spec.labels),
        ),
    )


def _disks(where: str, spec: InstanceSpec) -> list[gce.AttachedDisk]:
    return [
        gce.AttachedDisk(
            source=f"{where}/disks/{disk.disk}",
            device_name=disk.device,
            mode="READ_ONLY" if disk.read_only else "READ_WRITE",
            auto_delete=disk.auto_delete,
        )
        for disk in spec.disks
    ]


def _interface(project: str, spec: InstanceSpec) -> gce.NetworkInterface:
    region = spec.zone.rsplit("-", 1)[0]
    sub = f"projects/{project}/regions/{region}/subnetworks/{spec.subnetwork}"
    nat = gce.AccessConfig(name="External NAT", type_="ONE_TO_ONE_NAT")
    return gce.NetworkInterface(
        network=f"projects/{project}/global/networks/{spec.network}",
        subnetwork=sub if spec.subnetwork else None,
        access_configs=[nat] if spec.external_ip else [],
    )


def image_body(project: str, spec: ImageSpec) -> gce.Image:
    """What ``images.insert`` takes; the disk is one of ``project``."""
    return gce.Image(
        name=spec.name,
        source_disk=f"projects/{project}/zones/{spec.zone}/disks/{spec.disk}",
        labels=dict(spec.labels),
        description=spec.description or None,
        storage_locations=list(spec.storage_locations),
        image_encryption_key=_key(spec.kms_key),
    )
