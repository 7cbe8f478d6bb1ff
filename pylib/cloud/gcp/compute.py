"""Compute Engine: disks, VMs, images and operations."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any

from google.cloud import compute_v1 as gce

from pylib.cloud.clock import Clock
from pylib.cloud.gcp import convert
from pylib.cloud.gcp.aggregated import aggregated, scopes, unreachable
from pylib.cloud.gcp.transport import READ_SECONDS, Transport
from pylib.cloud.records import (
    Disk,
    DiskSpec,
    Image,
    ImageSpec,
    Instance,
    InstanceSpec,
    Labels,
    Listing,
    Operation,
    Serial,
)

ONCE: dict[str, Any] = {"retry": None, "timeout": READ_SECONDS}
"""Arguments of every generated method: one try, since the tries are counted in one place."""


class Clients:
    """The generated clients, each made when it is first used."""

    def __init__(self, transport: Transport) -> None:
        self._how: dict[str, Any] = {
            "credentials": transport.credentials,
            "client_options": transport.options("compute"),
        }

    @cached_property
    def disks(self) -> gce.DisksClient:
        """Disks."""
        return gce.DisksClient(**self._how)

    @cached_property
    def instances(self) -> gce.InstancesClient:
        """VMs."""
        return gce.InstancesClient(**self._how)

    @cached_property
    def images(self) -> gce.ImagesClient:
        """Images."""
        return gce.ImagesClient(**self._how)

    @cached_property
    def zone_operations(self) -> gce.ZoneOperationsClient:
        """Operations of zones."""
        return gce.ZoneOperationsClient(**self._how)

    @cached_property
    def region_operations(self) -> gce.RegionOperationsClient:
        """Operations of regions."""
        return gce.RegionOperationsClient(**self._how)

    @cached_property
    def global_operations(self) -> gce.GlobalOperationsClient:
        """Operations of no place."""
        return gce.GlobalOperationsClient(**self._how)


class ComputeCalls:
    """The part of :class:`pylib.cloud.api.Cloud` that is Compute Engine's."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport
        self._clients = Clients(transport)
        self.project = transport.project
        self.clock: Clock = transport.retry.clock
        self.counts: Counter[str] = transport.retry.counts

    # Reads

    def disk(self, zone: str, name: str) -> Disk | None:
        """One disk."""
        request = gce.GetDiskRequest(project=self.project, zone=zone, disk=name)
        found = self._transport.read(
            f"disks.get {name}", lambda: self._clients.disks.get(request=request, **ONCE)
        )
        return None if found is None else convert.disk(found)

    def instance(self, zone: str, name: str) -> Instance | None:
        """One VM."""
        request = gce.GetInstanceRequest(project=self.project, zone=zone, instance=name)
        found = self._transport.read(
            f"instances.get {name}", lambda: self._clients.instances.get(request=request, **ONCE)
        )
        return None if found is None else convert.instance(found)

    def image(self, project: str, name: str) -> Image | None:
        """One image."""
        request = gce.GetImageRequest(project=project, image=name)
        found = self._transport.read(
            f"images.get {name}", lambda: self._clients.images.get(request=request, **ONCE)
        )
        return None if found is None else convert.image(project, found)

    def image_of_family(self, project: str, family: str) -> Image | None:
        """The newest image of a family that is not deprecated."""
        request = gce.GetFromFamilyImageRequest(project=project, family=family)
        found = self._transport.read(
            f"images.getFromFamily {family}",
            lambda: self._clients.images.get_from_family(request=request, **ONCE),
        )
        return None if found is None else convert.image(project, found)

    def guest_attribute(self, zone: str, instance: str, path: str) -> str | None:
        """Value at ``namespace/key``; ``None`` while the guest has written none."""
        request = gce.GetGuestAttributesInstanceRequest(
            project=self.project, zone=zone, instance=instance, query_path=path
        )
        found = self._transport.read(
            f"instances.getGuestAttributes {instance}",
            lambda: self._clients.instances.get_guest_attributes(request=request, **ONCE),
        )
        namespace, _, key = path.partition("/")
        for item in found.query_value.items if found else ():
            if (item.namespace, item.key) == (namespace, key):
                return item.value
        return None

    def serial(self, zone: str, instance: str, start: int) -> Serial:
        """Serial output of port 1 from byte ``start`` on; a log for people, never a signal."""
        request = gce.GetSerialPortOutputInstanceRequest(
            project=self.project, zone=zone, instance=instance, port=1, start=start
        )
        found = self._transport.call(
            f"instances.getSerialPortOutput {instance}",
            lambda: self._clients.instances.get_serial_port_output(request=request, **ONCE),
        )
        return Serial(found.contents, int(found.start), int(found.next_))

    def labelled_disks(self, key: str, value: str) -> Listing[Disk]:
        """Disks of all zones with this label."""
        pages = aggregated(self._transport, "disks", (key, value), gce.DiskAggregatedList)
        items = [convert.disk(disk) for _, scope in scopes(pages) for disk in scope.disks]
        return Listing(tuple(items), unreachable(pages))

    def labelled_instances(self, key: str, value: str) -> Listing[Instance]:
        """VMs of all zones with this label."""
        pages = aggregated(self._transport, "instances", (key, value), gce.InstanceAggregatedList)
        items = [convert.instance(vm) for _, scope in scopes(pages) for vm in scope.instances]
        return Listing(tuple(items), unreachable(pages))

    def labelled_images(self, project: str, key: str, value: str) -> Listing[Image]:
        """Images of a project with this label."""
        request = gce.ListImagesRequest(project=project, filter=f'labels.{key}="{value}"')

        def once() -> Listing[Image]:
            found = self._clients.images.list(request=request, **ONCE)
            return Listing(tuple(convert.image(project, image) for image in found))

        return self._transport.call("images.list", once)

    # Changes

    def insert_disk(self, spec: DiskSpec, request_id: str) -> Operation:
        """Make a disk."""
        body = convert.disk_body(self.project, spec)
        request = gce.InsertDiskRequest(
            project=self.project, zone=spec.zone, disk_resource=body, request_id=request_id
        )
        what = f"disks.insert {spec.name}"
        done = self._transport.call(
            what, lambda: self._clients.disks.insert_unary(request=request, **ONCE)
        )
        return convert.operation(self.project, f"zones/{spec.zone}", what, done)

    def insert_instance(self, spec: InstanceSpec, request_id: str) -> Operation:
        """Make a VM."""
        body = convert.instance_body(self.project, spec)
        request = gce.InsertInstanceRequest(
            project=self.project, zone=spec.zone, instance_resource=body, request_id=request_id
        )
        what = f"instances.insert {spec.name}"
        done = self._transport.call(
            what, lambda: self._clients.instances.insert_unary(request=request, **ONCE)
        )
        return convert.operation(self.project, f"zones/{spec.zone}", what, done)

    def insert_image(self, spec: ImageSpec, request_id: str) -> Operation:
        """Cut an image, never by force."""
        body = convert.image_body(self.project, spec)
        request = gce.InsertImageRequest(
            project=spec.project, image_resource=body, request_id=request_id
        )
        what = f"images.insert {spec.name}"
        done = self._transport.call(
            what, lambda: self._clients.images.insert_unary(request=request, **ONCE)
        )
        return convert.operation(spec.project, "global", what, done)

    def label_image(self, image: Image, labels: Labels) -> Operation:
        """Put ``labels`` in place of the image's, if they are as in ``image`` still."""
        body = gce.GlobalSetLabelsRequest(labels=dict(labels), label_fingerprint=image.fingerprint)
        request = gce.SetLabelsImageRequest(
            project=image.project, resource=image.name, global_set_labels_request_resource=body
        )
        what = f"images.setLabels {image.name}"
        done = self._transport.call(
            what, lambda: self._clients.images.set_labels_unary(request=request, **ONCE)
        )
        return convert.operation(image.project, "global", what, done)

    def describe_image(self, image: Image, text: str, request_id: str) -> Operation:
        """Make ``text`` the image's description."""
        return self._patch_image(image, gce.Image(description=text), request_id)

    def set_family(self, image: Image, family: str, request_id: str) -> Operation:
        """Make the image one of a family."""
        return self._patch_image(image, gce.Image(family=family), request_id)

    def _patch_image(self, image: Image, changes: gce.Image, request_id: str) -> Operation:
        request = gce.PatchImageRequest(
            project=image.project,
            image=image.name,
            image_resource=changes,
            request_id=request_id,
        )
        what = f"images.patch {image.name}"
        done = self._transport.call(
            what, lambda: self._clients.images.patch_unary(request=request, **ONCE)
        )
        return convert.operation(image.project, "global", what, done)

    def delete_disk(self, zone: str, name: str, request_id: str) -> Operation:
        """Delete a disk."""
        request = gce.DeleteDiskRequest(
            project=self.project, zone=zone, disk=name, request_id=request_id
        )
        what = f"disks.delete {name}"
        done = self._transport.call(
            what, lambda: self._clients.disks.delete_unary(request=request, **ONCE)
        )
        return convert.operation(self.project, f"zones/{zone}", what, done)

    def delete_instance(self, zone: str, name: str, request_id: str) -> Operation:
        """Delete a VM, and with it the disks that it deletes by itself."""
        request = gce.DeleteInstanceRequest(
            project=self.project, zone=zone, instance=name, request_id=request_id
        )
        what = f"instances.delete {name}"
        done = self._transport.call(
            what, lambda: self._clients.instances.delete_unary(request=request, **ONCE)
        )
        return convert.operation(self.project, f"zones/{zone}", what, done)

    def delete_image(self, project: str, name: str, request_id: str) -> Operation:
        """Delete an image."""
        request = gce.DeleteImageRequest(project=project, image=name, request_id=request_id)
        what = f"images.delete {name}"
        done = self._transport.call(
            what, lambda: self._clients.images.delete_unary(request=request, **ONCE)
        )
        return convert.operation(project, "global", what, done)

    def operation(self, operation: Operation) -> Operation:
        """How far the operation is now."""
        kind, _, place = operation.scope.partition("/")
        found = self._transport.call(
            f"{kind}.operations.get {operation.what}",
            lambda: self._operation(kind, place, operation),
        )
        return convert.operation(operation.project, operation.scope, operation.what, found)

    def _operation(self, kind: str, place: str, known: Operation) -> gce.Operation:
        project, name = known.project, known.name
        if kind == "zones":
            zonal = gce.GetZoneOperationRequest(project=project, zone=place, operation=name)
            return self._clients.zone_operations.get(request=zonal, **ONCE)
        if kind == "regions":
            regional = gce.GetRegionOperationRequest(project=project, region=place, operation=name)
            return self._clients.region_operations.get(request=regional, **ONCE)
        anywhere = gce.GetGlobalOperationRequest(project=project, operation=name)
        return self._clients.global_operations.get(request=anywhere, **ONCE)
