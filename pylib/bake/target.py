"""One resource of a run: how it is found, whether it is ours, how a person deletes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pylib.bake.plan import PHASE, PUBLISHED, RUN
from pylib.cloud.api import Compute
from pylib.cloud.records import Disk, Image, Instance, ResourceKind

Resource = Disk | Instance | Image

_READY = {"disk": {"READY"}, "image": {"READY"}}
_FAILED = {"FAILED", "DELETING"}
_PLURAL = {"disk": "disks", "instance": "instances", "image": "images"}


@dataclass(frozen=True)
class Target:
    """A resource by name; ``place`` is a zone, or ``global`` for an image."""

    kind: ResourceKind
    project: str
    place: str
    name: str

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Target:
        """The target that :meth:`data` wrote."""
        return cls(data["kind"], data["project"], data["place"], data["name"])

    def data(self) -> dict[str, str]:
        """As a journal keeps it."""
        return asdict(self)

    def find(self, compute: Compute) -> Resource | None:
        """What has the name now.  Raises CallError when that is not known."""
        if self.kind == "disk":
            return compute.disk(self.place, self.name)
        if self.kind == "instance":
            return compute.instance(self.place, self.name)
        return compute.image(self.project, self.name)

    def __str__(self) -> str:
        """For messages: ``disk NAME in ZONE``."""
        return f"{self.kind} {self.name} in {self.place if self.kind != 'image' else self.project}"

    @property
    def link(self) -> str:
        """Partial URL, as other resources name it."""
        place = "global" if self.kind == "image" else f"zones/{self.place}"
        return f"projects/{self.project}/{place}/{_PLURAL[self.kind]}/{self.name}"

    @property
    def command(self) -> str:
        """The gcloud command that deletes it."""
        zone = "" if self.kind == "image" else f" --zone={self.place}"
        words = f"gcloud compute {_PLURAL[self.kind]} delete {self.name}"
        return f"{words} --project={self.project}{zone} --quiet"


def ready(target: Target, found: Resource) -> bool:
    """Whether it is made; a VM is once it is there."""
    wanted = _READY.get(target.kind)
    return wanted is None or found.status in wanted


def failed(found: Resource) -> bool:
    """Whether it will never be ready."""
    return found.status in _FAILED


def ours(found: Resource, run_id: str, known_id: str | None) -> bool:
    """Whether this very resource is of the run: by label, and by id where that was recorded."""
    return found.labels.get(RUN) == run_id and known_id in (None, found.id)


def published(found: Resource) -> bool:
    """Whether others may use it already."""
    return found.labels.get(PHASE) == PUBLISHED
