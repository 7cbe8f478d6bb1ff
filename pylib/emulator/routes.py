"""Which request goes where."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from pylib.emulator.errors import Json
from pylib.emulator.world import Call, Response, World

Handler = Callable[[World, Call], Json | Response]


@dataclass(frozen=True)
class Route:
    """One method of one service.

    ``request`` and ``answer`` name Google's message types, for services that are checked by them.
    ``apart``: the handler opens its own transactions, since it waits.  ``media``: the body is
    content, whatever its type.
    """

    method: str
    verb: str
    path: str
    handle: Handler
    request: str = ""
    answer: str = ""
    permissions: tuple[str, ...] = ()
    apart: bool = False
    media: bool = False

    @property
    def service(self) -> str:
        """First part of the method's name."""
        return self.method.partition(".")[0]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The path as a pattern."""
        return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/:]+)", re.escape(self.path)))


Row = tuple[str, str, str, Handler, str, str, str]
"""Method, verb, path, handler, request type, answer type and permission, without prefixes."""


def compute(collection: str, rows: Iterable[Row]) -> tuple[Route, ...]:
    """Routes of one collection of Compute Engine; a row's permission may be empty."""
    return tuple(
        Route(
            f"compute.{collection}.{name}",
            verb,
            f"/compute/v1/projects/{{project}}{path}",
            handle,
            request,
            answer,
            (f"compute.{collection}.{permission}",) if permission else (),
            apart=name == "wait",
        )
        for name, verb, path, handle, request, answer, permission in rows
    )


class Router:
    """All routes, by verb and path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_verb: dict[str, list[Route]] = {}
        for route in routes:
            self._by_verb.setdefault(route.verb, []).append(route)

    def find(self, verb: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a request and what its path names; ``None`` when there is none."""
        for route in self._by_verb.get(verb, ()):
            found = route.pattern.fullmatch(path)
            if found is not None:
                return route, {key: unquote(value) for key, value in found.groupdict().items()}
        return None
