"""VMs that start, stop and end: by call, by the guest, by a timer, or by what befalls the host."""

from __future__ import annotations

from functools import partial

from pylib.emulator.clock import pacific
from pylib.emulator.compute.attach import let_go
from pylib.emulator.compute.disks import remove
from pylib.emulator.effects import Effect, LaterError, register
from pylib.emulator.errors import Json
from pylib.emulator.jobs import Job
from pylib.emulator.naming import parse_url
from pylib.emulator.operations import begin, finished
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World

_POLL_SECONDS = 0.1
_PREEMPTION_SECONDS = 30.0
"""https://cloud.google.com/compute/docs/instances/spot (the preemption process)."""
ATTRIBUTES = "guestAttributes"


def register_timers(world: World) -> None:
    """Say who does what is due for VMs; guests of an emulator that is gone did not survive it."""
    world.jobs.register("max-run", partial(_run_out, world))
    for vm, doc in world.store.find("instances").items():
        if doc["status"] == "RUNNING" and not world.guests.running(vm):
            world.store.put(vm, _stopped(world, doc))
            world.jobs.cancel("max-run", vm.path)


def boot(world: World, vm: Ref) -> None:
    """The VM runs, and its time limit begins."""
    doc = world.need(vm)
    doc |= {"status": "RUNNING", "lastStartTimestamp": pacific(world.now())}
    world.store.put(vm, doc)
    limit = doc["scheduling"].get("maxRunDuration")
    if limit is not None:
        due = world.now() + int(limit["seconds"])
        world.jobs.add("max-run", vm.path, due, {"vm": list(vm), "id": doc["id"]})
    world.guests.boot(vm)


def guest_ended(world: World, vm: Ref, identity: str) -> None:
    """The guest powered itself off."""
    with world.store.transaction():
        doc = world.store.get(vm)
        if doc is None or doc["id"] != identity or doc["status"] != "RUNNING":
            return
        world.jobs.cancel("max-run", vm.path)
        world.store.put(vm, _stopped(world, doc))
        message = "Instance was terminated by the guest OS."
        finished(world, "compute.instances.guestTerminate", vm, message, identity)


def _stopped(world: World, doc: Json) -> Json:
    return {**doc, "status": "TERMINATED", "lastStopTimestamp": pacific(world.now())}


def begin_stop(world: World, call: Call, vm: Ref, effect: str, seconds: float) -> Json:
    """An operation that ends the guest, within so many seconds, and then does its effect."""
    doc = world.need(vm)
    world.jobs.cancel("max-run", vm.path)
    if doc["status"] == "RUNNING":
        world.guests.shut_down(vm)
    world.store.put(vm, {**doc, "status": "STOPPING"})
    data = {"deadline": world.now() + seconds, "was": doc["status"]}
    return begin(world, call, vm, effect, data)


def _ended(world: World, operation: Json) -> Ref:
    """The VM, once its guest has ended; cut off when it took too long."""
    vm = Ref(*operation["_target"])
    if world.guests.running(vm):
        if world.now() < operation["_data"]["deadline"]:
            raise LaterError(_POLL_SECONDS)
        world.guests.cut_power(vm)
    return vm


def _stop(world: World, operation: Json) -> None:
    vm = _ended(world, operation)
    world.store.put(vm, _stopped(world, world.need(vm)))


def _delete(world: World, operation: Json) -> None:
    vm = _ended(world, operation)
    doc = world.need(vm)
    world.store.drop(vm)
    for one in doc["disks"]:
        let_go(world, vm, one["source"])
        if one["autoDelete"]:
            remove(world, parse_url(one["source"], "disks", vm.project, "source"))
    for ref in world.store.find(ATTRIBUTES, vm.project, vm.scope):
        if ref.name.startswith(f"{doc['id']}/"):
            world.store.drop(ref)


def _not_deleted(world: World, operation: Json) -> None:
    """The VM is as it was, but that its guest was told to end."""
    vm = Ref(*operation["_target"])
    doc = world.need(vm)
    if operation["_data"]["was"] == "RUNNING" and world.guests.running(vm):
        world.store.put(vm, {**doc, "status": "RUNNING"})
    else:
        world.store.put(vm, _stopped(world, doc))


def _start(world: World, operation: Json) -> None:
    boot(world, Ref(*operation["_target"]))


def _not_started(world: World, operation: Json) -> None:
    vm = Ref(*operation["_target"])
    world.store.put(vm, {**world.need(vm), "status": "TERMINATED"})


def _run_out(world: World, job: Job) -> None:
    """The time limit of a VM is over."""
    vm = Ref(*job.data["vm"])
    with world.store.transaction():
        doc = world.store.get(vm)
        if doc is None or doc["id"] != job.data["id"] or doc["status"] != "RUNNING":
            return
        seconds = world.settings.shutdown_seconds
        _by_system(world, vm, doc, "compute.instances.terminateOnMaxRunDuration", seconds)


def _by_system(world: World, vm: Ref, doc: Json, event: str, seconds: float) -> None:
    deletes = doc["scheduling"].get("instanceTerminationAction") == "DELETE"
    finished(world, event, vm, "Instance was stopped by the service.", doc["id"])
    method = "compute.instances.delete" if deletes else "compute.instances.stop"
    call = Call(method, "POST", "", {"project": vm.project}, {}, {}, b"", {})
    begin_stop(world, call, vm, "instance.delete" if deletes else "instance.stop", seconds)


def preempt(world: World, vm: Ref) -> None:
    """Compute Engine takes a Spot VM back."""
    with world.store.transaction():
        doc = world.need(vm)
        if doc["status"] == "RUNNING":
            _by_system(world, vm, doc, "compute.instances.preempted", _PREEMPTION_SECONDS)


def host_error(world: World, vm: Ref) -> None:
    """The host of the VM fails; the VM is started elsewhere if its scheduling says so."""
    with world.store.transaction():
        doc = world.need(vm)
        if doc["status"] != "RUNNING":
            return
        world.guests.cut_power(vm)
        world.jobs.cancel("max-run", vm.path)
        world.store.put(vm, _stopped(world, doc))
        message = "Instance terminated by Compute Engine due to a host error."
        finished(world, "compute.instances.hostError", vm, message, doc["id"])
        if doc["scheduling"]["automaticRestart"]:
            text = "Instance automatically restarted by Compute Engine."
            finished(world, "compute.instances.automaticRestart", vm, text, doc["id"])
            boot(world, vm)


register("instance.stop", Effect(done=_stop, failed=_not_deleted))
register("instance.delete", Effect(done=_delete, failed=_not_deleted))
register("instance.start", Effect(done=_start, failed=_not_started))
