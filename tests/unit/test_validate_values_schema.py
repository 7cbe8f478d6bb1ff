"""Chart values against the chart's schema, all errors at once."""

import json
from pathlib import Path

import pytest

from pylib.validate import values_schema
from pylib.validate.report import Severity
from pylib.validate.values_schema import chart_schema, check_values
from pylib.yamlio import parse_one

VALUES = Path(__file__).parents[2] / "values" / "gemma-7b-tutorial" / "values.yaml"
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["cells"],
    "properties": {
        "cells": {"type": "array", "items": {"type": "object", "required": ["zone"]}},
        "port": {"type": "integer", "minimum": 1},
        "image": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"tag": {"type": "string"}},
        },
    },
}
TEXT = """\
image:
  tag: 1.2
  tga: x
port: 0
cells:
  - name: a
"""


@pytest.fixture
def small_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "values.schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    monkeypatch.setattr(values_schema, "chart_path", lambda: tmp_path)


@pytest.mark.usefixtures("small_schema")
def test_every_error_has_its_path_line_and_fix() -> None:
    document = parse_one(TEXT)
    findings = check_values(document.body, "values.yaml", document.lines)
    assert [(f.file, f.line, f.path, f.message, f.fix) for f in findings] == [
        ("values.yaml", 6, "cells[0].zone", "the field is missing", "Write zone."),
        (
            "values.yaml",
            2,
            "image.tag",
            "1.2 is not text",
            "Write text, in quotes if it looks like a number, true or null.",
        ),
        ("values.yaml", 3, "image.tga", "there is no such field", "Did you mean tag?"),
        ("values.yaml", 4, "port", "0 is below 1, the least", "Write 1 or more."),
    ]
    assert {(f.rule, f.severity) for f in findings} == {("values-schema", Severity.ERROR)}


@pytest.mark.usefixtures("small_schema")
def test_values_from_no_file_have_no_line() -> None:
    (finding,) = check_values({})
    assert (finding.file, finding.line, finding.path) == ("", None, "cells")


def test_schema_is_the_charts_own() -> None:
    assert chart_schema()["$schema"]
    assert "cells" in chart_schema()["properties"]


def test_values_of_the_tutorial_are_in_order() -> None:
    document = parse_one(VALUES.read_text(encoding="utf-8"))
    assert check_values(document.body, str(VALUES), document.lines) == []


def test_misspelt_value_of_the_chart_is_found() -> None:
    document = parse_one(VALUES.read_text(encoding="utf-8"))
    values = {**document.body, "wieghts": {}}
    assert [(f.path, f.fix) for f in check_values(values)] == [("wieghts", "Did you mean weights?")]
