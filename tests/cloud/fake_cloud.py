"""The service of :mod:`tests.cloud.fake`, with the surroundings that a check looks at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pylib.cloud.faults import CallError, Kind
from pylib.cloud.records import Cluster, MachineType, Nat, Quota, Subnetwork
from tests.cloud.fake import FakeCompute


@dataclass
class FakeCloud(FakeCompute):
    """A project where a bake works; tests take away from it."""

    missing: set[str] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)
    machine_types: set[str] = field(default_factory=lambda: {"n2-standard-8"})
    disk_types: set[str] = field(default_factory=lambda: {"pd-ssd"})
    quota: list[Quota] = field(default_factory=list)
    gateways: tuple[Nat, ...] = (Nat("default", ()),)
    private_access: bool = True
    clusters: dict[str, str] = field(default_factory=lambda: {"vllm-cluster": "1.35.3-gke.1389000"})
    broken: dict[str, Kind] = field(default_factory=dict)

    def _read(self, call: str) -> None:
        if call in self.broken:
            raise CallError(call, self.broken[call], "injected")

    def zones(self, region: str) -> tuple[str, ...]:
        self._read("zones")
        return (f"{region}-a", f"{region}-b")

    def machine_type(self, zone: str, name: str) -> MachineType | None:
        self._read("machine_type")
        known = name in self.machine_types and zone.count("-") == 2
        return MachineType(name, 8, 32768) if known else None

    def has_disk_type(self, zone: str, name: str) -> bool:
        return name in self.disk_types and zone.count("-") == 2

    def quotas(self, region: str) -> tuple[Quota, ...]:
        return tuple(quota for quota in self.quota if quota.place in {region, "global"})

    def subnetwork(self, region: str, name: str) -> Subnetwork | None:
        return Subnetwork(name, region, name, self.private_access)

    def nats(self, region: str) -> tuple[Nat, ...]:
        return self.gateways if region == "us-central1" else ()

    def granted(self, project: str, permissions: Iterable[str]) -> frozenset[str]:
        self._read("granted")
        return frozenset(p for p in permissions if f"{project}/{p}" not in self.missing)

    def enabled(self, services: Iterable[str]) -> Mapping[str, bool]:
        return {name: name not in self.disabled for name in services}

    def cluster(self, location: str, name: str) -> Cluster | None:
        version = self.clusters.get(name)
        return Cluster(name, location, "RUNNING", version, autopilot=False) if version else None
