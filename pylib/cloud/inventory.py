"""What carries a label, of every kind and in every place, for whoever tidies up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from pylib.cloud.api import Compute
from pylib.cloud.records import Labels, Listing, Operation

MarkedKind = Literal["instance", "disk", "snapshot", "image"]

PLURAL = {"instance": "instances", "disk": "disks", "snapshot": "snapshots", "image": "images"}
"""Each kind, in the order in which things can be deleted, and its name in paths and commands."""


@dataclass(frozen=True)
class Marked:
    """A resource with a label: ``place`` is a zone or ``global``; ``created`` is the service's
    own time, in seconds since 1970; ``users`` are names of the VMs that have the disk."""

    kind: MarkedKind
    project: str
    place: str
    name: str
    id: str
    status: str
    labels: Labels
    created: float
    max_run_seconds: int = 0
    users: tuple[str, ...] = ()
    family: str = ""
    obsolete: bool = False
    size_gib: int = 0
    """Of a disk; of an image what it takes to keep, rounded up."""
    type: str = ""

    def __str__(self) -> str:
        """For messages: ``disk NAME in ZONE``."""
        where = self.project if self.place == "global" else self.place
        return f"{self.kind} {self.name} in {where}"

    @property
    def link(self) -> str:
        """Partial URL, as other resources name it."""
        place = self.place if self.place == "global" else f"zones/{self.place}"
        return f"projects/{self.project}/{place}/{PLURAL[self.kind]}/{self.name}"

    @property
    def command(self) -> str:
        """The gcloud command that deletes it."""
        zone = "" if self.place == "global" else f" --zone={self.place}"
        words = f"gcloud compute {PLURAL[self.kind]} delete {self.name}"
        return f"{words} --project={self.project}{zone} --quiet"


class Inventory(Compute, Protocol):
    """Lists say which places gave no answer: what is there is not known, and not absent."""

    def marked(self, kind: MarkedKind, project: str, label: str) -> Listing[Marked]:
        """Everything of a kind with a label, whatever its value."""

    def again(self, found: Marked) -> Marked | None:
        """What has the name of ``found`` now."""

    def delete(self, found: Marked, request_id: str) -> Operation:
        """Delete what has the name of ``found``."""

    def images_of_disks(self) -> Listing[str]:
        """Numeric ids of the images that the project's disks were made from."""

    def images_of_pools(self) -> Listing[str]:
        """Links of the images that node pools of the project's GKE clusters start with."""

    def service_time(self) -> float:
        """The service's own clock, in seconds since 1970."""
