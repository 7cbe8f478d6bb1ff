"""Answers to ``list`` and ``aggregatedList``: filter, order, pages, and places out of reach."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from pylib.emulator.errors import ApiError, Json, invalid
from pylib.emulator.filters import compile_filter
from pylib.emulator.naming import last, link, public
from pylib.emulator.world import Call, World

MOST = 500


def listed(world: World, call: Call, kind: str, scope: str, item: str) -> Json:
    """One page of a collection in one place; ``item`` as in ``compute#diskList``."""
    _reachable(world, call, scope)
    found = world.store.find(kind, call.project, scope)
    return page(world, call, found.values(), scope, kind, item)


def page(world: World, call: Call, docs: Iterable[Json], scope: str, kind: str, item: str) -> Json:
    """One page of ``docs``, those that the filter passes, in the order that is asked for."""
    keep = compile_filter(call.query.get("filter", ""))
    ordered = _order(call, [public(doc) for doc in docs if keep(doc)])
    rows, token = cut(world, call, ordered, _size(call))
    path = f"projects/{call.project}/{scope}/{kind}" if scope else f"projects/{call.project}/{kind}"
    answer: Json = {"kind": f"compute#{item}List", "id": path, "selfLink": link(path)}
    if rows:
        answer["items"] = rows
    if token:
        answer["nextPageToken"] = token
    return answer


def aggregated(world: World, call: Call, kind: str, item: str) -> Json:
    """One page of a collection over all places."""
    keep = compile_filter(call.query.get("filter", ""))
    found = world.store.find(kind, call.project)
    lost = _lost(world, call)
    kept = [
        {**public(doc), "_scope": ref.scope}
        for ref, doc in found.items()
        if keep(doc) and last(ref.scope) not in lost
    ]
    rows, token = cut(world, call, kept, _size(call))
    answer: Json = {
        "kind": f"compute#{item}AggregatedList",
        "id": f"projects/{call.project}/aggregated/{kind}",
        "selfLink": link(f"projects/{call.project}/aggregated/{kind}"),
        "items": _scopes(world, rows, lost, kind),
    }
    if lost:
        answer["unreachables"] = [f"projects/{call.project}/zones/{zone}" for zone in lost]
    if token:
        answer["nextPageToken"] = token
    return answer


def _scopes(world: World, rows: list[Json], lost: list[str], kind: str) -> Json:
    scopes: Json = {}
    for zone in world.settings.all_zones():
        scope = f"zones/{zone}"
        here = [public(row) for row in rows if row["_scope"] == scope]
        if zone in lost:
            scopes[scope] = _warning("UNREACHABLE", f"The scope '{scope}' is not reachable.", scope)
        elif here:
            scopes[scope] = {kind: here}
        else:
            text = f"There are no results for scope '{scope}' on this page."
            scopes[scope] = _warning("NO_RESULTS_ON_PAGE", text, scope)
    return scopes


def _warning(code: str, message: str, scope: str) -> Json:
    data = [{"key": "scope", "value": scope}]
    return {"warning": {"code": code, "message": message, "data": data}}


def _lost(world: World, call: Call) -> list[str]:
    lost = sorted(world.settings.unreachable)
    if lost and not call.flag("returnPartialSuccess"):
        raise ApiError(503, "backendError", f"The zone '{lost[0]}' is not reachable.")
    return lost


def _reachable(world: World, call: Call, scope: str) -> None:
    if last(scope) in world.settings.unreachable and not call.flag("returnPartialSuccess"):
        raise ApiError(503, "backendError", f"The zone '{last(scope)}' is not reachable.")


def _order(call: Call, docs: list[Json]) -> list[Json]:
    wanted = call.query.get("orderBy", "")
    if wanted == "creationTimestamp desc":
        return sorted(docs, key=lambda doc: str(doc["creationTimestamp"]), reverse=True)
    if wanted not in {"", "name"}:
        raise invalid("orderBy", wanted, "Only 'name' and 'creationTimestamp desc' are supported.")
    return docs


def cut(world: World, call: Call, rows: list[Json], most: int) -> tuple[list[Json], str]:
    """The rows of this page, at most so many, and the token of the next."""
    start = _offset(call)
    end = start + min(most, world.settings.page_size)
    return rows[start:end], _token(end) if end < len(rows) else ""


def _size(call: Call) -> int:
    text = call.query.get("maxResults", str(MOST))
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        why = f"Value must be between 1 and {MOST}"
        raise invalid("maxResults", text, why)
    return int(text)


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"page:{offset}".encode()).decode()


def _offset(call: Call) -> int:
    token = call.query.get("pageToken", "")
    if not token:
        return 0
    try:
        text = base64.urlsafe_b64decode(token).decode()
    except ValueError:
        text = ""
    found = re.fullmatch(r"page:(\d+)", text)
    if found is None:
        raise invalid("pageToken", token, "The page token is invalid.")
    return int(found[1])
