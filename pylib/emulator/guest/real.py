"""Guests that really run: the startup script in namespaces of its own, disks as loop devices."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pylib.emulator.compute.power import guest_ended
from pylib.emulator.compute.sources import blocks
from pylib.emulator.guest.loops import detach_all_of
from pylib.emulator.guest.machine import Machine
from pylib.emulator.naming import parse_url
from pylib.emulator.store import Ref
from pylib.emulator.world import World

_PROGRAMS = ("unshare", "losetup", "setpriv", "mount", "pivot_root", "chroot")


def why_not() -> str:
    """Why real guests cannot run on this machine; empty when they can."""
    if os.geteuid() != 0:
        return "only root can make namespaces and loop devices"
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if not Path("/dev/loop-control").exists():
        return "the kernel has no loop devices"
    if "overlay" not in Path("/proc/filesystems").read_text(encoding="ascii"):
        return "the kernel has no overlay file system"
    return ""


class RealGuests:
    """The guests of one emulator; they do not outlive its process."""

    simulated = False

    def __init__(self, world: World) -> None:
        self._world = world
        self._machines: dict[Ref, Machine] = {}
        detach_all_of(world.folder)

    def running(self, vm: Ref) -> bool:
        """Whether the guest has not ended yet."""
        machine = self._machines.get(vm)
        return machine is not None and not machine.ended.is_set()

    def boot(self, vm: Ref) -> None:
        """Show the guest its disks and run its startup script."""
        doc = self._world.need(vm)
        identity = str(doc["id"])

        def ended(machine: Machine) -> None:
            with self._world.store.transaction():
                if self._machines.get(vm) is machine and not machine.abandoned:
                    guest_ended(self._world, vm, identity)
                self._world.store.changed.notify_all()

        machine = Machine(self._world, vm, ended)
        for one in doc["disks"]:
            file = self._file(parse_url(one["source"], "disks", vm.project, "source"))
            read_only = one["mode"] == "READ_ONLY"
            machine.plug(one["deviceName"], file, read_only=read_only)
        self._machines[vm] = machine
        machine.start()

    def _file(self, disk: Ref) -> Path:
        return blocks(self._world, self._world.need(disk))

    def shut_down(self, vm: Ref) -> None:
        """Press the power button."""
        if self.running(vm):
            self._machines[vm].press_power_button()

    def cut_power(self, vm: Ref) -> None:
        """End the guest now; returns when it has ended."""
        if self.running(vm):
            self._machines[vm].cut_power()

    def attach(self, vm: Ref, device: str, disk: Ref, *, read_only: bool) -> None:
        """Make the disk appear in the guest."""
        if self.running(vm):
            machine = self._machines[vm]
            machine.plug(device, self._file(disk), read_only=read_only)
            machine.show(device)

    def detach(self, vm: Ref, device: str) -> None:
        """Take the disk from the guest, mounted or not."""
        if self.running(vm):
            self._machines[vm].unplug(device)

    def close(self) -> None:
        """End all guests."""
        for vm in list(self._machines):
            self.cut_power(vm)
