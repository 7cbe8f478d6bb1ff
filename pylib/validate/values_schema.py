"""Chart values against the chart's ``values.schema.json``: all errors at once, each with its line.

Importing this module loads ``jsonschema``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pylib.chart import chart_path
from pylib.manifests import Lines, Manifest
from pylib.validate.bundle import JsonSchema
from pylib.validate.jsonerrors import violations
from pylib.validate.report import Finding
from pylib.validate.rules.builtin import VALUES_SCHEMA
from pylib.yamlio import dotted


def chart_schema() -> JsonSchema:
    """The schema of the chart that belongs to this package."""
    text = (chart_path() / "values.schema.json").read_text(encoding="utf-8")
    schema: JsonSchema = json.loads(text)
    return schema


def check_values(
    values: Mapping[str, Any], file: str = "", lines: Lines | None = None
) -> list[Finding]:
    """One finding for each field of ``values`` that breaks the schema.

    ``file`` and ``lines`` say where the values come from; a field that the file lacks gets the line
    of its nearest parent.
    """
    place = Manifest(values, file, lines=lines or {})
    return [
        Finding(
            rule=VALUES_SCHEMA.name,
            severity=VALUES_SCHEMA.severity,
            message=violation.text(place.get(*violation.path)),
            fix=violation.fix,
            path=dotted(violation.path),
            file=file,
            line=place.line_of(*violation.path) if lines else None,
        )
        for violation in violations(chart_schema(), values)
    ]
