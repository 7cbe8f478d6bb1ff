"""What comes out of a VM: instances.getSerialPortOutput and getGuestAttributes.

Sources: https://cloud.google.com/compute/docs/troubleshooting/viewing-serial-port-output (the
buffer of 1 MB) and https://cloud.google.com/compute/docs/metadata/manage-guest-attributes.
"""

from __future__ import annotations

from pathlib import Path

from pylib.emulator import access
from pylib.emulator.compute.attach import instance_ref
from pylib.emulator.compute.power import ATTRIBUTES
from pylib.emulator.errors import ApiError, Json, bad_request, required
from pylib.emulator.naming import link
from pylib.emulator.routes import Route
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World

SERIAL_BYTES = 1 << 20
_MINUTE = 60.0


def serial_file(world: World, identity: str) -> Path:
    """Where all that the VM ever wrote to port 1 is kept."""
    return world.folder / "vms" / identity / "serial"


def get_serial_port_output(world: World, call: Call) -> Json:
    """Output from byte ``start`` on: what the buffer still has of it."""
    vm = instance_ref(call)
    doc = world.need(vm)
    port, start = _number(call, "port", 1), _number(call, "start", 0)
    if not 1 <= port <= 4:
        raise bad_request(f"Invalid value for field 'port': '{port}'. Must be from 1 to 4.")
    file = serial_file(world, doc["id"])
    size = file.stat().st_size if port == 1 and file.exists() else 0
    first = max(0, size - SERIAL_BYTES)
    begin = max(first, min(size, start if start >= 0 else size + start))
    contents = b""
    if size:
        with file.open("rb") as opened:
            opened.seek(begin)
            contents = opened.read(size - begin)
    return {
        "kind": "compute#serialPortOutput",
        "contents": contents.decode("utf-8", "replace"),
        "start": str(begin),
        "next": str(size),
        "selfLink": link(f"{vm.path}/serialPort"),
    }


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not text.removeprefix("-").isdecimal():
        raise bad_request(f"Invalid value for field '{name}': '{text}'. Must be a number.")
    return int(text)


def attribute_ref(vm: Ref, identity: str, namespace: str, key: str) -> Ref:
    """Where one guest attribute of a VM is kept."""
    return Ref(ATTRIBUTES, vm.project, vm.scope, f"{identity}/{namespace}/{key}")


def within_rate(world: World, key: str) -> bool:
    """Whether one more query of guest attributes fits into this minute; it is counted."""
    with world.store.transaction():
        now = world.now()
        used = world.store.noted(key, now - _MINUTE)
        if used >= world.settings.guest_attributes_per_minute:
            return False
        world.store.note(key, now)
        return True


def get_guest_attributes(world: World, call: Call) -> Json:
    """Attributes at ``namespace/`` or ``namespace/key``; 404 while there are none."""
    vm = instance_ref(call)
    access.require(world, "compute.instances.getGuestAttributes", vm.path)
    doc = world.need(vm)
    path = call.query.get("queryPath") or call.query.get("variableKey", "")
    if not path:
        raise required("queryPath")
    if not within_rate(world, f"attributes of {doc['id']}"):
        limit = world.settings.guest_attributes_per_minute
        message = f"Guest attributes of '{vm.path}': more than {limit} queries per minute"
        raise ApiError(403, "rateLimitExceeded", message)
    start = f"{doc['id']}/{path}"
    items = [
        {"namespace": name.split("/")[1], "key": name.split("/", 2)[2], "value": found["value"]}
        for ref, found in world.store.find(ATTRIBUTES, vm.project, vm.scope).items()
        for name in (ref.name,)
        if name == start or (name.startswith(start) and path.endswith("/"))
    ]
    if not items:
        message = f"The resource '{path}' of type 'Guest Attribute' was not found."
        raise ApiError(404, "notFound", message)
    return {
        "kind": "compute#guestAttributes",
        "queryPath": path,
        "queryValue": {"items": items},
        "selfLink": link(f"{vm.path}/getGuestAttributes"),
    }


_ONE = "/compute/v1/projects/{project}/zones/{zone}/instances/{instance}"
ROUTES = (
    Route(
        "compute.instances.getSerialPortOutput",
        "GET",
        f"{_ONE}/serialPort",
        get_serial_port_output,
        "GetSerialPortOutputInstanceRequest",
        "SerialPortOutput",
        ("compute.instances.getSerialPortOutput",),
    ),
    Route(
        "compute.instances.getGuestAttributes",
        "GET",
        f"{_ONE}/getGuestAttributes",
        get_guest_attributes,
        "GetGuestAttributesInstanceRequest",
        "GuestAttributes",
        ("compute.instances.getGuestAttributes",),
        apart=True,  # a query that finds nothing counts as well
    ),
)
