"""compute.images."""

from __future__ import annotations

from pylib.emulator import access, quota
from pylib.emulator import blocks as files
from pylib.emulator.clock import pacific
from pylib.emulator.compute.disk_rules import ready, users
from pylib.emulator.compute.images_found import find_image, from_family, images_of
from pylib.emulator.compute.sources import Source, blocks, disk_source
from pylib.emulator.effects import Effect, register
from pylib.emulator.errors import (
    Json,
    OperationFailedError,
    already_exists,
    in_use,
    invalid,
    not_ready,
    required,
)
from pylib.emulator.lists import page
from pylib.emulator.naming import check_labels, check_name, link, one_of, public, put_labels
from pylib.emulator.naming import set_labels as new_labels
from pylib.emulator.operations import begin, new_id
from pylib.emulator.routes import compute
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World

_OFF = {"TERMINATED", "SUSPENDED"}
_HOUR = 3600.0


def ref_of(call: Call) -> Ref:
    """The image that a path names."""
    return Ref("images", call.project, "global", call.params["image"])


def get(world: World, call: Call) -> Json:
    """An image, by name or id."""
    return public(find_image(world, ref_of(call))[1])


def list_(world: World, call: Call) -> Json:
    """Images of a project."""
    return page(world, call, images_of(world, call.project), "global", "images", "image")


def get_from_family(world: World, call: Call) -> Json:
    """The newest image of a family."""
    return public(from_family(world, call.project, call.params["family"])[1])


def insert(world: World, call: Call) -> Json:
    """Cut an image from a disk, or copy one."""
    body = call.body
    check_name(body.get("name", ""))
    check_labels(body.get("labels", {}))
    if family := body.get("family"):
        check_name(family, "resource.family")
    ref = Ref("images", call.project, "global", body["name"])
    if world.store.get(ref) is not None:
        raise already_exists(ref.path)
    if body.get("labels"):
        access.require(world, "compute.images.setLabels", ref.path)
    source = disk_source(world, call.project, body, "resource")
    if source is None:
        raise required("resource.sourceDisk")
    if source.ref.kind == "disks" and not call.flag("forceCreate"):
        _check_at_rest(world, source)
    gib = max(source.gib, int(body.get("diskSizeGb", 0)))
    short = quota.take_global(world, call.project, "IMAGES")
    world.store.put(ref, _document(world, ref, body, source, gib))
    data = {"image": list(ref), "source": source.file.name, "gib": gib, **short}
    if source.ref.kind == "disks" and _too_often(world, source):
        data["_often"] = source.ref.path
    return begin(world, call, ref, "image.insert", data)


def _check_at_rest(world: World, source: Source) -> None:
    """Refuse to image a disk that a VM may be writing to."""
    for vm, how in users(world, source.doc):
        if how["mode"] == "READ_WRITE" and world.need(vm)["status"] not in _OFF:
            raise in_use("disk", source.ref.path, vm.path)


def _too_often(world: World, source: Source) -> bool:
    """Whether the disk was imaged as often in the last hour as may be."""
    key = f"image of {source.doc['id']}"
    since = world.now() - _HOUR
    if world.store.noted(key, since) >= world.settings.images_per_hour:
        return True
    world.store.note(key, world.now())
    return False


def _document(world: World, ref: Ref, body: Json, source: Source, gib: int) -> Json:
    doc: Json = {
        "kind": "compute#image",
        "id": str(new_id(world)),
        "creationTimestamp": pacific(world.now()),
        "name": ref.name,
        "sourceType": "RAW",
        "rawDisk": {"source": "", "containerType": "TAR"},
        "status": "PENDING",
        "archiveSizeBytes": "0",
        "diskSizeGb": str(gib),
        "architecture": body.get("architecture", "X86_64"),
        "storageLocations": body.get("storageLocations", ["us"]),
        "selfLink": link(ref.path),
        **source.fields,
    }
    for key in ("description", "family", "licenses", "guestOsFeatures", "imageEncryptionKey"):
        if key in body:
            doc[key] = body[key]
    put_labels(doc, body.get("labels", {}))
    return doc


def _copy_blocks(world: World, operation: Json) -> None:
    data = operation["_data"]
    quota.fail_short(data)
    if often := data.get("_often"):
        raise OperationFailedError(
            "RESOURCE_OPERATION_RATE_EXCEEDED",
            f"Operation rate exceeded for resource '{often}'. Too frequent operations from the "
            "source resource.",
        )
    target = blocks(world, world.need(Ref(*data["image"])))
    files.copy(world.file(data["source"]), target, data["gib"])


def _made(world: World, operation: Json) -> None:
    ref = Ref(*operation["_data"]["image"])
    doc = world.need(ref)
    size = str(files.allocated(blocks(world, doc)))
    world.store.put(ref, {**doc, "status": "READY", "archiveSizeBytes": size})


def _not_made(world: World, operation: Json) -> None:
    ref = Ref(*operation["_data"]["image"])
    doc = world.need(ref)
    blocks(world, doc).unlink(missing_ok=True)
    world.store.put(ref, {**doc, "status": "FAILED"})


def delete(world: World, call: Call) -> Json:
    """Delete an image."""
    ref = ref_of(call)
    doc = world.need(ref)
    if doc["status"] not in {"READY", "FAILED"}:
        raise not_ready(ref.path)
    world.store.put(ref, {**doc, "status": "DELETING", "_was": doc["status"]})
    return begin(world, call, ref, "image.delete", {"image": list(ref)})


def _deleted(world: World, operation: Json) -> None:
    ref = Ref(*operation["_data"]["image"])
    doc = world.need(ref)
    blocks(world, doc).unlink(missing_ok=True)
    world.store.drop(ref)


def _kept(world: World, operation: Json) -> None:
    ref = Ref(*operation["_data"]["image"])
    doc = world.need(ref)
    world.store.put(ref, {**doc, "status": doc.pop("_was")})


def deprecate(world: World, call: Call) -> Json:
    """Mark an image as deprecated, obsolete or deleted; an empty body takes the mark off."""
    ref = ref_of(call)
    doc = world.need(ref)
    doc.pop("deprecated", None)
    if state := call.body.get("state"):
        states = ("ACTIVE", "DELETED", "DEPRECATED", "OBSOLETE")
        one_of(state, states, "state")
        doc["deprecated"] = dict(call.body)
    world.store.put(ref, doc)
    return begin(world, call, ref)


def patch(world: World, call: Call) -> Json:
    """Change description, family or deprecation."""
    ref = ref_of(call)
    doc = ready(world.need(ref), ref)
    for key, value in call.body.items():
        if key not in {"description", "family", "deprecated", "name"}:
            raise invalid(f"resource.{key}", value, "It cannot be updated.")
    if family := call.body.get("family"):
        check_name(family, "resource.family")
    changes = {k: v for k, v in call.body.items() if k != "name"}
    world.store.put(ref, {**doc, **changes})
    return begin(world, call, ref)


def set_labels(world: World, call: Call) -> Json:
    """Replace the labels."""
    ref = ref_of(call)
    doc = world.need(ref)
    new_labels(doc, call.body)
    world.store.put(ref, doc)
    return begin(world, call, ref)


register("image.insert", Effect(done=_made, failed=_not_made, work=_copy_blocks))
register("image.delete", Effect(done=_deleted, failed=_kept))

_ALL = "/global/images"
_ONE = f"{_ALL}/{{image}}"
_FAMILY = f"{_ALL}/family/{{family}}"

ROUTES = compute(
    "images",
    (
        ("insert", "POST", _ALL, insert, "InsertImageRequest", "Operation", "create"),
        ("list", "GET", _ALL, list_, "ListImagesRequest", "ImageList", "list"),
        (
            "getFromFamily",
            "GET",
            _FAMILY,
            get_from_family,
            "GetFromFamilyImageRequest",
            "Image",
            "getFromFamily",
        ),
        ("get", "GET", _ONE, get, "GetImageRequest", "Image", "get"),
        ("delete", "DELETE", _ONE, delete, "DeleteImageRequest", "Operation", "delete"),
        ("patch", "PATCH", _ONE, patch, "PatchImageRequest", "Operation", "update"),
        (
            "deprecate",
            "POST",
            f"{_ONE}/deprecate",
            deprecate,
            "DeprecateImageRequest",
            "Operation",
            "deprecate",
        ),
        (
            "setLabels",
            "POST",
            f"{_ONE}/setLabels",
            set_labels,
            "SetLabelsImageRequest",
            "Operation",
            "setLabels",
        ),
    ),
)
