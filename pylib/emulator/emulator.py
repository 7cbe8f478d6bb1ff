"""A local stand-in for Google Cloud's REST APIs, strict enough to be believed.

All services answer behind one address; state lies in a folder and outlives clients and restarts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

from pylib.cloud.clock import Clock, SystemClock
from pylib.emulator import iam, operations, projects, services, storage
from pylib.emulator.batch import Batching
from pylib.emulator.compute import (
    attach,
    disks,
    guest_reads,
    images,
    instances,
    networks,
    places,
    power,
    snapshots,
)
from pylib.emulator.compute import operations as compute_operations
from pylib.emulator.container import cluster_changes, clusters, pools
from pylib.emulator.container import operations as container_operations
from pylib.emulator.dispatch import Dispatcher
from pylib.emulator.errors import Json
from pylib.emulator.faults import Fault, Faults
from pylib.emulator.guest.real import RealGuests, why_not
from pylib.emulator.guest.simulated import Program, SimulatedGuests, idle
from pylib.emulator.inventory import Inventory
from pylib.emulator.jobs import Jobs
from pylib.emulator.journal import Entry, Journal
from pylib.emulator.routes import Router
from pylib.emulator.server import Server
from pylib.emulator.settings import Settings
from pylib.emulator.store import Ref, Store
from pylib.emulator.world import World
from pylib.errors import ConfigError, Problem

ROUTES = (
    *disks.ROUTES,
    *images.ROUTES,
    *snapshots.ROUTES,
    *instances.ROUTES,
    *attach.ROUTES,
    *guest_reads.ROUTES,
    *networks.ROUTES,
    *places.ROUTES,
    *compute_operations.ROUTES,
    *clusters.ROUTES,
    *cluster_changes.ROUTES,
    *pools.ROUTES,
    *container_operations.ROUTES,
    *services.ROUTES,
    *projects.ROUTES,
    *storage.ROUTES,
    *iam.ROUTES,
)

Guest = Literal["auto", "real", "simulated"] | Program


class Emulator:
    """One emulated project and more, in ``folder``.

    ``guest``: ``real`` runs startup scripts, and needs root and a clock that runs by itself;
    ``simulated`` boots nothing; a function is the guest; ``auto`` is real where that is possible.
    ``simulated`` says which it became, and ``why_simulated`` why.  Raises
    :class:`pylib.errors.ConfigError` for ``real`` where it cannot be.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Settings | None = None,
        faults: Iterable[Fault] = (),
        guest: Guest = "auto",
        clock: Clock | None = None,
        port: int = 0,
    ) -> None:
        self.folder = folder.resolve()
        self.faults = Faults(faults)
        self.clock: Clock = clock or SystemClock()
        self.why_simulated = _why_simulated(guest)
        self.guest_program: Program = guest if callable(guest) else idle
        self._settings = settings or Settings()
        self._port = port
        self._running: _Running | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        failures = self.failures
        self.stop()
        if failures and kind is None:
            raise RuntimeError(f"the emulator failed: {failures[0]}")

    def start(self) -> None:
        """Serve; ready when this returns."""
        self._running = _Running(self)
        self._port = self._running.server.port

    def stop(self) -> None:
        """End guests and connections; the state stays in the folder."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    @property
    def _now(self) -> _Running:
        if self._running is None:
            raise RuntimeError("the emulator is not started")
        return self._running

    @property
    def simulated(self) -> bool:
        """Whether startup scripts do not really run."""
        return bool(self.why_simulated)

    @property
    def url(self) -> str:
        """Address of all services; it stays the same over a restart."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def world(self) -> World:
        """State and settings of the emulator while it runs."""
        return self._now.world

    @property
    def failures(self) -> list[str]:
        """Errors of the emulator itself."""
        return self._now.dispatcher.failures if self._running else []

    @property
    def settings(self) -> Settings:
        """How the emulated project is now."""
        return self._settings

    def change(self, **settings: Any) -> None:
        """Change settings while it runs: quota, permissions, policies, delays."""
        self._settings = replace(self._settings, **settings)
        if self._running is not None:
            self._running.world.settings = self._settings

    def journal(self, method: str = "") -> list[Entry]:
        """What was asked, of one method or all."""
        return self._now.journal.entries(method)

    def inventory(self) -> Inventory:
        """What there is now."""
        return Inventory(self.world.store.all())

    def add_cluster(self, name: str, location: str) -> None:
        """A GKE cluster that is there already, with Workload Identity."""
        ref = Ref("clusters", self._settings.project, f"locations/{location}", name)
        with self.world.store.transaction():
            pool = {"workloadPool": f"{ref.project}.svc.id.goog"}
            asked = {"workloadIdentityConfig": pool}
            self.world.store.put(ref, clusters.new_cluster(self.world, ref, asked))

    def preempt(self, zone: str, instance: str) -> None:
        """Take a VM back, as happens to Spot VMs."""
        power.preempt(self.world, self._vm(zone, instance))

    def fail_host(self, zone: str, instance: str) -> None:
        """Let the host of a VM fail."""
        power.host_error(self.world, self._vm(zone, instance))

    def release(self, operation: Json) -> None:
        """Let an operation that a fault holds end now."""
        scope = "global"
        for kind in ("zone", "region"):
            if kind in operation:
                scope = f"{kind}s/{operation[kind].rpartition('/')[2]}"
        ref = Ref(operations.KIND, self._settings.project, scope, operation["name"])
        with self.world.store.transaction():
            operations.release(self.world, ref)

    def _vm(self, zone: str, instance: str) -> Ref:
        return Ref("instances", self._settings.project, f"zones/{zone}", instance)

    def blocks(self, kind: str, name: str, scope: str = "global") -> Path:
        """The file with the blocks of an image, snapshot or disk."""
        ref = Ref(kind, self._settings.project, scope, name)
        return self.world.file(str(self.world.need(ref)["id"]))


def _why_simulated(guest: Guest) -> str:
    if guest == "simulated" or callable(guest):
        return "it was asked for"
    reason = why_not()
    if reason and guest == "real":
        problem = Problem("guest", f"cannot be real: {reason}", "Run as root, or simulate it.")
        raise ConfigError("emulator", [problem])
    return reason


class _Running:
    """The parts that live while the emulator serves."""

    def __init__(self, owner: Emulator) -> None:
        folder = owner.folder
        (folder / "blocks").mkdir(parents=True, exist_ok=True)
        self.store = Store(folder / "state.sqlite")
        jobs = Jobs(self.store, owner.clock)
        self.world = World(folder, self.store, owner.clock, owner.settings, jobs)
        self.guests = _guests(self.world, owner)
        self.world.guests = self.guests
        operations.register(self.world)
        power.register_timers(self.world)
        self.journal = Journal(self.store)
        self.dispatcher = Dispatcher(self.world, Router(ROUTES), owner.faults, self.journal)
        port = int(owner.url.rpartition(":")[2])
        self.server = Server(Batching(self.dispatcher), port, owner.clock.time)
        self.world.url = f"http://{self.server.address}"
        jobs.start()
        self.server.start()

    def stop(self) -> None:
        self.dispatcher.stopping.set()
        self.server.stop()
        self.world.jobs.stop()
        self.guests.close()
        self.store.close()


def _guests(world: World, owner: Emulator) -> RealGuests | SimulatedGuests:
    if not owner.simulated:
        return RealGuests(world)
    return SimulatedGuests(world, owner.guest_program)
