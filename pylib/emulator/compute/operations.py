"""compute.zoneOperations, regionOperations and globalOperations."""

from __future__ import annotations

from pylib.emulator.errors import Json, not_ready
from pylib.emulator.lists import aggregated, listed, page
from pylib.emulator.naming import public
from pylib.emulator.operations import KIND
from pylib.emulator.routes import Route, Row, compute
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, Response, World

_WAIT_SECONDS = 120.0
"""``wait`` answers after two minutes at the latest, done or not:
https://cloud.google.com/compute/docs/reference/rest/v1/zoneOperations/wait."""


def _scope(call: Call) -> str:
    for kind in ("zone", "region"):
        if kind in call.params:
            return f"{kind}s/{call.params[kind]}"
    return "global"


def _ref(call: Call) -> Ref:
    return Ref(KIND, call.project, _scope(call), call.params["operation"])


def get(world: World, call: Call) -> Json:
    """An operation."""
    return public(world.need(_ref(call)))


def list_(world: World, call: Call) -> Json:
    """Operations of one place."""
    if _scope(call) == "global":
        found = world.store.find(KIND, call.project, "global").values()
        return page(world, call, found, "global", KIND, "operation")
    return listed(world, call, KIND, _scope(call), "operation")


def aggregated_list(world: World, call: Call) -> Json:
    """Operations of all places."""
    return aggregated(world, call, KIND, "operation")


def delete(world: World, call: Call) -> Response:
    """Forget an operation that is done."""
    if world.need(_ref(call))["status"] != "DONE":
        raise not_ready(_ref(call).path)
    world.store.drop(_ref(call))
    return Response(204)


def wait(world: World, call: Call) -> Json:
    """The operation when it is done, or after two minutes as it is then."""
    ref = _ref(call)
    world.need(ref)

    def done() -> bool:
        found = world.store.get(ref)
        return found is None or found["status"] == "DONE"

    world.jobs.wait(done, _WAIT_SECONDS)
    return public(world.need(ref))


def _rows(place: str, kind: str) -> tuple[Row, ...]:
    one = f"{place}/operations/{{operation}}"
    return (
        ("get", "GET", one, get, f"Get{kind}OperationRequest", "Operation", "get"),
        (
            "list",
            "GET",
            f"{place}/operations",
            list_,
            f"List{kind}OperationsRequest",
            "OperationList",
            "list",
        ),
        ("delete", "DELETE", one, delete, f"Delete{kind}OperationRequest", "", "delete"),
        ("wait", "POST", f"{one}/wait", wait, f"Wait{kind}OperationRequest", "Operation", "get"),
    )


ROUTES: tuple[Route, ...] = (
    *compute("zoneOperations", _rows("/zones/{zone}", "Zone")),
    *compute("regionOperations", _rows("/regions/{region}", "Region")),
    *compute("globalOperations", _rows("/global", "Global")),
    *compute(
        "globalOperations",
        (
            (
                "aggregatedList",
                "GET",
                "/aggregated/operations",
                aggregated_list,
                "AggregatedListGlobalOperationsRequest",
                "OperationAggregatedList",
                "list",
            ),
        ),
    ),
)
