"""The exported JSON Schemas, which editors use, and the parser say the same of a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pylib import generate
from pylib.config.parse import parse_config
from pylib.errors import ConfigError
from pylib.lock import parse_lock
from pylib.yamlio import parse_one
from tests.unit.bad_configs.tables import BASE, LOCK, Edits, edited, rows

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(ROOT.glob("values/*/config.yaml"))
LOCKS = sorted(ROOT.glob("values/*/config.lock.yaml"))
SCHEMAS = {name: ROOT / f"pylib/config/{name}.schema.json" for name in ("config", "lock")}
NOT_IN_A_SCHEMA = (
    "lock: a current revision that is not kept",
    "lock: no revisions",
    "lock: a revision that stands twice",
    "lock: a revision whose name is of other content",
    "lock: several problems across the file",
)
"""Rules that tie fields together, which only the parser knows."""


def _schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMAS[name].read_text(encoding="utf-8"))
    return schema


def _valid(name: str, text: str) -> bool:
    return Draft202012Validator(_schema(name)).is_valid(parse_one(text).body)


def _name(path: Path) -> str:
    return path.parent.name


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_schema_is_the_one_that_is_generated(name: str) -> None:
    wanted = dict(generate.generated(ROOT / "no-cases"))
    text = wanted[ROOT / f"no-cases/pylib/config/{name}.schema.json"]
    assert SCHEMAS[name].read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_is_a_schema_with_a_title(name: str) -> None:
    schema = _schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == f"vllm-fast-start {name} file"


@pytest.mark.parametrize("name", SCHEMAS)
def test_patterns_are_in_the_dialect_of_json_schema(name: str) -> None:
    patterns = re.findall(r'"pattern": "(.*)"', SCHEMAS[name].read_text(encoding="utf-8"))
    assert patterns
    assert not [pattern for pattern in patterns if "(?P" in pattern]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_is_described_and_every_object_is_closed(name: str) -> None:
    schema = _schema(name)
    objects = [schema, *schema["$defs"].values()]
    for found in objects:
        if found.get("type") != "object":
            continue
        assert found["additionalProperties"] is False
        bare = [key for key, field in found["properties"].items() if not field.get("description")]
        assert not bare, (found["title"], bare)


def test_there_are_cases_to_judge() -> None:
    assert len(CONFIGS) >= 7
    assert len(LOCKS) >= 4


@pytest.mark.parametrize("path", CONFIGS, ids=_name)
def test_schema_and_parser_accept_each_case(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    parse_config(text)
    assert _valid("config", text)


@pytest.mark.parametrize("path", LOCKS, ids=_name)
def test_schema_and_parser_accept_the_lock_of_each_case(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    parse_lock(text)
    assert _valid("lock", text)


@pytest.mark.parametrize(("edits", "says"), rows("types", "names"))
def test_the_schema_refuses_what_the_parser_refuses(edits: Edits, says: str) -> None:
    text = edited(BASE, edits)
    with pytest.raises(ConfigError):
        parse_config(text)
    assert not _valid("config", text)


@pytest.mark.parametrize(("edits", "says"), rows("lock"))
def test_the_schema_refuses_the_locks_that_the_parser_refuses(
    edits: Edits, says: str, request: pytest.FixtureRequest
) -> None:
    text = edited(LOCK, edits)
    with pytest.raises(ConfigError):
        parse_lock(text)
    known = any(row in request.node.name for row in NOT_IN_A_SCHEMA)
    assert _valid("lock", text) is known


@pytest.mark.parametrize(("edits", "says"), rows("clashes"))
def test_clashes_between_fields_are_the_parsers_own(edits: Edits, says: str) -> None:
    assert _valid("config", edited(BASE, edits))


def test_generating_writes_what_is_stale_and_checking_only_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    schema = tmp_path / "pylib/config/config.schema.json"
    schema.parent.mkdir(parents=True)
    schema.write_text("{}")
    stale = "".join(
        f"stale: pylib/config/{name}.schema.json (run scripts/generate)\n" for name in SCHEMAS
    )
    assert generate.main(["--check"]) == 1
    assert (schema.read_text(), capsys.readouterr().err) == ("{}", stale)
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert schema.read_text(encoding="utf-8") == SCHEMAS["config"].read_text(encoding="utf-8")
    assert capsys.readouterr() == ("", "")


def test_a_bad_case_stops_generating_with_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    (tmp_path / "pylib/config").mkdir(parents=True)
    case = tmp_path / "values/bad/config.yaml"
    case.parent.mkdir(parents=True)
    case.write_text("[]\n")
    assert generate.main([]) == 2
    assert capsys.readouterr().err == (
        f"{case}: 1 problem\n{case}:1: holds a list where a map belongs\n"
        "    Write key: value lines.\n"
    )
