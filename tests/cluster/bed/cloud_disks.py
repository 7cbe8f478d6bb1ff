"""The disks of claims as PD CSI has them, real ones, on an emulator of Compute Engine.

Real: calls that make, attach and detach, a VM that stands for each node, loop devices, ext4.
Simulated: this machine mounts in the node's place, once a disk is attached rather than for a pod,
and unmounts before it is detached; fsGroup; a disk stays when its volume goes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pylib.emulator import Emulator
from pylib.proc import run
from tests.cloud.emulated import Raw, vm_body
from tests.cluster.bed.gke import PROJECT

_SECONDS = 60.0


@dataclass
class CloudDisks:
    """``folders`` are where disks get mounted, by volume handle.

    A node lets go of no disk before ``lets_go`` is set; one that does not unmount, as a node that
    dies does not, loses what its journal has not brought home.
    """

    emulator: Emulator
    folder: Path
    unmounts: bool = True
    folders: dict[str, Path] = field(default_factory=dict)
    lets_go: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount what is mounted still."""
        for place in self.folders.values():
            if place.is_mount():
                run(["umount", place])

    @property
    def _raw(self) -> Raw:
        return Raw(self.emulator.url)

    def add_node(self, name: str, zone: str) -> None:
        """A VM for a node."""
        self._raw.done("POST", f"{_zone(zone)}/instances", vm_body(name))

    def make(self, zone: str, name: str, gib: int) -> None:
        """A blank disk, as the provisioner asks for."""
        handle = f"projects/{PROJECT}/zones/{zone}/disks/{name}"
        if handle in self.folders:
            return
        kind = f"zones/{zone}/diskTypes/pd-balanced"
        asked = {"name": name, "sizeGb": str(gib), "type": kind}
        self._raw.done("POST", f"{_zone(zone)}/disks", asked)
        self.folders[handle] = self.folder / name

    def blocks(self, handle: str) -> Path:
        """The file with a disk's blocks."""
        _, _, _, zone, _, name = handle.split("/")
        return self.emulator.blocks("disks", name, f"zones/{zone}")

    def attach(self, handle: str, node: str) -> None:
        """Attach, format a blank disk as the driver's FormatAndMount does, mount."""
        place = self.folders[handle]
        if place.is_mount():
            return
        name = handle.rpartition("/")[2]
        asked = {"source": handle, "deviceName": name, "mode": "READ_WRITE"}
        self._raw.done("POST", f"{_vm(handle, node)}/attachDisk", asked)
        listed = ["losetup", "--noheadings", "--output=NAME", "--associated"]
        device = run([*listed, self.blocks(handle)]).stdout.strip()
        if not run(["blkid", device], ok_codes=(0, 2)).stdout:
            run(["mkfs.ext4", "-q", "-F", "-m0", device])
        place.mkdir(parents=True, exist_ok=True)
        run(["mount", "-t", "ext4", device, place])

    def detach(self, handle: str, node: str) -> None:
        """Unmount, detach."""
        self.lets_go.wait(_SECONDS)
        if self.unmounts:
            run(["umount", self.folders[handle]])
        name = handle.rpartition("/")[2]
        self._raw.done("POST", f"{_vm(handle, node)}/detachDisk", deviceName=name)
        if not self.unmounts:  # what is written now gets nowhere
            run(["umount", self.folders[handle]])


def _zone(zone: str) -> str:
    return f"/compute/v1/projects/{PROJECT}/zones/{zone}"


def _vm(handle: str, node: str) -> str:
    return f"{_zone(handle.split('/')[3])}/instances/{node}"
