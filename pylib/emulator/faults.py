"""Faults on demand: what goes wrong with which call, from a JSON plan.

A plan is a list; the second disk insert loses its reply, and image inserts fail for ever:

    [{"match": "compute.disks.insert", "nth": 2, "action": "drop-after"},
     {"match": "POST .*/global/images", "times": 0, "action": "status", "status": 503}]
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pylib.emulator.errors import ApiError, Json
from pylib.errors import ConfigError, Problem

BEFORE = ("drop-before", "status", "hang", "slow", "html-body", "redirect")
"""Actions that keep the call from being served; ``slow`` only makes it late."""
AFTER = ("drop-after", "status-after", "hang-after", "cut-body", "garbage-body")
"""Actions that spoil the answer to a call that was served."""
OPERATION = ("operation-error", "operation-slow", "operation-stuck")
"""Actions on the operation that the call begins."""
EVENTS = ("preempt", "host-error")
"""What happens to the VM ``instance`` just before the call is served."""
ACTIONS = BEFORE + AFTER + OPERATION + EVENTS


@dataclass(frozen=True)
class Fault:
    """One line of a plan.

    ``match`` is the name of a method, or a pattern found in ``VERB /path``.  From the ``nth`` call
    that matches on, ``times`` calls are hit, 0 for all.  ``status``, ``reason``, ``message`` and
    ``headers`` shape an error; ``code`` is an operation's; ``seconds`` how late; ``location``
    where a redirect points; ``instance`` the VM of an event, as ``zone/name``.
    """

    match: str
    action: str
    nth: int = 1
    times: int = 1
    status: int = 503
    reason: str = "backendError"
    message: str = "Backend Error"
    code: str = "INTERNAL_ERROR"
    seconds: float = 0.0
    location: str = ""
    instance: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def error(self) -> ApiError:
        """The refusal that this fault is."""
        return ApiError(self.status, self.reason, self.message, headers=self.headers)

    def on_operation(self) -> Json:
        """What this fault does to an operation."""
        if self.action == "operation-error":
            return {"operation_error": self.code, "message": self.message}
        if self.action == "operation-slow":
            return {"operation_seconds": self.seconds}
        return {"stuck": True} if self.action == "operation-stuck" else {}


class Faults:
    """A plan under way; ``fired`` lists the actions that happened, and to which call."""

    def __init__(self, plan: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._plan: list[tuple[Fault, re.Pattern[str]]] = []
        self._seen: list[int] = []
        self.fired: list[tuple[Fault, str]] = []
        for fault in plan:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """One more, counting from now."""
        with self._lock:
            self._plan.append((fault, re.compile(fault.match)))
            self._seen.append(0)

    def clear(self) -> None:
        """No more faults."""
        with self._lock:
            self._plan.clear()
            self._seen.clear()

    def take(self, method: str, verb: str, path: str) -> list[Fault]:
        """The faults that hit this call."""
        hit: list[Fault] = []
        with self._lock:
            for index, (fault, pattern) in enumerate(self._plan):
                if method != fault.match and not pattern.search(f"{verb} {path}"):
                    continue
                self._seen[index] += 1
                late = self._seen[index] - fault.nth
                if late >= 0 and (fault.times == 0 or late < fault.times):
                    hit.append(fault)
                    self.fired.append((fault, f"{method} {path}"))
        return hit


def read_plan(file: Path) -> tuple[Fault, ...]:
    """The faults of a file.  Raises :class:`pylib.errors.ConfigError` with all its problems."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(str(file), [Problem("", f"is no plan: {error}", _FIX)]) from None
    if not isinstance(rows, list):
        raise ConfigError(str(file), [Problem("", "is no list", _FIX)])
    problems = [found for index, row in enumerate(rows) for found in _problems(index, row)]
    if problems:
        raise ConfigError(str(file), problems)
    return tuple(Fault(**row) for row in rows)


_FIX = 'Write a list such as [{"match": "compute.disks.insert", "action": "drop-after"}].'
_TYPES: dict[str, type] = {
    one.name: type(one.default) if one.type != "float" else float
    for one in fields(Fault)
    if one.name not in {"match", "action", "headers"}
} | {"match": str, "action": str, "headers": dict}


def _problems(index: int, row: Any) -> list[Problem]:
    where = f"[{index}]"
    if not isinstance(row, dict):
        return [Problem(where, f"{row!r} is no object", _FIX)]
    found = [
        Problem(f"{where}.{key}", "is not known", f"Known are: {', '.join(sorted(_TYPES))}.")
        for key in sorted(set(row) - set(_TYPES))
    ]
    missing = [key for key in ("match", "action") if key not in row]
    found += [Problem(where, f"has no {key}", f"Add {key}.") for key in missing]
    for key, value in row.items():
        kind = _TYPES.get(key)
        allowed = (int, float) if kind is float else kind
        if allowed is not None and not isinstance(value, allowed):
            found.append(Problem(f"{where}.{key}", f"{value!r} has the wrong type", _FIX))
    if row.get("action", ACTIONS[0]) not in ACTIONS:
        fix = f"Write one of: {', '.join(ACTIONS)}."
        found.append(Problem(f"{where}.action", f"{row['action']!r} is no action", fix))
    return found + _pattern_problem(where, row.get("match"))


def _pattern_problem(where: str, match: Any) -> list[Problem]:
    try:
        re.compile(match if isinstance(match, str) else "")
    except re.error as error:
        fix = "Write a regular expression, or the name of a method."
        return [Problem(f"{where}.match", f"{match!r} is no pattern: {error}", fix)]
    return []
