"""Guest attributes, as the guest writes them.

Source of the limits: https://cloud.google.com/compute/docs/metadata/manage-guest-attributes.
"""

from __future__ import annotations

import re

from pylib.emulator.compute.guest_reads import attribute_ref, within_rate
from pylib.emulator.compute.places import metadata_of
from pylib.emulator.errors import Json
from pylib.emulator.store import Ref
from pylib.emulator.world import World

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
_VALUE_BYTES = 256 * 1024


class RefusedError(Exception):
    """The metadata server refuses: ``status`` and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def items(doc: Json) -> dict[str, str]:
    """Metadata of a VM by key."""
    return {one["key"]: one.get("value", "") for one in doc["metadata"].get("items", [])}


def check_enabled(world: World, vm: Ref, doc: Json) -> None:
    """403 unless the VM's metadata, or else the project's, turn guest attributes on."""
    project = {"metadata": metadata_of(world, vm.project)}
    key = "enable-guest-attributes"
    if items(doc).get(key, items(project).get(key, "")).upper() != "TRUE":
        raise RefusedError(403, "Guest attributes endpoint access is disabled.")


def write(world: World, vm: Ref, doc: Json, path: str, value: bytes) -> None:
    """The guest sets ``namespace/key``."""
    check_enabled(world, vm, doc)
    namespace, _, key = path.partition("/")
    if not _NAME.fullmatch(namespace) or not _NAME.fullmatch(key):
        raise RefusedError(400, f"Invalid guest attribute: {path}")
    if len(value) > _VALUE_BYTES:
        raise RefusedError(413, f"Guest attribute value is larger than {_VALUE_BYTES} bytes.")
    if not within_rate(world, f"attributes written by {doc['id']}"):
        raise RefusedError(429, "Too many guest attribute requests.")
    with world.store.transaction():
        ref = attribute_ref(vm, doc["id"], namespace, key)
        world.store.put(ref, {"value": value.decode("utf-8", "replace")})


def read(world: World, vm: Ref, doc: Json, path: str) -> str:
    """The guest reads ``namespace/key``; 404 while it has not set it."""
    check_enabled(world, vm, doc)
    namespace, _, key = path.partition("/")
    found = world.store.get(attribute_ref(vm, doc["id"], namespace, key))
    if found is None:
        raise RefusedError(404, f"Guest attribute {path} not found.")
    return str(found["value"])


def erase(world: World, vm: Ref, doc: Json, path: str) -> None:
    """The guest takes ``namespace/key`` away."""
    check_enabled(world, vm, doc)
    namespace, _, key = path.partition("/")
    with world.store.transaction():
        world.store.drop(attribute_ref(vm, doc["id"], namespace, key))
