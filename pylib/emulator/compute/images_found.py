"""Finding images: by name or family, of this project, another, or a public one."""

from __future__ import annotations

from pylib.emulator.compute.public_images import PUBLIC_PROJECTS, public_images
from pylib.emulator.errors import Json, not_found
from pylib.emulator.store import Ref
from pylib.emulator.world import World

_GONE = {"DEPRECATED", "OBSOLETE", "DELETED"}


def images_of(world: World, project: str) -> list[Json]:
    """All images of a project."""
    if project in PUBLIC_PROJECTS:
        return list(public_images(project))
    return list(world.store.find("images", project).values())


def find_image(world: World, ref: Ref) -> tuple[Ref, Json]:
    """The image that is meant, by name or as ``family/NAME``; 404 when there is none."""
    if ref.name.startswith("family/"):
        return from_family(world, ref.project, ref.name.removeprefix("family/"))
    for doc in images_of(world, ref.project):
        if ref.name in {doc["name"], doc["id"]}:
            return Ref("images", ref.project, "global", doc["name"]), doc
    raise not_found(Ref("images", ref.project, "global", ref.name).path)


def from_family(world: World, project: str, family: str) -> tuple[Ref, Json]:
    """The newest image of a family that is READY and not deprecated; 404 when there is none."""
    fits = [
        doc
        for doc in images_of(world, project)
        if doc.get("family") == family
        and doc["status"] == "READY"
        and doc.get("deprecated", {}).get("state") not in _GONE
    ]
    if not fits:
        raise not_found(f"projects/{project}/global/images/family/{family}")
    newest = max(fits, key=lambda doc: (str(doc["creationTimestamp"]), int(doc["id"])))
    return Ref("images", project, "global", newest["name"]), newest
