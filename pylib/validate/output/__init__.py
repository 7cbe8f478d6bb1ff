"""A report as text for people, JSON for programs, SARIF for code hosts, JUnit XML for CI.

Each form loads when it is asked for: reading XML's library alone takes as long as a check.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pylib.validate.report import Report

__all__ = ["RENDERERS", "Renderer"]


class Renderer(Protocol):
    """Turns a report into a whole output, newline included; ``colour`` is for terminals."""

    def __call__(self, report: Report, *, colour: bool = False) -> str: ...


def _text(report: Report, *, colour: bool = False) -> str:
    from pylib.validate.output.text import render

    return render(report, colour=colour)


def _json(report: Report, *, colour: bool = False) -> str:
    from pylib.validate.output.jsonout import render

    return render(report, colour=colour)


def _sarif(report: Report, *, colour: bool = False) -> str:
    from pylib.validate.output.sarif import render

    return render(report, colour=colour)


def _junit(report: Report, *, colour: bool = False) -> str:
    from pylib.validate.output.junit import render

    return render(report, colour=colour)


RENDERERS: Mapping[str, Renderer] = {
    "text": _text,
    "json": _json,
    "sarif": _sarif,
    "junit": _junit,
}
"""By the name that ``--output`` takes."""
