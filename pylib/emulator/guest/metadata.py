"""One VM's metadata server.

Source: https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pylib.emulator.compute.places import metadata_of
from pylib.emulator.errors import Json
from pylib.emulator.guest import attributes
from pylib.emulator.guest.attributes import RefusedError
from pylib.emulator.naming import last
from pylib.emulator.store import Ref
from pylib.emulator.world import Response, World

_ROOT = "/computeMetadata/v1/"
_GUEST = "instance/guest-attributes/"
_FLAVOR = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}
TOKEN_SECONDS = 3599


class MetadataServer:
    """Answers the guest of one VM."""

    def __init__(self, world: World, vm: Ref) -> None:
        self._world = world
        self._vm = vm

    def handle(
        self, verb: str, target: str, headers: dict[str, str], raw: bytes
    ) -> Response | None:
        """The answer to one request; a VM that is gone does not answer."""
        doc = self._world.store.get(self._vm)
        if doc is None:
            return None
        url = urlsplit(target)
        try:
            if headers.get("metadata-flavor") != "Google" or "x-forwarded-for" in headers:
                raise RefusedError(403, "Missing Metadata-Flavor:Google header.")
            path = unquote(url.path).removeprefix(_ROOT)
            if path.startswith(_GUEST) and path != _GUEST:
                return self._guest(verb, path.removeprefix(_GUEST), doc, raw)
            if verb != "GET":
                raise RefusedError(405, "Method not allowed.")
            return _found(self._tree(doc), path, dict(parse_qsl(url.query)))
        except RefusedError as error:
            return Response(error.status, error.text.encode(), "text/html", _FLAVOR)

    def _guest(self, verb: str, path: str, doc: Json, raw: bytes) -> Response:
        world, vm = self._world, self._vm
        if verb == "PUT":
            attributes.write(world, vm, doc, path, raw)
            return _text("")
        if verb == "DELETE":
            attributes.erase(world, vm, doc, path)
            return _text("")
        return _text(attributes.read(world, vm, doc, path))

    def _tree(self, doc: Json) -> Json:
        world, vm = self._world, self._vm
        number = world.number(vm.project)
        place = f"projects/{number}/zones/{vm.scope.removeprefix('zones/')}"
        project = {"metadata": metadata_of(world, vm.project)}
        return {
            "instance": {
                "attributes": attributes.items(doc),
                "cpu-platform": doc["cpuPlatform"],
                "disks": [_disk(one) for one in doc["disks"]],
                "hostname": f"{vm.name}.{vm.scope.removeprefix('zones/')}.c.{vm.project}.internal",
                "id": doc["id"],
                "machine-type": f"projects/{number}/machineTypes/{last(doc['machineType'])}",
                "maintenance-event": "NONE",
                "name": vm.name,
                "network-interfaces": [
                    {"ip": one["networkIP"]} for one in doc["networkInterfaces"]
                ],
                "preempted": "FALSE",
                "service-accounts": _accounts(doc, vm),
                "zone": place,
            },
            "project": {
                "attributes": attributes.items(project),
                "numeric-project-id": number,
                "project-id": vm.project,
            },
        }


def _disk(one: Json) -> Json:
    return {"device-name": one["deviceName"], "index": one["index"], "mode": one["mode"]}


def _accounts(doc: Json, vm: Ref) -> Json:
    accounts: Json = {}
    for one in doc.get("serviceAccounts", []):
        token = {
            "access_token": f"emulated-token-of-{vm.name}",
            "expires_in": TOKEN_SECONDS,
            "token_type": "Bearer",
        }
        about = {"email": one["email"], "scopes": one["scopes"], "token": token}
        accounts |= {"default": about, one["email"]: about}
    return accounts


def _found(tree: Json, path: str, query: dict[str, str]) -> Response:
    here: Any = tree
    for part in path.strip("/").split("/") if path.strip("/") else []:
        here = _step(here, part, path)
    recursive = query.get("recursive", "").lower() == "true"
    if path.endswith("/token") or (recursive and query.get("alt", "json") == "json"):
        return Response(200, json.dumps(_camel(here)).encode(), "application/json", _FLAVOR)
    if isinstance(here, dict):
        names = [f"{name}/" if _inner(value) else name for name, value in here.items()]
        return _text("".join(f"{name}\n" for name in names))
    if isinstance(here, list) and all(isinstance(one, str) for one in here):
        return _text("".join(f"{one}\n" for one in here))
    if isinstance(here, list):
        return _text("".join(f"{index}/\n" for index in range(len(here))))
    return _text(str(here))


def _step(here: Any, part: str, path: str) -> Any:
    if isinstance(here, dict) and part in here:
        return here[part]
    if isinstance(here, list) and part.isdecimal() and int(part) < len(here):
        return here[int(part)]
    raise RefusedError(404, f"The requested URL {_ROOT}{path} was not found on this server.")


def _inner(value: Any) -> bool:
    return isinstance(value, dict | list)


def _camel(value: Any) -> Any:
    """Recursive answers write names in camel case, but those that users chose."""
    if isinstance(value, list):
        return [_camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        _camel_name(key): inner if key == "attributes" else _camel(inner)
        for key, inner in value.items()
    }


def _camel_name(name: str) -> str:
    if "@" in name:  # a service account
        return name
    return re.sub(r"-([a-z])", lambda found: found[1].upper(), name)


def _text(text: str) -> Response:
    return Response(200, text.encode(), "application/text", _FLAVOR)
