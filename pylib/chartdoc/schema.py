"""Builds values.schema.json (draft-07) from the chart's schema folder and its values.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pylib.chartdoc.comments import descriptions
from pylib.chartdoc.fragments import Fragments, Schema, condition, expand, load, read
from pylib.errors import ConfigError, Problem
from pylib.yamlio import Path as YamlPath
from pylib.yamlio import dotted, parse_one

_DRAFT = "http://json-schema.org/draft-07/schema#"


def build(chart: Path) -> Schema:
    """The schema of a chart's values, closed, with each key's description and default.

    Raises :class:`ConfigError` naming every value without a type or without a sentence.
    """
    file = chart / "values.yaml"
    defaults = read(file)
    text = file.read_text("utf-8")
    schema = _root(load(chart / "schema"), chart.name)
    said = descriptions(text, parse_one(text))
    problems = [*_untyped(schema, defaults, ()), *_describe(schema, defaults, said, ())]
    if problems:
        raise ConfigError(str(file), problems)
    return schema


def _root(fragments: Fragments, name: str) -> Schema:
    types = fragments.types
    schema = expand({"properties": fragments.values}, types)
    weights = schema["properties"]["weights"]
    for kind, branch in fragments.weights.items():
        block = {key: value for key, value in branch.items() if key != "selected"}
        weights["properties"][kind] = expand(block, types)
    weights["allOf"] = [
        _when("kind", kind, {kind: {"properties": branch["selected"]}}, types)
        for kind, branch in fragments.weights.items()
        if branch.get("selected")
    ]
    modes = [_when("mode", mode, demands, types) for mode, demands in fragments.modes.items()]
    return {"$schema": _DRAFT, "title": f"Values of the chart {name}", **schema, "allOf": modes}


def _when(key: str, value: str, demands: Mapping[str, Any], types: Mapping[str, Schema]) -> Schema:
    """While ``key`` has ``value``, the properties beside it must meet ``demands`` too."""
    return {
        "if": {"properties": {key: {"const": value}}, "required": [key]},
        "then": condition({"properties": demands}, types),
    }


def _untyped(schema: Schema, values: Mapping[str, Any], path: YamlPath) -> Iterator[Problem]:
    """Every value that the schema does not know."""
    properties: Schema = schema.get("properties") or {}
    for key, value in values.items() if properties else ():
        where = (*path, key)
        if key not in properties:
            yield Problem(dotted(where), "the value has no type", "Add it to schema/values.yaml.")
        elif isinstance(value, dict):
            yield from _untyped(properties[key], value, where)


def _describe(
    schema: Schema, values: Mapping[str, Any], said: Mapping[YamlPath, str], path: YamlPath
) -> Iterator[Problem]:
    """Write descriptions and defaults into ``schema``; yield each property without a sentence."""
    for key, inner in schema.get("properties", {}).items():
        where = (*path, key)
        inner.update({"description": said[where]} if where in said else {})
        if "description" not in inner:
            fix = "Write `# -- What it is.` above it, or a description in its schema."
            yield Problem(dotted(where), "the value has no sentence", fix)
        if "properties" in inner:
            yield from _describe(inner, values.get(key) or {}, said, where)
        elif key in values:
            inner["default"] = values[key]
        if isinstance(inner.get("items"), dict):
            yield from _describe(inner["items"], {}, said, (*where, 0))
