"""The values table of the chart's README, from the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pylib.errors import ConfigError, Problem

BEGIN = "<!-- The table is generated: python -m pylib.chartdoc -->"
END = "<!-- End of the generated table. -->"


def markdown(schema: dict[str, Any]) -> str:
    """One row per value of ``schema``, in its order, the fields of list items included."""
    head = ["| Key | Type | Default | What it is |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *_rows(schema, "")]) + "\n"


def insert(readme: Path, table: str) -> str:
    """The text of ``readme`` with ``table`` between its two markers.

    Raises :class:`ConfigError` when a marker is missing.
    """
    text = readme.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        problem = Problem("", "a marker of the values table is missing", f"Add {BEGIN} and {END}.")
        raise ConfigError(str(readme), [problem])
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


def _rows(schema: dict[str, Any], prefix: str) -> Iterator[str]:
    for key, inner in schema.get("properties", {}).items():
        name = f"{prefix}{key}"
        said = str(inner["description"]).replace("|", "\\|")
        yield f"| `{name}` | {_type(inner)} | {_default(inner)} | {said} |"
        yield from _rows(inner, f"{name}.")
        items = inner.get("items")
        if isinstance(items, dict):
            yield from _rows(items, f"{name}[].")


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" if value else "empty" for value in schema["enum"])
    kind = schema["type"]
    text = kind if isinstance(kind, str) else " or ".join(kind)
    if "minimum" in schema and "maximum" in schema:
        return f"{text}, {schema['minimum']} to {schema['maximum']}"
    return f"{text}, at least {schema['minimum']}" if "minimum" in schema else text


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return ""
    text = json.dumps(schema["default"], ensure_ascii=False).replace("|", "\\|")
    return f"`{text}`"
