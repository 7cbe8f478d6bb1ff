"""A local stand-in for Google Cloud's REST APIs; :class:`pylib.emulator.emulator.Emulator`."""

from pylib.emulator.clock import ManualClock
from pylib.emulator.emulator import Emulator
from pylib.emulator.faults import Fault, read_plan
from pylib.emulator.guest.simulated import SimulatedVm
from pylib.emulator.inventory import Inventory
from pylib.emulator.journal import Entry
from pylib.emulator.settings import Settings

__all__ = [
    "Emulator",
    "Entry",
    "Fault",
    "Inventory",
    "ManualClock",
    "Settings",
    "SimulatedVm",
    "read_plan",
]
