"""Disks on VMs: at insert, instances.attachDisk, detachDisk and setDiskAutoDelete."""

from __future__ import annotations

import re

from pylib.emulator import access
from pylib.emulator.clock import pacific
from pylib.emulator.compute.disk_rules import check_attach, ready
from pylib.emulator.compute.disks import new_disk
from pylib.emulator.compute.instance_body import machine_of
from pylib.emulator.effects import Effect, register
from pylib.emulator.errors import ApiError, Json, bad_request, in_use, invalid, required
from pylib.emulator.naming import check_name, link, one_of, parse_url
from pylib.emulator.operations import begin
from pylib.emulator.routes import compute
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World

MODES = ("READ_WRITE", "READ_ONLY")
_DEVICE = re.compile(r"[a-zA-Z0-9_-]{1,63}")
_MOST_DISKS = 128
"""https://cloud.google.com/compute/docs/disks (limits of general-purpose machines)."""


def instance_ref(call: Call) -> Ref:
    """The VM that a path names."""
    return Ref("instances", call.project, f"zones/{call.params['zone']}", call.params["instance"])


def attachments(world: World, vm: Ref, body: Json, machine: str) -> tuple[list[Json], list[Json]]:
    """A new VM's disks as it shows them, and what making the new ones of them needs.

    Existing disks are attached at once, new ones are in the making.
    """
    asked = body.get("disks", [])
    boots = [one for one in asked if one.get("boot")]
    if len(boots) != 1 or not asked[0].get("boot"):
        raise invalid("resource.disks", "", "The first disk, and no other, must be the boot disk.")
    if len(asked) > _MOST_DISKS:
        raise invalid("resource.disks", "", f"At most {_MOST_DISKS} disks can be attached.")
    shown: list[Json] = []
    making: list[Json] = []
    for index, one in enumerate(asked):
        field = f"resource.disks[{index}]"
        if "initializeParams" in one:
            making.append(_make(world, vm, one, field))
            disk = Ref(*making[-1]["disk"])
        else:
            disk = _existing(world, vm, one, field)
        taken = [other["deviceName"] for other in shown]
        shown.append(attach(world, vm, machine, disk, {**one, "index": index}, taken))
    return shown, making


def _make(world: World, vm: Ref, asked: Json, field: str) -> Json:
    given = asked["initializeParams"]
    if asked.get("source"):
        raise invalid(f"{field}.source", asked["source"], "A new disk can have no source.")
    name = given.get("diskName", vm.name)
    check_name(name, f"{field}.initializeParams.diskName")
    disk = Ref("disks", vm.project, vm.scope, name)
    access.require(world, "compute.disks.create", disk.path)
    body = {
        "type": given.get("diskType", ""),
        **{
            key: given[key]
            for key in ("sourceImage", "sourceSnapshot", "labels", "description")
            if key in given
        },
    }
    if "diskSizeGb" in given:
        body["sizeGb"] = given["diskSizeGb"]
    doc, data = new_disk(world, disk, body, f"{field}.initializeParams")
    world.store.put(disk, doc)
    return data


def _existing(world: World, vm: Ref, asked: Json, field: str) -> Ref:
    url = asked.get("source", "")
    if not url:
        raise required(f"{field}.source")
    disk = parse_url(url, "disks", vm.project, f"{field}.source")
    if disk.scope != vm.scope:
        raise invalid(f"{field}.source", url, "Disk must be in the same zone as the instance.")
    ready(world.need(disk), disk)
    return disk


def attach(world: World, vm: Ref, machine: str, disk: Ref, asked: Json, taken: list[str]) -> Json:
    """How the VM shows the disk; the disk knows its user from now on."""
    mode = one_of(asked.get("mode", "READ_WRITE"), MODES, "mode")
    read_only = mode == "READ_ONLY"
    permission = "compute.disks.useReadOnly" if read_only else "compute.disks.use"
    access.require(world, permission, disk.path)
    doc = world.need(disk)
    check_attach(world, doc, disk, machine, read_only=read_only)
    device = asked.get("deviceName") or f"persistent-disk-{asked['index']}"
    if not _DEVICE.fullmatch(device):
        raise invalid("deviceName", device, f"Must be a match of regex '{_DEVICE.pattern}'")
    if device in taken:
        raise invalid("deviceName", device, "Device name is already in use on the instance.")
    users = [*doc.get("users", []), link(vm.path)]
    attached = {"users": users, "lastAttachTimestamp": pacific(world.now())}
    world.store.put(disk, {**doc, **attached})
    return {
        "kind": "compute#attachedDisk",
        "type": "PERSISTENT",
        "mode": mode,
        "source": doc["selfLink"],
        "deviceName": device,
        "index": asked["index"],
        "boot": bool(asked.get("boot", False)),
        "autoDelete": bool(asked.get("autoDelete", False)),
        "interface": "SCSI",
        "diskSizeGb": doc["sizeGb"],
    }


def let_go(world: World, vm: Ref, url: str) -> None:
    """The disk has this VM no longer among its users."""
    disk = parse_url(url, "disks", vm.project, "source")
    doc = world.need(disk)
    users = [one for one in doc.get("users", []) if one != link(vm.path)]
    doc.pop("users", None)
    doc["lastDetachTimestamp"] = pacific(world.now())
    world.store.put(disk, {**doc, "users": users} if users else doc)


def attach_disk(world: World, call: Call) -> Json:
    """Attach an existing disk."""
    vm = instance_ref(call)
    doc = world.need(vm)
    if len(doc["disks"]) >= _MOST_DISKS:
        raise ApiError(400, "limitExceeded", f"At most {_MOST_DISKS} disks can be attached.")
    if call.body.get("boot"):
        raise invalid("boot", "true", "The instance has a boot disk already.")
    disk = _existing(world, vm, call.body, "resource")
    if any(one["source"] == link(disk.path) for one in doc["disks"]):
        raise in_use("disk", disk.path, vm.path)
    _settled(doc, vm)
    index = max(one["index"] for one in doc["disks"]) + 1
    taken = [one["deviceName"] for one in doc["disks"]]
    shown = attach(world, vm, machine_of(doc), disk, {**call.body, "index": index}, taken)
    world.store.put(vm, {**doc, "disks": [*doc["disks"], shown]})
    data = {"device": shown["deviceName"], "disk": list(disk), "mode": shown["mode"]}
    return begin(world, call, vm, "instance.attach", data)


def _settled(doc: Json, vm: Ref) -> None:
    if doc["status"] not in {"RUNNING", "TERMINATED"}:
        message = f"The resource '{vm.path}' is not ready"
        raise ApiError(400, "resourceNotReady", message)


def _attached(world: World, operation: Json) -> None:
    vm, data = Ref(*operation["_target"]), operation["_data"]
    if world.need(vm)["status"] == "RUNNING":
        read_only = data["mode"] == "READ_ONLY"
        world.guests.attach(vm, data["device"], Ref(*data["disk"]), read_only=read_only)


def _not_attached(world: World, operation: Json) -> None:
    _remove(world, Ref(*operation["_target"]), operation["_data"]["device"])


def detach_disk(world: World, call: Call) -> Json:
    """Detach the disk of a device name, which is not the name of the disk."""
    vm = instance_ref(call)
    doc = world.need(vm)
    device = call.query.get("deviceName", "")
    found = [one for one in doc["disks"] if one["deviceName"] == device]
    if not found:
        raise bad_request(f"No attached disk found with device name '{device}'")
    if found[0]["boot"] and doc["status"] != "TERMINATED":
        raise bad_request("The boot disk of a running instance cannot be detached.")
    _settled(doc, vm)
    return begin(world, call, vm, "instance.detach", {"device": device})


def _detached(world: World, operation: Json) -> None:
    vm, device = Ref(*operation["_target"]), operation["_data"]["device"]
    if world.need(vm)["status"] == "RUNNING":
        world.guests.detach(vm, device)
    _remove(world, vm, device)


def _remove(world: World, vm: Ref, device: str) -> None:
    doc = world.need(vm)
    for one in doc["disks"]:
        if one["deviceName"] == device:
            let_go(world, vm, one["source"])
    left = [one for one in doc["disks"] if one["deviceName"] != device]
    world.store.put(vm, {**doc, "disks": left})


def set_disk_auto_delete(world: World, call: Call) -> Json:
    """Say whether a disk goes with its VM."""
    vm = instance_ref(call)
    doc = world.need(vm)
    device, text = call.query.get("deviceName", ""), call.query.get("autoDelete", "")
    found = [one for one in doc["disks"] if one["deviceName"] == device]
    if not found:
        raise bad_request(f"No attached disk found with device name '{device}'")
    found[0]["autoDelete"] = one_of(text.lower(), ("true", "false"), "autoDelete") == "true"
    world.store.put(vm, doc)
    return begin(world, call, vm)


register("instance.attach", Effect(done=_attached, failed=_not_attached))
register("instance.detach", Effect(done=_detached))

_ONE = "/zones/{zone}/instances/{instance}"

ROUTES = compute(
    "instances",
    (
        (
            "attachDisk",
            "POST",
            f"{_ONE}/attachDisk",
            attach_disk,
            "AttachDiskInstanceRequest",
            "Operation",
            "attachDisk",
        ),
        (
            "detachDisk",
            "POST",
            f"{_ONE}/detachDisk",
            detach_disk,
            "DetachDiskInstanceRequest",
            "Operation",
            "detachDisk",
        ),
        (
            "setDiskAutoDelete",
            "POST",
            f"{_ONE}/setDiskAutoDelete",
            set_disk_auto_delete,
            "SetDiskAutoDeleteInstanceRequest",
            "Operation",
            "update",
        ),
    ),
)
