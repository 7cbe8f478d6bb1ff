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
MOST_AT_ONCE = 5
"""Operations of one cluster that run at the same time."""


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


def _under_way(world: World, target: Ref) -> dict[str, str]:
    """Operations on the cluster of ``target`` and on its pools: by name what each works on."""
    cluster = target.name.partition("/")[0]
    found = world.store.find(KIND, target.project, target.scope)
    names = {ref.name: Ref(*doc["_target"]).name for ref, doc in found.items() if _runs(doc)}
    return {name: other for name, other in names.items() if other.partition("/")[0] == cluster}


def _runs(operation: Json) -> bool:
    return bool(operation["_service"] == "container" and operation["status"] != "DONE")


def refuse_while_busy(world: World, target: Ref) -> None:
    """400 while an operation is under way that is none beside one on ``target``, a cluster or a
    pool; 429 when there are too many.

    Pools change side by side, a cluster changes alone:
    https://cloud.google.com/kubernetes-engine/docs/troubleshooting/concurrent-operations; wording
    of the quota: hashicorp/terraform-provider-google#15205.
    """
    cluster, _, pool = target.name.partition("/")
    busy = _under_way(world, target)
    for name, other in busy.items():
        if not pool or other in {cluster, target.name}:
            message = f"Cluster is running incompatible operation {name}."
            raise ApiError(400, "failedPrecondition", message, canonical="FAILED_PRECONDITION")
    if len(busy) >= MOST_AT_ONCE:
        raise ApiError(
            429,
            "rateLimitExceeded",
            f'Too many operations: cluster "{cluster}" hits the concurrent operations quota '
            f"{MOST_AT_ONCE}, please try again later.",
        )


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
