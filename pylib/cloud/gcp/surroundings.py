"""What a check before a bake reads: types, quota, network, permissions, services, cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote

from google.cloud import compute_v1 as gce

from pylib.cloud.gcp.compute import ONCE
from pylib.cloud.gcp.convert import last
from pylib.cloud.gcp.transport import Transport
from pylib.cloud.records import MachineType, Nat, Quota, Subnetwork

MOST_PERMISSIONS = 100
"""Most that one testIamPermissions takes:
https://cloud.google.com/resource-manager/reference/rest/v1/projects/testIamPermissions."""


class SurroundingCalls:
    """The part of :class:`pylib.cloud.api.Cloud` that only reads around a bake."""

    _transport: Transport

    @cached_property
    def _how(self) -> dict[str, Any]:
        return {
            "credentials": self._transport.credentials,
            "client_options": self._transport.options("compute"),
        }

    def zones(self, region: str) -> tuple[str, ...]:
        """Zones of a region that are up, in order."""
        client = gce.ZonesClient(**self._how)
        request = gce.ListZonesRequest(project=self._transport.project)

        def once() -> tuple[str, ...]:
            found = client.list(request=request, **ONCE)
            return tuple(
                sorted(z.name for z in found if last(z.region) == region and z.status == "UP")
            )

        return self._transport.call("zones.list", once)

    def machine_type(self, zone: str, name: str) -> MachineType | None:
        """A machine type, as the zone offers it."""
        client = gce.MachineTypesClient(**self._how)
        request = gce.GetMachineTypeRequest(
            project=self._transport.project, zone=zone, machine_type=name
        )
        found = self._transport.read(
            f"machineTypes.get {name}", lambda: client.get(request=request, **ONCE)
        )
        if found is None:
            return None
        return MachineType(found.name, int(found.guest_cpus), int(found.memory_mb))

    def has_disk_type(self, zone: str, name: str) -> bool:
        """Whether the zone offers the disk type."""
        client = gce.DiskTypesClient(**self._how)
        request = gce.GetDiskTypeRequest(project=self._transport.project, zone=zone, disk_type=name)
        found = self._transport.read(
            f"diskTypes.get {name}", lambda: client.get(request=request, **ONCE)
        )
        return found is not None

    def quotas(self, region: str) -> tuple[Quota, ...]:
        """Quotas of the region and of the project."""
        regions = gce.RegionsClient(**self._how)
        projects = gce.ProjectsClient(**self._how)
        name = self._transport.project
        of_region = self._transport.call(
            f"regions.get {region}",
            lambda: regions.get(request=gce.GetRegionRequest(project=name, region=region), **ONCE),
        )
        of_project = self._transport.call(
            "projects.get",
            lambda: projects.get(request=gce.GetProjectRequest(project=name), **ONCE),
        )
        places = ((region, of_region.quotas), ("global", of_project.quotas))
        return tuple(
            Quota(place, quota.metric, quota.limit, quota.usage)
            for place, quotas in places
            for quota in quotas
        )

    def subnetwork(self, region: str, name: str) -> Subnetwork | None:
        """One subnetwork."""
        client = gce.SubnetworksClient(**self._how)
        request = gce.GetSubnetworkRequest(
            project=self._transport.project, region=region, subnetwork=name
        )
        found = self._transport.read(
            f"subnetworks.get {name}", lambda: client.get(request=request, **ONCE)
        )
        if found is None:
            return None
        network = last(found.network)
        return Subnetwork(found.name, region, network, found.private_ip_google_access)

    def nats(self, region: str) -> tuple[Nat, ...]:
        """Cloud NAT gateways of the region."""
        client = gce.RoutersClient(**self._how)
        request = gce.ListRoutersRequest(project=self._transport.project, region=region)

        def once() -> tuple[Nat, ...]:
            return tuple(
                Nat(last(router.network), tuple(last(s.name) for s in nat.subnetworks))
                for router in client.list(request=request, **ONCE)
                for nat in router.nats
            )

        return self._transport.call("routers.list", once)

    def granted(self, project: str, permissions: Iterable[str]) -> frozenset[str]:
        """Those of ``permissions`` that the caller has on the project."""
        wanted, found = sorted(permissions), set[str]()
        for start in range(0, len(wanted), MOST_PERMISSIONS):
            answer = self._transport.rest(
                "resourcemanager",
                "POST",
                f"/v1/projects/{quote(project, safe=':')}:testIamPermissions",
                json={"permissions": wanted[start : start + MOST_PERMISSIONS]},
            )
            found.update(answer.get("permissions") or ())
        return frozenset(found)

    def enabled(self, services: Iterable[str]) -> Mapping[str, bool]:
        """Whether each service, such as ``compute.googleapis.com``, is enabled."""
        project = quote(self._transport.project, safe=":")
        return {
            name: self._transport.rest(
                "serviceusage", "GET", f"/v1/projects/{project}/services/{name}"
            ).get("state")
            == "ENABLED"
            for name in services
        }
