"""From a raw request to an answer: route, faults, checks, handler, journal."""

from __future__ import annotations

import hashlib
import json
import threading
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from pylib.emulator import access, messages
from pylib.emulator.compute.power import host_error, preempt
from pylib.emulator.compute.public_images import PUBLIC_PROJECTS
from pylib.emulator.errors import ApiError, Json, invalid
from pylib.emulator.faults import Fault, Faults
from pylib.emulator.journal import Entry, Journal
from pylib.emulator.naming import public
from pylib.emulator.operations import KIND
from pylib.emulator.routes import Route, Router
from pylib.emulator.store import Ref
from pylib.emulator.world import Call, Response, World

_COMMON = frozenset(
    {"alt", "$alt", "prettyPrint", "fields", "key", "quotaUser", "userIp", "$.xgafv", "callback"}
)
_LISTS = {"returnPartialSuccess"}
"""In Compute Engine's discovery document, and left out of google-cloud-compute 1.57."""
_CHECKED = {"compute", "container"}
_HTML = b"<!DOCTYPE html>\n<html lang=en><title>Error 502 (Server Error)!!1</title>\n"


class Dispatcher:
    """Serves requests; ``failures`` are the emulator's own errors, which no test may overlook."""

    def __init__(self, world: World, router: Router, faults: Faults, journal: Journal) -> None:
        self._world = world
        self._router = router
        self._faults = faults
        self._journal = journal
        self.stopping = threading.Event()
        self.failures: list[str] = []

    def handle(
        self, verb: str, target: str, headers: Mapping[str, str], raw: bytes
    ) -> Response | None:
        """The answer; ``None`` when the connection is to be dropped instead."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        found = self._router.find(verb, url.path)
        method = found[0].method if found else "unknown"
        call = Call(method, verb, url.path, found[1] if found else {}, query, {}, raw, headers)
        faults = self._faults.take(method, verb, url.path)
        entry = Entry(method, verb, url.path, 0, self._world.now(), query)
        entry = replace(
            entry,
            faults=tuple(fault.action for fault in faults),
            authorized="authorization" in headers,
            agent=headers.get("user-agent", ""),
        )
        answer, spoilt = self._spoilt_before(faults)
        if not spoilt:
            answer, entry = self._serve(found[0] if found else None, call, faults, entry)
            answer = self._spoilt_after(faults, answer)
        self._journal.write(replace(entry, status=answer.status if answer else 0))
        return answer

    def _serve(
        self, route: Route | None, call: Call, faults: list[Fault], entry: Entry
    ) -> tuple[Response, Entry]:
        """The answer without faults, and the journal's entry with what was understood."""
        if route is None:
            message = f"The emulator does not know {call.verb} {call.path}"
            return _refusal(ApiError(501, "notImplemented", message)), entry
        operation = {k: v for fault in faults for k, v in fault.on_operation().items()}
        self._events(faults, call)
        try:
            params = _by_id(self._world, call.params)
            body = _body(route, call)
            call = replace(call, params=params, body=body, fault=operation or None)
            entry = replace(entry, body=call.body)
            _check_place(self._world, call)
            done = self._run(route, call)
        except ApiError as error:
            return _refusal(error), entry
        except Exception:  # the client gets an answer all the same
            self.failures.append(f"{call.verb} {call.path}\n{traceback.format_exc()}")
            return _refusal(ApiError(500, "backendError", "The emulator failed")), entry
        if isinstance(done, Response):
            return done, entry
        return _json(done), replace(entry, operation=_operation_name(done))

    def _run(self, route: Route, call: Call) -> Json | Response:
        world = self._world
        _check_query(route, call)
        if "project" in call.params and call.params["project"] not in PUBLIC_PROJECTS:
            _check_project(world, route, call.project)
            access.require_service(world, call.project, route.service)
        for permission in route.permissions:
            access.require(world, permission, _resource(call.path))
        if route.apart:
            done = route.handle(world, call)
        else:
            with world.store.transaction():
                done = self._once(route, call)
        if route.answer and not isinstance(done, Response):
            complaint = messages.complain(route.service, route.answer, done)
            if complaint:
                raise TypeError(f"{route.method} answers what {route.answer} is not: {complaint}")
        return done

    def _once(self, route: Route, call: Call) -> Json | Response:
        """The first answer again when the request id is one that was used before."""
        request = call.query.get("requestId")
        if request is None or route.service != "compute":
            return route.handle(self._world, call)
        store, now = self._world.store, self._world.now()
        what = _digest(call)
        kept = now - self._world.settings.request_id_seconds
        known = store.execute(
            "SELECT what, operation FROM request WHERE id=? AND time>?", _uuid(request), kept
        )
        if not known:
            done = route.handle(self._world, call)
            if not isinstance(done, Response):
                where = json.dumps([KIND, call.project, _scope(call), done["name"]])
                store.execute(
                    "INSERT OR REPLACE INTO request VALUES (?,?,?,?)", request, now, what, where
                )
            return done
        if known[0][0] != what:
            why = "The request ID was already used by a request with other parameters."
            raise invalid("requestId", request, why)
        return public(self._world.need(Ref(*json.loads(str(known[0][1])))))

    def _events(self, faults: list[Fault], call: Call) -> None:
        for fault in faults:
            zone, _, name = fault.instance.partition("/")
            project = call.params.get("project", self._world.settings.project)
            vm = Ref("instances", project, f"zones/{zone}", name)
            if fault.action == "preempt":
                preempt(self._world, vm)
            if fault.action == "host-error":
                host_error(self._world, vm)

    def _spoilt_before(self, faults: list[Fault]) -> tuple[Response | None, bool]:
        for fault in faults:
            if fault.action == "slow":
                self.stopping.wait(fault.seconds)
            if fault.action == "hang":
                self._hang(fault)
            if fault.action in {"drop-before", "hang"}:
                return None, True
            if fault.action == "status":
                return _refusal(fault.error()), True
            if fault.action == "html-body":
                return Response(fault.status, _HTML, "text/html; charset=UTF-8"), True
            if fault.action == "redirect":
                return Response(307, b"", headers={"Location": fault.location}), True
        return None, False

    def _spoilt_after(self, faults: list[Fault], answer: Response) -> Response | None:
        for fault in faults:
            if fault.action == "hang-after":
                self._hang(fault)
            if fault.action in {"drop-after", "hang-after"}:
                return None
            if fault.action == "status-after":
                return _refusal(fault.error())
            if fault.action == "cut-body":
                return replace(answer, body=answer.body[: len(answer.body) // 2])
            if fault.action == "garbage-body":
                return replace(answer, body=b"\x00\xff garbage")
        return answer

    def _hang(self, fault: Fault) -> None:
        """Say nothing for so long, or until the emulator stops."""
        self.stopping.wait(fault.seconds or None)


def _body(route: Route, call: Call) -> Json:
    """The parsed body; Google's types say what may be in it."""
    if route.request and route.service == "compute":
        kind = messages.body_type("compute", route.request)
        return messages.parse("compute", kind, call.raw) if kind else _empty(call.raw)
    if route.request:
        return messages.parse(route.service, route.request, call.raw)
    if route.media or not call.headers.get("content-type", "").startswith("application/json"):
        return {}
    try:
        doc = json.loads(call.raw or b"{}")
    except ValueError as error:
        raise ApiError(400, "parseError", f"Invalid JSON payload received. {error}") from None
    if not isinstance(doc, dict):
        raise ApiError(400, "parseError", "Invalid JSON payload received. Expected an object.")
    return doc


def _empty(raw: bytes) -> Json:
    if raw.strip() not in {b"", b"{}", b"null"}:
        raise ApiError(400, "badRequest", "Request has a body, but this method takes none.")
    return {}


def _check_query(route: Route, call: Call) -> None:
    if not route.request or route.service not in _CHECKED:
        return
    known = messages.query_names(route.service, route.request) | _COMMON
    if route.method.endswith((".list", ".aggregatedList")):
        known |= _LISTS
    for name in call.query:
        if name not in known:
            raise ApiError(
                400,
                "badRequest",
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query '
                f"parameter. Field '{name}' could not be found in request message.",
            )


def _by_id(world: World, params: Mapping[str, str]) -> Mapping[str, str]:
    """What the path names; a project's number stands for its id."""
    ids = {number: project for project, number in world.settings.numbers().items()}
    project = params.get("project", "")
    return {**params, "project": ids[project]} if project in ids else params


def _check_project(world: World, route: Route, project: str) -> None:
    """Compute Engine says that there is no such project; the others do not tell strangers."""
    if route.service == "compute":
        world.number(project)
    elif project not in world.settings.numbers():
        message = f"Permission denied on resource project {project}."
        raise ApiError(403, "forbidden", message)


def _check_place(world: World, call: Call) -> None:
    zone, region = call.params.get("zone"), call.params.get("region")
    if zone is not None and zone not in world.settings.all_zones():
        raise invalid("zone", zone, "Unknown zone.")
    if region is not None and region not in world.settings.regions:
        raise invalid("region", region, "Unknown region.")


def _scope(call: Call) -> str:
    for kind in ("zone", "region"):
        if kind in call.params:
            return f"{kind}s/{call.params[kind]}"
    return "global"


def _uuid(text: str) -> str:
    try:
        value = uuid.UUID(text)
    except ValueError:
        raise invalid("requestId", text, "Must be a UUID.") from None
    if value.int == 0:
        raise invalid("requestId", text, "The zero UUID is not supported.")
    return text


def _digest(call: Call) -> str:
    query = {key: value for key, value in call.query.items() if key not in {"requestId", *_COMMON}}
    what = json.dumps([call.verb, call.path, query, call.body], sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()


def _resource(path: str) -> str:
    return path.removeprefix("/compute/v1/").removeprefix("/v1/").removeprefix("/v3/").lstrip("/")


def _operation_name(done: Json) -> str:
    return str(done.get("name", "")) if "operationType" in done else ""


def _json(doc: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, json.dumps(doc, indent=1).encode(), headers=headers or {})


def _refusal(error: ApiError) -> Response:
    return _json(error.body(), error.status, error.headers)
