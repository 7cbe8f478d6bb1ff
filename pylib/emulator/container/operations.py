"""container.operations, and how the service begins one."""

from __future__ import annotations

import uuid

from pylib.emulator.clock import zulu
from pylib.emulator.errors import ApiError, Json
from pylib.emulator.naming import public
from pylib.emulator.operations import KIND, schedule
from pylib.emulator.routes import Route
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World

LINKS = "https://container.googleapis.com/v1/"


def scope_of(world: World, call: Call) -> str:
    """``locations/L`` for a zone or region that there is; 400 for another."""
    place = call.params["location"]
    settings = world.settings
    if place not in settings.regions and place not in settings.all_zones():
        message = f"Location {place!r} does not exist."
        raise ApiError(400, "badRequest", message)
    return f"locations/{place}"


def absent(what: str) -> ApiError:
    """404 in this service's words."""
    return ApiError(404, "notFound", f"Not found: {what}.")


def invalid_argument(message: str) -> ApiError:
    """400 in this service's words."""
    return ApiError(400, "badRequest", message)


def begin(
    world: World, call: Call, kind: str, target: Ref, effect: str, data: Json | None = None
) -> Json:
    """A new operation of this service; the answer to the call."""
    moment = int(world.now() * 1000)
    ref = Ref(KIND, target.project, target.scope, f"operation-{moment}-{uuid.uuid4()}")
    number = world.number(target.project)
    place = target.scope.removeprefix("locations/")
    operation: Json = {
        "name": ref.name,
        "zone": place,
        "location": place,
        "operationType": kind,
        "status": "PENDING",
        "startTime": zulu(world.now()),
        "selfLink": f"{LINKS}projects/{number}/{target.scope}/operations/{ref.name}",
        "targetLink": f"{LINKS}projects/{number}/{target.scope}/{_path(target)}",
        "_service": "container",
    }
    return public(schedule(world, call, ref, operation, target, effect, data))


def _path(target: Ref) -> str:
    cluster, _, pool = target.name.partition("/")
    return f"clusters/{cluster}/nodePools/{pool}" if pool else f"clusters/{cluster}"


def running(world: World, project: str, scope: str, cluster: str) -> str:
    """Name of an operation that is under way on the cluster; empty when there is none."""
    for ref, operation in world.store.find(KIND, project, scope).items():
        target = Ref(*operation["_target"]).name.partition("/")[0]
        if operation["status"] != "DONE" and target == cluster:
            return ref.name
    return ""


def refuse_while_busy(world: World, project: str, scope: str, cluster: str) -> None:
    """400 while another operation changes the cluster."""
    busy = running(world, project, scope, cluster)
    if busy:
        message = f"Cluster is running incompatible operation {busy}."
        raise ApiError(400, "failedPrecondition", message, canonical="FAILED_PRECONDITION")


def get(world: World, call: Call) -> Json:
    """An operation."""
    ref = Ref(KIND, call.project, scope_of(world, call), call.params["operation"])
    doc = world.store.get(ref)
    if doc is None:
        raise absent(f"projects/{ref.project}/{ref.scope}/operations/{ref.name}")
    return public(doc)


def list_(world: World, call: Call) -> Json:
    """Operations of a location, ``-`` for all."""
    scope = "" if call.params["location"] == "-" else scope_of(world, call)
    found = world.store.find(KIND, call.project, scope).values()
    rows = [public(doc) for doc in found if doc["_service"] == "container"]
    return {"operations": rows} if rows else {}


_ALL = "/v1/projects/{project}/locations/{location}/operations"
ROUTES = (
    Route(
        "container.operations.get",
        "GET",
        f"{_ALL}/{{operation}}",
        get,
        "GetOperationRequest",
        "Operation",
        ("container.operations.get",),
    ),
    Route(
        "container.operations.list",
        "GET",
        _ALL,
        list_,
        "ListOperationsRequest",
        "ListOperationsResponse",
        ("container.operations.list",),
    ),
)
