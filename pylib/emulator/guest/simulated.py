"""Guests that are a Python function instead of a startup script, and say so on the console."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pylib.emulator.clock import ManualClock
from pylib.emulator.compute.guest_reads import serial_file
from pylib.emulator.compute.power import guest_ended
from pylib.emulator.compute.sources import blocks
from pylib.emulator.errors import Json
from pylib.emulator.guest import attributes
from pylib.emulator.naming import parse_url
from pylib.emulator.store import Ref
from pylib.emulator.world import World

_NOTICE = "emulator: this guest is simulated, the VM's startup script does not run\n"


@dataclass(frozen=True)
class SimulatedVm:
    """What a simulated guest sees and does."""

    world: World
    ref: Ref
    id: str

    def _doc(self) -> Json:
        return self.world.need(self.ref)

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of the VM by key."""
        return attributes.items(self._doc())

    def set_attribute(self, path: str, value: str) -> None:
        """Write the guest attribute ``namespace/key``; refused as a real guest's would be."""
        attributes.write(self.world, self.ref, self._doc(), path, value.encode())

    def print(self, text: str) -> None:
        """Write to serial port 1."""
        file = serial_file(self.world, self.id)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as opened:
            opened.write(text)

    def disk(self, device: str) -> Path:
        """The file with the blocks of the disk that has this device name."""
        for one in self._doc()["disks"]:
            if one["deviceName"] == device:
                ref = parse_url(one["source"], "disks", self.ref.project, "source")
                return blocks(self.world, self.world.need(ref))
        raise FileNotFoundError(f"/dev/disk/by-id/google-{device}")

    def power_off(self) -> None:
        """End, as ``poweroff`` does."""
        guest_ended(self.world, self.ref, self.id)
        self.world.guests.shut_down(self.ref)


Program = Callable[[SimulatedVm], None]


def idle(_vm: SimulatedVm) -> None:
    """A guest that boots and does nothing."""


class SimulatedGuests:
    """Runs ``program`` for each VM that boots: in a thread, or at once with a manual clock."""

    simulated = True

    def __init__(self, world: World, program: Program = idle) -> None:
        self._world = world
        self._program = program
        self._running: set[Ref] = set()

    def running(self, vm: Ref) -> bool:
        """Whether the VM was booted and not ended since."""
        doc = self._world.store.get(vm)
        return vm in self._running and doc is not None and doc["status"] != "TERMINATED"

    def boot(self, vm: Ref) -> None:
        """Run the program."""
        self._running.add(vm)
        machine = SimulatedVm(self._world, vm, str(self._world.need(vm)["id"]))
        machine.print(_NOTICE)
        if isinstance(self._world.clock, ManualClock):
            self._program(machine)
        else:
            threading.Thread(target=self._program, args=(machine,), daemon=True).start()

    def shut_down(self, vm: Ref) -> None:
        """It ends at once."""
        self._running.discard(vm)

    def cut_power(self, vm: Ref) -> None:
        """It ends at once."""
        self._running.discard(vm)

    def attach(self, vm: Ref, device: str, disk: Ref, *, read_only: bool) -> None:
        """The program finds it by :meth:`SimulatedVm.disk`."""

    def detach(self, vm: Ref, device: str) -> None:
        """The program finds it no longer."""

    def close(self) -> None:
        """Nothing is left running."""
        self._running.clear()
