"""serviceusage: which services a project has on."""

from __future__ import annotations

from collections.abc import Iterable

from pylib.emulator import access
from pylib.emulator.errors import ApiError, Json
from pylib.emulator.routes import Route
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World

_SUFFIX = ".googleapis.com"


def _short(name: str) -> str:
    return name.removesuffix(_SUFFIX)


def _doc(world: World, project: str, short: str) -> Json:
    number = world.number(project)
    name = f"{short}{_SUFFIX}"
    return {
        "name": f"projects/{number}/services/{name}",
        "parent": f"projects/{number}",
        "config": {"name": name, "title": access.TITLES.get(short, name)},
        "state": "ENABLED" if access.enabled(world, project, short) else "DISABLED",
    }


def get(world: World, call: Call) -> Json:
    """A service, on or off."""
    return _doc(world, call.project, _short(call.params["service"]))


def list_(world: World, call: Call) -> Json:
    """Services, those that the filter ``state:ENABLED`` lets through."""
    docs = [_doc(world, call.project, short) for short in access.TITLES]
    wanted = call.query.get("filter", "").partition(":")[2]
    return {"services": [doc for doc in docs if wanted in {"", doc["state"]}]}


def enable(world: World, call: Call) -> Json:
    """Turn one service on."""
    return _turn(world, call, [call.params["service"]], enabled=True)


def disable(world: World, call: Call) -> Json:
    """Turn one service off."""
    return _turn(world, call, [call.params["service"]], enabled=False)


def batch_enable(world: World, call: Call) -> Json:
    """Turn several services on."""
    return _turn(world, call, call.body.get("serviceIds", []), enabled=True)


def _turn(world: World, call: Call, names: Iterable[str], *, enabled: bool) -> Json:
    for name in names:
        if _short(name) not in access.TITLES:
            message = f"Not found or permission denied for service(s): {name}."
            raise ApiError(403, "forbidden", message)
        world.store.put(Ref("services", call.project, "global", _short(name)), {"enabled": enabled})
    services = [_doc(world, call.project, _short(name)) for name in names]
    response = {"services": services} if len(services) != 1 else {"service": services[0]}
    return {"name": "operations/noop.DONE_OPERATION", "done": True, "response": response}


def batch_get(world: World, call: Call) -> Json:
    """Several services."""
    names = call.query.get("names", "")
    return {"services": [_doc(world, call.project, _short(names.rpartition("/")[2]))]}


def get_operation(_world: World, call: Call) -> Json:
    """An operation of this service; all of them are done at once."""
    return {"name": f"operations/{call.params['operation']}", "done": True}


_ALL = "/v1/projects/{project}/services"
_READ, _WRITE = ("serviceusage.services.get",), ("serviceusage.services.enable",)
ROUTES = (
    Route("serviceusage.services.list", "GET", _ALL, list_, permissions=_READ),
    Route("serviceusage.services.batchGet", "GET", f"{_ALL}:batchGet", batch_get),
    Route("serviceusage.services.batchEnable", "POST", f"{_ALL}:batchEnable", batch_enable),
    Route("serviceusage.services.get", "GET", f"{_ALL}/{{service}}", get, permissions=_READ),
    Route(
        "serviceusage.services.enable",
        "POST",
        f"{_ALL}/{{service}}:enable",
        enable,
        permissions=_WRITE,
    ),
    Route(
        "serviceusage.services.disable",
        "POST",
        f"{_ALL}/{{service}}:disable",
        disable,
        permissions=("serviceusage.services.disable",),
    ),
    Route("serviceusage.operations.get", "GET", "/v1/operations/{operation}", get_operation),
)
