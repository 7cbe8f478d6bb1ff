"""Disks of an emulated project as pods find them: those that there are, with what is on them.

Real: calls that attach and detach, and what they refuse.  Simulated: a VM stands for each node,
and a disk's first line, which a bake wrote and an image carried, names the folder that is mounted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from pylib.emulator import Emulator
from tests.cloud.emulated import Raw, vm_body
from tests.cluster.bed.gke import PROJECT

_SECONDS = 60.0
_LINE = 100


@dataclass(frozen=True)
class EmulatedDisks(Mapping[str, Path]):
    """Folders by volume handle; ``contents`` are folders by the digest of their manifest."""

    emulator: Emulator
    contents: Mapping[str, Path]

    def __getitem__(self, handle: str) -> Path:
        _, _, _, zone, _, name = handle.split("/")
        if handle not in set(self):
            raise KeyError(handle)
        with self.emulator.blocks("disks", name, f"zones/{zone}").open("rb") as file:
            digest = file.readline(_LINE).decode("ascii", "replace").strip()
        return self.contents[digest]

    def __iter__(self) -> Iterator[str]:
        return iter(self.emulator.inventory().paths("disks"))

    def __len__(self) -> int:
        return len(list(iter(self)))


@dataclass
class NodeVms:
    """Attaches disks to the VM of a node; no disk leaves one before ``lets_go`` is set."""

    emulator: Emulator
    lets_go: Event = field(default_factory=Event)

    def add(self, name: str, zone: str) -> None:
        """A VM for a node."""
        self._raw.done("POST", f"{_zone(zone)}/instances", vm_body(name))

    def attach(self, handle: str, node: str) -> None:
        """Attach a disk for reading, unless the node has it."""
        name = handle.rpartition("/")[2]
        vm = self._raw.get(_vm(handle, node))
        if all(disk["deviceName"] != name for disk in vm["disks"]):
            asked = {"source": handle, "deviceName": name, "mode": "READ_ONLY"}
            self._raw.done("POST", f"{_vm(handle, node)}/attachDisk", asked)

    def detach(self, handle: str, node: str) -> None:
        """Take a disk from the node."""
        self.lets_go.wait(_SECONDS)
        name = handle.rpartition("/")[2]
        self._raw.done("POST", f"{_vm(handle, node)}/detachDisk", deviceName=name)

    @property
    def _raw(self) -> Raw:
        return Raw(self.emulator.url)


def _zone(zone: str) -> str:
    return f"/compute/v1/projects/{PROJECT}/zones/{zone}"


def _vm(handle: str, node: str) -> str:
    return f"{_zone(handle.split('/')[3])}/instances/{node}"
