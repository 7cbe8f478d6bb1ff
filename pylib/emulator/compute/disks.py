"""compute.disks."""

from __future__ import annotations

from pylib.emulator import blocks as files
from pylib.emulator import quota
from pylib.emulator.access import require
from pylib.emulator.clock import pacific
from pylib.emulator.compute import disk_rules
from pylib.emulator.compute.disk_rules import ready
from pylib.emulator.compute.sources import Source, blocks, disk_source
from pylib.emulator.effects import Effect, register
from pylib.emulator.errors import (
    Json,
    already_exists,
    in_use,
    invalid,
    not_ready,
)
from pylib.emulator.lists import aggregated, listed
from pylib.emulator.naming import (
    check_labels,
    check_name,
    last,
    link,
    one_of,
    public,
    put_labels,
)
from pylib.emulator.naming import set_labels as new_labels
from pylib.emulator.operations import begin, new_id
from pylib.emulator.policy import check_location
from pylib.emulator.routes import compute
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World
from pylib.facts.disks import DISK_TYPES


def ref_of(call: Call) -> Ref:
    """The disk that a path names."""
    return Ref("disks", call.project, f"zones/{call.params['zone']}", call.params["disk"])


def get(world: World, call: Call) -> Json:
    """A disk."""
    return public(world.need(ref_of(call)))


def list_(world: World, call: Call) -> Json:
    """Disks of a zone."""
    return listed(world, call, "disks", f"zones/{call.params['zone']}", "disk")


def aggregated_list(world: World, call: Call) -> Json:
    """Disks of all zones."""
    return aggregated(world, call, "disks", "disk")


def insert(world: World, call: Call) -> Json:
    """Make a disk."""
    body = dict(call.body)
    if url := call.query.get("sourceImage"):
        body.setdefault("sourceImage", url)
    check_name(body.get("name", ""))
    ref = Ref("disks", call.project, f"zones/{call.params['zone']}", body["name"])
    if body.get("labels"):
        require(world, "compute.disks.setLabels", ref.path)
    doc, data = new_disk(world, ref, body)
    world.store.put(ref, doc)
    return begin(world, call, ref, "disk.insert", data)


def new_disk(world: World, ref: Ref, body: Json, prefix: str = "resource") -> tuple[Json, Json]:
    """Document of a disk in the making, and what its operation needs; refused as need be."""
    check_labels(body.get("labels", {}), f"{prefix}.labels")
    if world.store.get(ref) is not None:
        raise already_exists(ref.path)
    check_location(world, ref)
    kind = disk_rules.disk_type(body, ref, f"{prefix}.type")
    source = disk_source(world, ref.project, body, prefix)
    gib = disk_rules.size(body, "sizeGb", f"{prefix}.sizeGb", kind, source.gib if source else 0)
    region = ref.scope.removeprefix("zones/").rpartition("-")[0]
    short = quota.take(world, ref.project, region, quota.disk_need(kind, gib))
    doc = _document(world, ref, body, kind, gib)
    doc |= _provisioned(body, kind, prefix)
    if source is not None:
        doc |= source.fields
    if short:
        doc["_unpaid"] = True
    data = {"disk": list(ref), "source": _source_file(source), "gib": gib, **short}
    return doc, data


def _source_file(source: Source | None) -> str:
    return "" if source is None else source.file.name


def _document(world: World, ref: Ref, body: Json, kind: str, gib: int) -> Json:
    zone = f"projects/{ref.project}/{ref.scope}"
    doc: Json = {
        "kind": "compute#disk",
        "id": str(new_id(world)),
        "creationTimestamp": pacific(world.now()),
        "name": ref.name,
        "sizeGb": str(gib),
        "zone": link(zone),
        "status": "CREATING",
        "type": link(f"{zone}/diskTypes/{kind}"),
        "physicalBlockSizeBytes": body.get("physicalBlockSizeBytes", "4096"),
        "selfLink": link(ref.path),
    }
    for key in ("description", "diskEncryptionKey"):
        if key in body:
            doc[key] = body[key]
    put_labels(doc, body.get("labels", {}))
    return doc


def _provisioned(body: Json, kind: str, prefix: str) -> Json:
    """What only a Hyperdisk has."""
    found: Json = {}
    for key in ("accessMode", "provisionedIops", "provisionedThroughput"):
        if key not in body:
            continue
        if not DISK_TYPES[kind].hyperdisk:
            raise invalid(f"{prefix}.{key}", body[key], f"It cannot be specified for {kind}.")
        found[key] = body[key]
    if "accessMode" in found:
        one_of(found["accessMode"], disk_rules.ACCESS_MODES, f"{prefix}.accessMode")
    return found


def _copy_blocks(world: World, operation: Json) -> None:
    data = operation["_data"]
    quota.fail_short(data)
    target = blocks(world, world.need(Ref(*data["disk"])))
    if data["source"]:
        files.copy(world.file(data["source"]), target, data["gib"])
    else:
        files.make(target, data["gib"])


def _made(world: World, operation: Json) -> None:
    ref = Ref(*operation["_data"]["disk"])
    doc = world.need(ref)
    world.store.put(ref, {**doc, "status": "READY"})


def _not_made(world: World, operation: Json) -> None:
    remove(world, Ref(*operation["_data"]["disk"]))


def remove(world: World, ref: Ref) -> None:
    """The disk and its blocks are gone."""
    blocks(world, world.need(ref)).unlink(missing_ok=True)
    world.store.drop(ref)


def delete(world: World, call: Call) -> Json:
    """Delete a disk that no VM has attached, and no image is being cut from."""
    ref = ref_of(call)
    doc = world.need(ref)
    if doc.get("users"):
        raise in_use("disk", ref.path, doc["users"][0].partition("/v1/")[2])
    if doc["status"] != "READY":
        raise not_ready(ref.path)
    _not_copied(world, ref, doc)
    world.store.put(ref, {**doc, "status": "DELETING"})
    return begin(world, call, ref, "disk.delete", {"disk": list(ref)})


def _not_copied(world: World, ref: Ref, doc: Json) -> None:
    for kind, busy in (("images", "PENDING"), ("snapshots", "CREATING")):
        for other, made in world.store.find(kind).items():
            if made["status"] == busy and made.get("sourceDiskId") == doc["id"]:
                raise in_use("disk", ref.path, other.path)


def _kept(world: World, operation: Json) -> None:
    ref = Ref(*operation["_data"]["disk"])
    world.store.put(ref, {**world.need(ref), "status": "READY"})


def resize(world: World, call: Call) -> Json:
    """Make a disk larger; it cannot get smaller."""
    ref = ref_of(call)
    doc = ready(world.need(ref), ref)
    old, new = int(doc["sizeGb"]), int(call.body.get("sizeGb", 0))
    if new <= old:
        why = f"New disk size '{new}' must be larger than existing size '{old}'."
        raise invalid("sizeGb", new, why)
    kind = last(doc["type"])
    disk_rules.size({"sizeGb": new}, "sizeGb", "sizeGb", kind, old)
    region = ref.scope.removeprefix("zones/").rpartition("-")[0]
    short = quota.take(world, ref.project, region, quota.disk_need(kind, new - old))
    return begin(world, call, ref, "disk.resize", {"disk": list(ref), "gib": new, **short})


def _resized(world: World, operation: Json) -> None:
    data = operation["_data"]
    quota.fail_short(data)
    ref = Ref(*data["disk"])
    doc = world.need(ref)
    files.grow(blocks(world, doc), data["gib"])
    world.store.put(ref, {**doc, "sizeGb": str(data["gib"])})


def set_labels(world: World, call: Call) -> Json:
    """Replace the labels."""
    ref = ref_of(call)
    doc = world.need(ref)
    new_labels(doc, call.body)
    world.store.put(ref, doc)
    return begin(world, call, ref)


def update(world: World, call: Call) -> Json:
    """Change the access mode or the provisioned rate of a Hyperdisk."""
    ref = ref_of(call)
    doc = ready(world.need(ref), ref)
    changes = {k: v for k, v in call.body.items() if k not in {"name", "id", "selfLink"}}
    kind = last(doc["type"])
    found = _provisioned(changes, kind, "resource")
    if unknown := sorted(set(changes) - set(found)):
        raise invalid(f"resource.{unknown[0]}", changes[unknown[0]], "It cannot be updated.")
    if "accessMode" in found and doc.get("users"):
        raise in_use("disk", ref.path, doc["users"][0].partition("/v1/")[2])
    world.store.put(ref, {**doc, **found})
    return begin(world, call, ref)


register("disk.insert", Effect(done=_made, failed=_not_made, work=_copy_blocks))
register(
    "disk.delete",
    Effect(done=lambda world, op: remove(world, Ref(*op["_data"]["disk"])), failed=_kept),
)
register("disk.resize", Effect(done=_resized))

_ALL = "/zones/{zone}/disks"
_ONE = f"{_ALL}/{{disk}}"

ROUTES = compute(
    "disks",
    (
        ("insert", "POST", _ALL, insert, "InsertDiskRequest", "Operation", "create"),
        ("list", "GET", _ALL, list_, "ListDisksRequest", "DiskList", "list"),
        (
            "aggregatedList",
            "GET",
            "/aggregated/disks",
            aggregated_list,
            "AggregatedListDisksRequest",
            "DiskAggregatedList",
            "list",
        ),
        ("get", "GET", _ONE, get, "GetDiskRequest", "Disk", "get"),
        ("delete", "DELETE", _ONE, delete, "DeleteDiskRequest", "Operation", "delete"),
        ("update", "PATCH", _ONE, update, "UpdateDiskRequest", "Operation", "update"),
        ("resize", "POST", f"{_ONE}/resize", resize, "ResizeDiskRequest", "Operation", "resize"),
        (
            "setLabels",
            "POST",
            f"{_ONE}/setLabels",
            set_labels,
            "SetLabelsDiskRequest",
            "Operation",
            "setLabels",
        ),
    ),
)
