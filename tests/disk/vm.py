"""A bake VM on the emulator: its own startup script really runs, with what a test changes of it."""

from __future__ import annotations

import base64
import io
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylib.bake.watch import Report, watch
from pylib.cloud.clock import SystemClock
from pylib.cloud.gcp import GoogleCloud, connect
from pylib.emulator import Emulator, Settings
from pylib.emulator.store import Ref
from pylib.guest.pack import metadata
from tests.cloud.emulated import PROJECT, ZONAL, ZONE, Raw, data_disk
from tests.disk.guest import job
from tests.disk.hurried import HurriedClock

NAME = "vm"
DISK = "vfs-target"
DEVICE = f"/dev/disk/by-id/google-{DISK}"
SECONDS = 60.0


@dataclass
class Vm:
    """The VM's project, and what the host sees of it."""

    emulator: Emulator
    raw: Raw
    cloud: GoogleCloud

    def boot(self, *images: str, before: str = "", **change: str) -> None:
        """Start it on a blank disk; ``before`` are lines of shell that its script begins with."""
        self.raw.disk(DISK)
        found = {**metadata(job(DEVICE, *images)), **{_key(k): v for k, v in change.items()}}
        found["startup-script"] = f"#!/bin/bash\n{before}\n{found['startup-script']}"
        items = [{"key": key, "value": value} for key, value in found.items()]
        self.raw.vm(NAME, disks=(data_disk(DISK),), metadata={"items": items})

    def watch(self, seconds: float = 3600.0) -> Report:
        """What the host makes of it: the report of success, or BakeError."""
        return watch(self.cloud, ZONE, NAME, "n-1", seconds, lambda _: None)

    def serial(self) -> str:
        """What it wrote to its console."""
        return str(self.raw.get(f"{ZONAL}/instances/{NAME}/serialPort")["contents"])

    def until_serial(self, text: str) -> None:
        """Wait for a text on the console."""
        deadline = time.monotonic() + SECONDS
        while text not in self.serial():
            assert time.monotonic() < deadline, self.serial()
            time.sleep(0.05)

    def until_off(self) -> None:
        """Wait until it has stopped."""
        world, ref = self.emulator.world, Ref("instances", PROJECT, f"zones/{ZONE}", NAME)
        assert world.jobs.wait(lambda: world.need(ref)["status"] == "TERMINATED", SECONDS)

    def blocks(self) -> Path:
        """The file of its disk."""
        return self.emulator.blocks("disks", DISK, f"zones/{ZONE}")


def _key(name: str) -> str:
    return name.replace("_", "-")


def payload(main: str) -> str:
    """A payload that is a program of a few lines, as metadata holds it."""
    packed = io.BytesIO()
    names = ("pylib", "pylib/guest", "pylib/guest/payload")
    files: Mapping[str, str] = {f"{name}/__init__.py": "" for name in names}
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in {**files, "pylib/guest/payload/main.py": main}.items():
            archive.writestr(name, content)
    return base64.b64encode(packed.getvalue()).decode()


@contextmanager
def started(folder: Path, **settings: Any) -> Iterator[Vm]:
    """A project without a VM yet."""
    how = Settings(guest_attributes_per_minute=100_000, shutdown_seconds=20, **settings)
    with Emulator(folder, settings=how, guest="real", clock=SystemClock()) as emulator:
        cloud = connect(PROJECT, endpoint=emulator.url, clock=HurriedClock(times=60.0))
        yield Vm(emulator, Raw(emulator.url), cloud)
