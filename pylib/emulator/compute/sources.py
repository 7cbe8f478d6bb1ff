"""What a disk or an image is made from: an image, a snapshot or a disk, found and READY."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pylib.emulator import access
from pylib.emulator.compute.disk_rules import ready
from pylib.emulator.compute.images_found import find_image
from pylib.emulator.errors import Json, invalid
from pylib.emulator.naming import parse_url
from pylib.emulator.store import Ref
from pylib.emulator.world import World


@dataclass(frozen=True)
class Source:
    """``file`` holds the blocks; ``fields`` say in the new resource where it came from."""

    ref: Ref
    doc: Json
    gib: int
    file: Path
    fields: Json


def blocks(world: World, doc: Json) -> Path:
    """The file with the blocks of a disk, image or snapshot."""
    return world.file(str(doc["id"]))


def disk_source(world: World, project: str, body: Json, prefix: str) -> Source | None:
    """The image or snapshot that a disk is made from; ``None`` for an empty disk."""
    named = [key for key in ("sourceImage", "sourceSnapshot", "sourceDisk") if body.get(key)]
    if not named:
        return None
    if len(named) > 1:
        raise invalid(f"{prefix}.{named[1]}", body[named[1]], "Only one source may be given.")
    key = named[0]
    if key == "sourceImage":
        return image_source(world, project, body[key], f"{prefix}.{key}")
    kind = "snapshots" if key == "sourceSnapshot" else "disks"
    return _plain(world, parse_url(body[key], kind, project, f"{prefix}.{key}"), key)


def image_source(world: World, project: str, url: str, field: str) -> Source:
    """An image by URL, of the caller's project or another, or by family."""
    ref, doc = find_image(world, parse_url(url, "images", project, field))
    access.require(world, "compute.images.useReadOnly", ref.path)
    ready(doc, ref)
    fields = {"sourceImage": doc["selfLink"], "sourceImageId": doc["id"]}
    return Source(ref, doc, int(doc["diskSizeGb"]), blocks(world, doc), fields)


def _plain(world: World, ref: Ref, key: str) -> Source:
    doc = ready(world.need(ref), ref)
    permission = f"compute.{ref.kind}.useReadOnly"
    access.require(world, permission, ref.path)
    fields = {key: doc["selfLink"], f"{key}Id": doc["id"]}
    gib = int(doc.get("diskSizeGb") or doc["sizeGb"])
    return Source(ref, doc, gib, blocks(world, doc), fields)
