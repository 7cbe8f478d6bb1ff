"""Operations: PENDING, RUNNING, DONE, each when its time has come."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from pylib.emulator.clock import ManualClock, pacific, zulu
from pylib.emulator.effects import LaterError, effect
from pylib.emulator.errors import Json, OperationFailedError
from pylib.emulator.jobs import Job
from pylib.emulator.naming import link, public
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, World
from pylib.errors import VfsError

KIND = "operations"
_CALLER = "caller@example.com"


def begin(
    world: World,
    call: Call,
    target: Ref,
    effect_name: str = "",
    data: Json | None = None,
) -> Json:
    """A new Compute Engine operation on ``target``; the answer to the call."""
    what = call.method.rpartition(".")[2]
    ref = Ref(KIND, target.project, target.scope, _name(world))
    operation: Json = {
        "kind": "compute#operation",
        "id": str(new_id(world)),
        "name": ref.name,
        "operationType": what,
        "targetLink": link(target.path),
        "targetId": str(world.need(target)["id"]),
        "user": _CALLER,
        "status": "PENDING",
        "progress": 0,
        "insertTime": pacific(world.now()),
        "selfLink": link(ref.path),
        "_service": "compute",
    }
    place, _, name = target.scope.partition("/")
    if name:
        operation[place.removesuffix("s")] = link(f"projects/{target.project}/{target.scope}")
    return public(schedule(world, call, ref, operation, target, effect_name, data))


def schedule(
    world: World,
    call: Call,
    ref: Ref,
    operation: Json,
    target: Ref,
    effect_name: str,
    data: Json | None,
) -> Json:
    """Keep the operation and put its steps on the queue; a fault may spoil or hold it."""
    fault = call.fault or {}
    operation |= {"_effect": effect_name, "_target": list(target), "_data": data or {}}
    if code := fault.get("operation_error"):
        operation["_error"] = {"code": code, "message": fault.get("message", code)}
    world.store.put(ref, operation)
    pending, running = world.settings.delay(call.method)
    start = world.now() + pending
    world.jobs.add("operation-start", ref.path, start, {"ref": list(ref)})
    if fault.get("stuck"):
        operation["_stuck"] = True
        world.store.put(ref, operation)
    else:
        end = start + running + float(fault.get("operation_seconds", 0))
        world.jobs.add("operation-end", ref.path, end, {"ref": list(ref)})
    return operation


def finished(world: World, method: str, target: Ref, message: str, target_id: str) -> None:
    """Record what the service did by itself, such as ``compute.instances.preempted``."""
    ref = Ref(KIND, target.project, target.scope, f"systemevent-{_name(world)}")
    now = pacific(world.now())
    operation = {
        "kind": "compute#operation",
        "id": str(new_id(world)),
        "name": ref.name,
        "operationType": method,
        "targetLink": link(target.path),
        "targetId": target_id,
        "user": "system",
        "status": "DONE",
        "statusMessage": message,
        "progress": 100,
        "insertTime": now,
        "startTime": now,
        "endTime": now,
        "selfLink": link(ref.path),
        "zone": link(f"projects/{target.project}/{target.scope}"),
        "_service": "compute",
    }
    world.store.put(ref, operation)


def register(world: World) -> None:
    """Say who does the steps of operations, and go on with those that a restart interrupted."""
    world.jobs.register("operation-start", partial(_start, world))
    world.jobs.register("operation-end", partial(_end, world))
    queued = {str(row[0]) for row in world.store.execute("SELECT key FROM job")}
    for ref, operation in world.store.find(KIND).items():
        held = operation["status"] == "DONE" or operation.get("_stuck")
        if not held and ref.path not in queued:
            world.jobs.add("operation-end", ref.path, world.now(), {"ref": list(ref)})


def release(world: World, ref: Ref) -> None:
    """Let an operation that was held by a fault end now."""
    operation = world.need(ref)
    operation.pop("_stuck", None)
    world.store.put(ref, operation)
    world.jobs.add("operation-end", ref.path, world.now(), {"ref": list(ref)})


def _start(world: World, job: Job) -> None:
    ref = Ref(*job.data["ref"])
    with world.store.transaction():
        operation = world.need(ref)
        operation |= {"status": "RUNNING", "startTime": _stamp(world, operation)}
        world.store.put(ref, operation)


def _end(world: World, job: Job) -> None:
    ref = Ref(*job.data["ref"])
    operation = world.need(ref)
    if operation["status"] == "DONE":  # released more than once
        return
    work = effect(operation["_effect"]).work
    if work is None or operation.get("_worked"):
        _finish(world, ref, operation)
    elif isinstance(world.clock, ManualClock):
        _work(world, ref, operation)
        _finish(world, ref, operation)
    else:
        world.jobs.apart(partial(_work_apart, world, ref, operation))


def _work_apart(world: World, ref: Ref, operation: Json) -> None:
    """Copy blocks beside the queue, so that other operations go on meanwhile."""
    _work(world, ref, operation)
    with world.store.transaction():
        world.store.put(ref, operation)
        world.jobs.add("operation-end", ref.path, world.now(), {"ref": list(ref)})


def _work(world: World, ref: Ref, operation: Json) -> None:
    operation["_worked"] = True
    work = effect(operation["_effect"]).work
    if "_error" in operation or work is None:
        return
    try:
        work(world, operation)
    except OperationFailedError as error:
        operation["_error"] = {"code": error.code, "message": error.message}
    except (OSError, VfsError) as error:
        operation["_error"] = {"code": "INTERNAL_ERROR", "message": f"{ref.name}: {error}"}


def _finish(world: World, ref: Ref, operation: Json) -> None:
    acts = effect(operation["_effect"])
    try:
        if spoilt := operation.get("_error"):
            raise OperationFailedError(spoilt["code"], spoilt["message"])
        with world.store.transaction():
            acts.done(world, operation)
            _close(world, ref, operation)
    except LaterError as later:
        again = world.now() + later.seconds
        world.jobs.add("operation-end", ref.path, again, {"ref": list(ref)})
    except OperationFailedError as error:
        operation["_error"] = {"code": error.code, "message": error.message}
        with world.store.transaction():
            acts.failed(world, operation)
            _fail(operation, error)
            _close(world, ref, operation)


def _close(world: World, ref: Ref, operation: Json) -> None:
    now = _stamp(world, operation)
    operation.setdefault("startTime", now)
    operation |= {"status": "DONE", "endTime": now}
    if operation["_service"] == "compute":
        operation["progress"] = 100
    world.store.put(ref, operation)


def _fail(operation: Json, error: OperationFailedError) -> None:
    if operation["_service"] == "container":
        operation["error"] = {"code": 9, "message": error.message}
        operation["statusMessage"] = error.message
        return
    operation["error"] = {"errors": [{"code": error.code, "message": error.message}]}
    operation["httpErrorStatusCode"] = error.http_status
    operation["httpErrorMessage"] = _HTTP_TEXT.get(error.http_status, "ERROR")


_HTTP_TEXT = {
    400: "BAD REQUEST",
    403: "FORBIDDEN",
    404: "NOT FOUND",
    409: "CONFLICT",
    412: "PRECONDITION FAILED",
    500: "INTERNAL SERVER ERROR",
    503: "SERVICE UNAVAILABLE",
}


def _stamp(world: World, operation: Json) -> str:
    write: Any = pacific if operation["_service"] == "compute" else zulu
    return str(write(world.now()))


def new_id(world: World) -> int:
    """A numeric id that no other resource has had."""
    return 1_000_000_000_000_000_000 + world.store.count("id")


def _name(world: World) -> str:
    moment = int(world.now() * 1000)
    return (
        f"operation-{moment}-{secrets.token_hex(6)}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
    )
