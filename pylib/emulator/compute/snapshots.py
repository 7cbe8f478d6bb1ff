"""compute.snapshots, and disks.createSnapshot."""

from __future__ import annotations

from pylib.emulator import blocks as files
from pylib.emulator import quota
from pylib.emulator.clock import pacific
from pylib.emulator.compute.disk_rules import ready
from pylib.emulator.compute.sources import blocks
from pylib.emulator.effects import Effect, register
from pylib.emulator.errors import Json, already_exists, not_ready, required
from pylib.emulator.lists import listed
from pylib.emulator.naming import (
    check_labels,
    check_name,
    link,
    parse_url,
    public,
    put_labels,
)
from pylib.emulator.naming import set_labels as new_labels
from pylib.emulator.operations import begin, new_id
from pylib.emulator.routes import compute
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World


def ref_of(call: Call) -> Ref:
    """The snapshot that a path names."""
    return Ref("snapshots", call.project, "global", call.params["snapshot"])


def get(world: World, call: Call) -> Json:
    """A snapshot."""
    return public(world.need(ref_of(call)))


def list_(world: World, call: Call) -> Json:
    """Snapshots of a project."""
    return listed(world, call, "snapshots", "global", "snapshot")


def insert(world: World, call: Call) -> Json:
    """Take a snapshot of the disk that the body names."""
    url = call.body.get("sourceDisk", "")
    if not url:
        raise required("resource.sourceDisk")
    disk = parse_url(url, "disks", call.project, "resource.sourceDisk")
    snapshot = _new(world, call, disk)
    return begin(world, call, snapshot, "snapshot.insert", _data(world, snapshot, disk))


def create_snapshot(world: World, call: Call) -> Json:
    """Take a snapshot of the disk that the path names; the operation is the disk's."""
    disk = Ref("disks", call.project, f"zones/{call.params['zone']}", call.params["disk"])
    snapshot = _new(world, call, disk)
    return begin(world, call, disk, "snapshot.insert", _data(world, snapshot, disk))


def _new(world: World, call: Call, disk: Ref) -> Ref:
    body = call.body
    check_name(body.get("name", ""))
    check_labels(body.get("labels", {}))
    ref = Ref("snapshots", call.project, "global", body["name"])
    if world.store.get(ref) is not None:
        raise already_exists(ref.path)
    source = ready(world.need(disk), disk)
    doc: Json = {
        "kind": "compute#snapshot",
        "id": str(new_id(world)),
        "creationTimestamp": pacific(world.now()),
        "name": ref.name,
        "status": "CREATING",
        "sourceDisk": source["selfLink"],
        "sourceDiskId": source["id"],
        "diskSizeGb": source["sizeGb"],
        "storageLocations": body.get("storageLocations", ["us"]),
        "selfLink": link(ref.path),
    }
    if "description" in body:
        doc["description"] = body["description"]
    put_labels(doc, body.get("labels", {}))
    world.store.put(ref, doc)
    return ref


def _data(world: World, snapshot: Ref, disk: Ref) -> Json:
    source = blocks(world, world.need(disk)).name
    short = quota.take_global(world, snapshot.project, "SNAPSHOTS")
    return {"snapshot": list(snapshot), "source": source, **short}


def _copy_blocks(world: World, operation: Json) -> None:
    data = operation["_data"]
    quota.fail_short(data)
    doc = world.need(Ref(*data["snapshot"]))
    files.copy(world.file(data["source"]), blocks(world, doc), int(doc["diskSizeGb"]))


def _made(world: World, operation: Json) -> None:
    ref = Ref(*operation["_data"]["snapshot"])
    doc = world.need(ref)
    size = str(files.allocated(blocks(world, doc)))
    world.store.put(ref, {**doc, "status": "READY", "storageBytes": size})


def _gone(world: World, operation: Json) -> None:
    ref = Ref(*operation["_data"]["snapshot"])
    doc = world.need(ref)
    blocks(world, doc).unlink(missing_ok=True)
    world.store.drop(ref)


def _kept(world: World, operation: Json) -> None:
    ref = Ref(*operation["_data"]["snapshot"])
    world.store.put(ref, {**world.need(ref), "status": "READY"})


def delete(world: World, call: Call) -> Json:
    """Delete a snapshot."""
    ref = ref_of(call)
    doc = world.need(ref)
    if doc["status"] != "READY":
        raise not_ready(ref.path)
    world.store.put(ref, {**doc, "status": "DELETING"})
    return begin(world, call, ref, "snapshot.delete", {"snapshot": list(ref)})


def set_labels(world: World, call: Call) -> Json:
    """Replace the labels."""
    ref = ref_of(call)
    doc = world.need(ref)
    new_labels(doc, call.body)
    world.store.put(ref, doc)
    return begin(world, call, ref)


register("snapshot.insert", Effect(done=_made, failed=_gone, work=_copy_blocks))
register("snapshot.delete", Effect(done=_gone, failed=_kept))

_ALL = "/global/snapshots"
_ONE = f"{_ALL}/{{snapshot}}"
_DISK = "/zones/{zone}/disks/{disk}/createSnapshot"

ROUTES = compute(
    "snapshots",
    (
        ("insert", "POST", _ALL, insert, "InsertSnapshotRequest", "Operation", "create"),
        ("list", "GET", _ALL, list_, "ListSnapshotsRequest", "SnapshotList", "list"),
        ("get", "GET", _ONE, get, "GetSnapshotRequest", "Snapshot", "get"),
        ("delete", "DELETE", _ONE, delete, "DeleteSnapshotRequest", "Operation", "delete"),
        (
            "setLabels",
            "POST",
            f"{_ONE}/setLabels",
            set_labels,
            "SetLabelsSnapshotRequest",
            "Operation",
            "setLabels",
        ),
    ),
) + compute(
    "disks",
    (
        (
            "createSnapshot",
            "POST",
            _DISK,
            create_snapshot,
            "CreateSnapshotDiskRequest",
            "Operation",
            "createSnapshot",
        ),
    ),
)
