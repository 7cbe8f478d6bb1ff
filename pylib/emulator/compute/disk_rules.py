"""Rules on disks: sizes, types, and who may attach them.

Sources: https://cloud.google.com/compute/docs/disks/sharing-disks-between-vms and the tables of
:mod:`pylib.facts.disks`.
"""

from __future__ import annotations

from pylib.emulator.catalog import DEFAULT_GIB, fits
from pylib.emulator.errors import ApiError, Json, in_use, invalid, not_found, not_ready
from pylib.emulator.naming import last, parse_url, whole
from pylib.emulator.store import Ref
from pylib.emulator.world import World
from pylib.facts.disks import DISK_TYPES

ACCESS_MODES = ("READ_WRITE_SINGLE", "READ_ONLY_MANY", "READ_WRITE_MANY")


def disk_type(body: Json, ref: Ref, field: str) -> str:
    """Name of the disk's type, from a URL of the disk's zone."""
    url = body.get(field.rpartition(".")[2])
    if not url:
        return "pd-standard"
    found = parse_url(url, "diskTypes", ref.project, field)
    if found.scope != ref.scope:
        raise invalid(field, url, "Disk type must be in the same zone as the disk.")
    if found.name not in DISK_TYPES:
        raise not_found(found.path)
    return found.name


def size(body: Json, key: str, field: str, kind: str, least: int) -> int:
    """Size in GiB; ``least`` is that of the image or snapshot that it is made from."""
    gib = whole(body, key, field, least or DEFAULT_GIB.get(kind, 100))
    if gib < least:
        why = f"Requested disk size cannot be smaller than the image size ({least} GB)"
        raise invalid(field, gib, why)
    limits = DISK_TYPES[kind]
    if not limits.min_gib <= gib <= limits.max_gib:
        why = f"Disk size of {kind} must be between {limits.min_gib} and {limits.max_gib} GB"
        raise invalid(field, gib, why)
    return gib


def ready(doc: Json, ref: Ref) -> Json:
    """The document, if its resource is READY."""
    if doc["status"] != "READY":
        raise not_ready(ref.path)
    return doc


def users(world: World, disk: Json) -> list[tuple[Ref, Json]]:
    """VMs that the disk is attached to, each with how."""
    found: list[tuple[Ref, Json]] = []
    for url in disk.get("users", []):
        ref = parse_url(url, "instances", "", "users")
        vm = world.need(ref)
        found += [(ref, one) for one in vm["disks"] if one["source"] == disk["selfLink"]]
    return found


def check_attach(world: World, disk: Json, ref: Ref, machine: str, *, read_only: bool) -> None:
    """Refuse what a VM of this machine type may not attach, or not so."""
    kind = last(disk["type"])
    if not fits(machine, kind):
        message = f"[{kind}, {machine}] features are not compatible for creating instance."
        raise ApiError(400, "invalid", message)
    held = users(world, disk)
    writers = [vm for vm, how in held if how["mode"] == "READ_WRITE"]
    if writers or (held and not read_only):
        raise in_use("disk", ref.path, held[0][0].path)
    mode = disk.get("accessMode", "READ_WRITE_SINGLE")
    if mode == "READ_ONLY_MANY" and not read_only:
        raise invalid("mode", "READ_WRITE", f"The access mode of '{ref.path}' is READ_ONLY_MANY.")
    _check_readers(kind, mode, ref, len(held))


def _check_readers(kind: str, mode: str, ref: Ref, readers: int) -> None:
    about = DISK_TYPES[kind]
    limit = about.readers.count
    if about.hyperdisk and mode == "READ_WRITE_SINGLE":
        limit = 1
    if limit is not None and readers + 1 > limit:
        raise ApiError(
            400,
            "limitExceeded",
            f"The disk '{ref.path}' is attached to {readers} instances; the maximum is {limit}.",
        )
