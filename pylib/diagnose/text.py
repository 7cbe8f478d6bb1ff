"""Causes for people: the cause on one line, the next command on the line below it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.snapshot.plain import plain

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}
_FAINT = "2"


def lines(causes: Iterable[Cause], *, colour: bool = False) -> Iterator[str]:
    """``error code Kind/name: message`` and, indented below it, the next command."""
    colour = colour and not os.environ.get("NO_COLOR")
    for cause in causes:
        severity = _painted(cause.severity.value, _COLOURS[cause.severity], on=colour)
        yield f"{severity} {cause.code} {plain(cause.object)}: {plain(cause.message, 1000)}"
        yield _painted(f"    {plain(cause.next)}", _FAINT, on=colour)


def _painted(text: str, code: str, *, on: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if on else text
