"""compute.instances: making and unmaking VMs, and changing what is written on them."""

from __future__ import annotations

from pylib.emulator import access, quota
from pylib.emulator import blocks as files
from pylib.emulator.clock import pacific
from pylib.emulator.compute import instance_body
from pylib.emulator.compute.attach import attachments, instance_ref, let_go
from pylib.emulator.compute.disks import remove
from pylib.emulator.compute.power import begin_stop, boot
from pylib.emulator.compute.sources import blocks
from pylib.emulator.effects import Effect, register
from pylib.emulator.errors import (
    ApiError,
    Json,
    already_exists,
    bad_request,
    fingerprint_mismatch,
    not_ready,
)
from pylib.emulator.lists import aggregated, listed
from pylib.emulator.naming import check_labels, check_name, link, public, put_labels
from pylib.emulator.naming import set_labels as new_labels
from pylib.emulator.operations import begin, new_id
from pylib.emulator.policy import check_instance
from pylib.emulator.routes import compute
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World


def get(world: World, call: Call) -> Json:
    """A VM."""
    return public(world.need(instance_ref(call)))


def list_(world: World, call: Call) -> Json:
    """VMs of a zone."""
    return listed(world, call, "instances", f"zones/{call.params['zone']}", "instance")


def aggregated_list(world: World, call: Call) -> Json:
    """VMs of all zones."""
    return aggregated(world, call, "instances", "instance")


def insert(world: World, call: Call) -> Json:
    """Make a VM, and the disks that it brings along."""
    body = call.body
    check_name(body.get("name", ""))
    vm = Ref("instances", call.project, f"zones/{call.params['zone']}", body["name"])
    check_labels(body.get("labels", {}))
    if world.store.get(vm) is not None:
        raise already_exists(vm.path)
    check_instance(world, vm, body)
    _check_permissions(world, vm, body)
    machine = instance_body.machine_type(body, vm)
    doc = instance_body.document(world, body, vm, machine)
    need = quota.machine_need(machine, address=instance_body.wants_outside(doc))
    short = quota.take(world, vm.project, instance_body.region_of(vm), need)
    world.store.put(vm, {**doc, "status": "PROVISIONING", "disks": [], "_unpaid": True})
    disks, making = attachments(world, vm, body, machine)
    doc |= {
        "kind": "compute#instance",
        "id": str(new_id(world)),
        "creationTimestamp": pacific(world.now()),
        "status": "PROVISIONING",
        "zone": link(f"projects/{vm.project}/{vm.scope}"),
        "disks": disks,
        "selfLink": link(vm.path),
    }
    if short:
        doc["_unpaid"] = True
    put_labels(doc, body.get("labels", {}))
    world.store.put(vm, doc)
    return begin(world, call, vm, "instance.insert", {"making": making, **short})


def _check_permissions(world: World, vm: Ref, body: Json) -> None:
    for key, permission in (
        ("labels", "setLabels"),
        ("metadata", "setMetadata"),
        ("tags", "setTags"),
    ):
        if body.get(key):
            access.require(world, f"compute.instances.{permission}", vm.path)


def _copy_blocks(world: World, operation: Json) -> None:
    data = operation["_data"]
    for new in data["making"]:
        quota.fail_short(new)
    quota.fail_short(data)
    for new in data["making"]:
        target = blocks(world, world.need(Ref(*new["disk"])))
        if new["source"]:
            files.copy(world.file(new["source"]), target, new["gib"])
        else:
            files.make(target, new["gib"])


def _made(world: World, operation: Json) -> None:
    for new in operation["_data"]["making"]:
        disk = Ref(*new["disk"])
        world.store.put(disk, {**world.need(disk), "status": "READY"})
    boot(world, Ref(*operation["_target"]))


def _not_made(world: World, operation: Json) -> None:
    vm = Ref(*operation["_target"])
    for one in world.need(vm)["disks"]:
        let_go(world, vm, one["source"])
    world.store.drop(vm)
    for new in operation["_data"]["making"]:
        remove(world, Ref(*new["disk"]))


def delete(world: World, call: Call) -> Json:
    """Delete a VM, and the disks that go with it."""
    vm = instance_ref(call)
    doc = world.need(vm)
    if doc["deletionProtection"]:
        message = f"Resource cannot be deleted if it's protected against deletion. '{vm.path}'"
        raise bad_request(message)
    _movable(doc, vm)
    return begin_stop(world, call, vm, "instance.delete", world.settings.shutdown_seconds)


def stop(world: World, call: Call) -> Json:
    """Stop a VM; one that is stopped stays so."""
    vm = instance_ref(call)
    doc = world.need(vm)
    if doc["status"] == "TERMINATED":
        return begin(world, call, vm)
    _movable(doc, vm)
    return begin_stop(world, call, vm, "instance.stop", world.settings.shutdown_seconds)


def start(world: World, call: Call) -> Json:
    """Start a stopped VM; one that runs stays so."""
    vm = instance_ref(call)
    doc = world.need(vm)
    if doc["status"] == "RUNNING":
        return begin(world, call, vm)
    _movable(doc, vm)
    need = quota.machine_need(instance_body.machine_of(doc))
    need.pop("INSTANCES")
    quota.take(world, vm.project, instance_body.region_of(vm), need)
    world.store.put(vm, {**doc, "status": "STAGING"})
    return begin(world, call, vm, "instance.start")


def _movable(doc: Json, vm: Ref) -> None:
    if doc["status"] not in {"RUNNING", "TERMINATED"}:
        raise not_ready(vm.path)


def set_labels(world: World, call: Call) -> Json:
    """Replace the labels."""
    vm = instance_ref(call)
    doc = world.need(vm)
    new_labels(doc, call.body)
    world.store.put(vm, doc)
    return begin(world, call, vm)


def set_metadata(world: World, call: Call) -> Json:
    """Replace the metadata."""
    vm = instance_ref(call)
    doc = world.need(vm)
    if call.body.get("fingerprint", "") != doc["metadata"]["fingerprint"]:
        raise fingerprint_mismatch(
            "Supplied fingerprint does not match current metadata fingerprint."
        )
    world.store.put(vm, {**doc, "metadata": instance_body.metadata(call.body, "metadata")})
    return begin(world, call, vm)


def set_scheduling(world: World, call: Call) -> Json:
    """Replace the scheduling; the time limit of a VM that runs cannot change."""
    vm = instance_ref(call)
    doc = world.need(vm)
    fixed = ("maxRunDuration", "instanceTerminationAction", "provisioningModel")
    if doc["status"] != "TERMINATED" and any(key in call.body for key in fixed):
        message = f"Instance '{vm.path}' must be stopped for this change of scheduling."
        raise ApiError(400, "invalid", message)
    machine = instance_body.machine_of(doc)
    found = instance_body.scheduling({"scheduling": call.body}, machine)
    world.store.put(vm, {**doc, "scheduling": found})
    return begin(world, call, vm)


register("instance.insert", Effect(done=_made, failed=_not_made, work=_copy_blocks))

_ALL = "/zones/{zone}/instances"
_ONE = f"{_ALL}/{{instance}}"

ROUTES = compute(
    "instances",
    (
        ("insert", "POST", _ALL, insert, "InsertInstanceRequest", "Operation", "create"),
        ("list", "GET", _ALL, list_, "ListInstancesRequest", "InstanceList", "list"),
        (
            "aggregatedList",
            "GET",
            "/aggregated/instances",
            aggregated_list,
            "AggregatedListInstancesRequest",
            "InstanceAggregatedList",
            "list",
        ),
        ("get", "GET", _ONE, get, "GetInstanceRequest", "Instance", "get"),
        ("delete", "DELETE", _ONE, delete, "DeleteInstanceRequest", "Operation", "delete"),
        ("stop", "POST", f"{_ONE}/stop", stop, "StopInstanceRequest", "Operation", "stop"),
        ("start", "POST", f"{_ONE}/start", start, "StartInstanceRequest", "Operation", "start"),
        (
            "setLabels",
            "POST",
            f"{_ONE}/setLabels",
            set_labels,
            "SetLabelsInstanceRequest",
            "Operation",
            "setLabels",
        ),
        (
            "setMetadata",
            "POST",
            f"{_ONE}/setMetadata",
            set_metadata,
            "SetMetadataInstanceRequest",
            "Operation",
            "setMetadata",
        ),
        (
            "setScheduling",
            "POST",
            f"{_ONE}/setScheduling",
            set_scheduling,
            "SetSchedulingInstanceRequest",
            "Operation",
            "setScheduling",
        ),
    ),
)
