"""One bake through Google's real clients, on the emulator; the guest is a function."""

from __future__ import annotations

import itertools
import json
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pylib.bake.plan import Bake
from pylib.bake.runner import Baked, Tools, run_bake
from pylib.cloud.gcp import GoogleCloud
from pylib.emulator import Emulator, SimulatedVm
from pylib.emulator.guest.simulated import Program
from tests.cloud.baking import pack, request
from tests.cloud.fake_parts import DIGEST, MANIFEST, found_on_disk

PROJECT = "demo-project"
IMAGE = f"projects/{PROJECT}/global/images/vllm-v0-33-0"


def fill(vm: SimulatedVm, weights: str = MANIFEST) -> None:
    """Do the job: fill the disk, or read what it holds; report; stop."""
    if "vfs-job" not in vm.metadata:
        return  # no VM of a bake
    job = json.loads(vm.metadata["vfs-job"])
    disk = vm.disk("vfs-target")
    if "verify" not in job:
        with disk.open("r+b") as file:
            file.write((DIGEST if job["kind"] == "image" else weights).encode() + b"\n")
    with disk.open("rb") as file:
        digest = file.readline(100).decode(errors="replace").strip()
    report = {
        "nonce": job["nonce"],
        "phase": "done",
        "result": "ok",
        "digest": digest,
        "facts": found_on_disk(job),
    }
    vm.set_attribute("vfs/report", json.dumps(report))
    vm.power_off()


def fail(vm: SimulatedVm, message: str = "umount: busy") -> None:
    """Report that the job failed; stop."""
    nonce = json.loads(vm.metadata["vfs-job"])["nonce"]
    report = {"nonce": nonce, "phase": "umount", "result": "fail", "message": message}
    vm.set_attribute("vfs/report", json.dumps(report))
    vm.power_off()


@dataclass
class Bench:
    """An emulator and a client of it."""

    emulator: Emulator
    cloud: GoogleCloud
    journal: Path
    kept: list[Baked] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def bake(self, bake: Bake | None = None) -> Baked:
        """One run of the verb's core."""
        asked = bake or request()
        place = replace(asked.place, project=PROJECT, images_project=PROJECT)
        tools = Tools(
            compute=self.cloud,
            journal=self.journal,
            pack=pack,
            say=lambda _: None,
            new_id=lambda: str(uuid.UUID(int=next(self.numbers))),
            new_token=lambda: f"{next(self.numbers):06x}",
        )
        return run_bake(replace(asked, place=place), tools, self.kept.append)

    def restart(self, guest: Program) -> None:
        """Another guest from now on."""
        self.emulator.stop()
        self.emulator.guest_program = guest
        self.emulator.start()

    def made(self) -> list[str]:
        """What there is of the bake, by path."""
        return [path for path in self.emulator.inventory().paths() if "vllm-v0-33-0" in path]
