"""Clusters' parts as frozen records of our own: node pools, and policies that let somebody in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pylib.cloud.records import Labels


@dataclass(frozen=True)
class PoolSpec:
    """A node pool; sizes in GiB, node counts per zone; ``image`` is the link of the image that its
    secondary boot disk is made from."""

    location: str
    cluster: str
    name: str
    zones: tuple[str, ...]
    machine_type: str
    accelerator: str
    accelerator_count: int
    disk_type: str
    disk_gib: int
    image: str | None
    least: int
    most: int
    labels: Labels = field(default_factory=dict)
    spot: bool = False
    reservation: str | None = None
    flex_start: bool = False
    kms_key: str | None = None

    @property
    def path(self) -> str:
        """Its cluster and name, as messages say it."""
        return f"node pool {self.name} of cluster {self.cluster} in {self.location}"


@dataclass(frozen=True)
class NodePool:
    """A node pool as the service shows it."""

    spec: PoolSpec
    status: str
    message: str = ""


@dataclass(frozen=True)
class Policy:
    """An IAM policy, with the etag that tells whether it changed since."""

    bindings: tuple[Mapping[str, Any], ...]
    etag: str = ""

    def holds(self, role: str, member: str) -> bool:
        """Whether the member has the role with no condition."""
        return any(
            it.get("role") == role and member in it.get("members", ()) and "condition" not in it
            for it in self.bindings
        )

    def with_member(self, role: str, member: str) -> Policy:
        """The policy with one member more, in the role's binding that has no condition."""
        found = list(self.bindings)
        for index, it in enumerate(found):
            if it.get("role") == role and "condition" not in it:
                found[index] = {**it, "members": [*it.get("members", ()), member]}
                return Policy(tuple(found), self.etag)
        return Policy((*found, {"role": role, "members": [member]}), self.etag)
