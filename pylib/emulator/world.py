"""All that a handler of a request works with, and the request itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pylib.cloud.clock import Clock
from pylib.emulator.errors import ApiError, Json, not_found
from pylib.emulator.jobs import Jobs
from pylib.emulator.settings import Settings
from pylib.emulator.store import Ref, Store


class Guests(Protocol):
    """What runs inside the emulated VMs."""

    simulated: bool

    def running(self, vm: Ref) -> bool:
        """Whether the guest has not ended yet."""

    def boot(self, vm: Ref) -> None:
        """Begin to run the VM's startup script."""

    def shut_down(self, vm: Ref) -> None:
        """Press the power button; the guest ends by itself, or is cut off in the end."""

    def cut_power(self, vm: Ref) -> None:
        """End the guest at once: what it had not written is lost."""

    def attach(self, vm: Ref, device: str, disk: Ref, *, read_only: bool) -> None:
        """Show a disk to a running guest."""

    def detach(self, vm: Ref, device: str) -> None:
        """Take a disk from a running guest, as when its cable is pulled."""


@dataclass(frozen=True)
class Call:
    """One request, after routing: ``method`` is for example ``compute.disks.insert``."""

    method: str
    verb: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Json
    raw: bytes
    headers: Mapping[str, str]
    fault: Json | None = None

    @property
    def project(self) -> str:
        """Project that the path names."""
        return self.params["project"]

    def flag(self, name: str) -> bool:
        """A boolean of the query."""
        return self.query.get(name, "").lower() in {"true", "1"}


@dataclass(frozen=True)
class Response:
    """An answer that is no plain JSON with status 200."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/json; charset=UTF-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class World:
    """State, time, settings and guests of one emulator; ``url`` is its own address."""

    folder: Path
    store: Store
    clock: Clock
    settings: Settings
    jobs: Jobs
    guests: Guests = field(init=False)  # they need the world, which is there first
    url: str = ""

    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock.time()

    def need(self, ref: Ref) -> Json:
        """A resource that must be there; 404 when it is not."""
        doc = self.store.get(ref)
        if doc is None:
            raise not_found(ref.path)
        return doc

    def number(self, project: str) -> str:
        """Number of a project; 404 when there is none of that id."""
        numbers = self.settings.numbers()
        if project in numbers:
            return numbers[project]
        message = f"The resource 'projects/{project}' was not found"
        raise ApiError(404, "notFound", message)

    def file(self, name: str) -> Path:
        """Where the blocks of a disk, an image or a snapshot lie."""
        return self.folder / "blocks" / name
