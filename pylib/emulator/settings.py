"""What a test or a user sets: how the emulated project is, and how fast its services are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pylib.errors import ConfigError, Problem

Delay = tuple[float, float]

KNOWN_POLICIES = frozenset(
    {
        "compute.vmExternalIpAccess",
        "compute.requireShieldedVm",
        "gcp.resourceLocations",
    }
)
"""Organization policies that the emulator enforces when they are set."""


@dataclass(frozen=True)
class Settings:
    """The emulated project; the defaults are a new one with everything allowed.

    ``delays``: seconds PENDING and seconds RUNNING of the operations of a method, such as
    ``{"compute.disks.insert": (1, 5)}``; the key ``*`` is every other method.  ``granted``: the
    caller's permissions, ``None`` for all; ``denied`` are taken away from them.  ``quotas``:
    limits by ``METRIC`` for the project's own, by ``REGION/METRIC`` for a region's.
    ``locations``: values that the policy ``gcp.resourceLocations`` allows, zones or regions.
    """

    project: str = "demo-project"
    number: str = "123456789012"
    other_projects: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[str, ...] = ("us-central1", "us-east4", "europe-west4")
    zones: tuple[str, ...] = ("a", "b", "c")
    delays: Mapping[str, Delay] = field(default_factory=dict)
    granted: frozenset[str] | None = None
    denied: frozenset[str] = frozenset()
    disabled_services: frozenset[str] = frozenset()
    quotas: Mapping[str, float] = field(default_factory=dict)
    quota_level: Literal["request", "operation"] = "request"
    policies: frozenset[str] = frozenset()
    locations: tuple[str, ...] = ()
    unreachable: frozenset[str] = frozenset()
    nat_regions: frozenset[str] = frozenset()
    private_google_access: bool = False
    page_size: int = 500
    images_per_hour: int = 6
    guest_attributes_per_minute: int = 10
    request_id_seconds: float = 3600.0
    shutdown_seconds: float = 90.0
    cluster_version: str = "1.35.3-gke.1389000"

    def __post_init__(self) -> None:
        """Raises :class:`pylib.errors.ConfigError` for a policy that would not be enforced."""
        unknown = sorted(self.policies - KNOWN_POLICIES)
        if unknown:
            fix = f"Known are: {', '.join(sorted(KNOWN_POLICIES))}."
            problem = Problem("policies", f"{unknown[0]!r} is not enforced", fix)
            raise ConfigError("emulator", [problem])

    def delay(self, method: str) -> Delay:
        """Seconds PENDING and RUNNING of an operation of ``method``."""
        return self.delays.get(method, self.delays.get("*", (0.0, 0.0)))

    def numbers(self) -> dict[str, str]:
        """Number of each project by its id."""
        return {self.project: self.number, **self.other_projects}

    def all_zones(self) -> tuple[str, ...]:
        """Names of all zones."""
        return tuple(f"{region}-{letter}" for region in self.regions for letter in self.zones)
