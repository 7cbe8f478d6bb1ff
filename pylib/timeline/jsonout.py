"""The timeline for programs: JSON, times in RFC 3339 and seconds."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from pylib.timeline.model import Timeline

VERSION = 1
"""Version of the form; a change that readers must know raises it."""


def as_dict(found: Timeline) -> dict[str, Any]:
    """The timeline as plain values."""
    return {"version": VERSION, **asdict(found)}


def render(found: Timeline) -> str:
    """The timeline as indented JSON."""
    return json.dumps(as_dict(found), indent=2, ensure_ascii=False) + "\n"
