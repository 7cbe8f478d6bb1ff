"""The chart's schema folder: small YAML files that say each type once.

On top of JSON Schema's own words there are two: ``use`` names an entry of types.yaml, ``empty``
lets a text be empty besides matching its pattern.  A pattern matches the whole text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylib.errors import ConfigError, Problem
from pylib.yamlio import YamlError, parse_one

Schema = dict[str, Any]


@dataclass(frozen=True)
class Fragments:
    """What the schema folder holds: named types, values, modes, and one entry per weights kind."""

    types: Mapping[str, Schema]
    values: Mapping[str, Schema]
    modes: Mapping[str, Mapping[str, Schema]]
    weights: Mapping[str, Mapping[str, Any]]


def load(folder: Path) -> Fragments:
    """Read the schema folder of a chart; a file of ``weights/`` is a kind of that name."""
    weights = {file.stem: read(file) for file in sorted((folder / "weights").glob("*.yaml"))}
    kinds = {
        "weightsKind": {"enum": [*weights]},
        "weightsKindOrEmpty": {"enum": ["", *weights]},
    }
    types = {**read(folder / "types.yaml"), **kinds}
    return Fragments(types, read(folder / "values.yaml"), read(folder / "modes.yaml"), weights)


def read(file: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.  Raises :class:`ConfigError` with the file's name."""
    try:
        body = parse_one(file.read_text("utf-8")).body
    except YamlError as error:
        raise ConfigError(str(file), error.problems) from None
    if not isinstance(body, dict):
        problem = Problem("", "the file holds no mapping", "Write keys and their values.", 1)
        raise ConfigError(str(file), [problem])
    return body


def expand(node: Mapping[str, Any], types: Mapping[str, Schema]) -> Schema:
    """``node`` as plain JSON Schema; every object with ``properties`` is closed unless it says so.

    Raises :class:`KeyError` for a type that types.yaml lacks.
    """
    schema = _resolved(node, types)
    if "pattern" in schema:
        optional = "?" if schema.pop("empty", False) else ""
        schema["pattern"] = f"^(?:{schema['pattern']}){optional}$"
    if "properties" in schema:
        schema = {"type": "object", "additionalProperties": False, **schema}
        schema["properties"] = {
            name: expand(inner, types) for name, inner in schema["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = expand(schema[key], types)
    return schema


def condition(node: Mapping[str, Any], types: Mapping[str, Schema]) -> Schema:
    """``node`` as a demand on top of a type: nothing is closed, everything named is required."""
    schema = expand(node, types)
    if "properties" in schema:
        del schema["additionalProperties"]
        inner = _resolved(node, types)["properties"]
        schema["properties"] = {name: condition(part, types) for name, part in inner.items()}
        schema["required"] = [*inner]
    return schema


def _resolved(node: Mapping[str, Any], types: Mapping[str, Schema]) -> Schema:
    if "use" not in node:
        return dict(node)
    rest = {key: value for key, value in node.items() if key != "use"}
    return {**_resolved(types[node["use"]], types), **rest}
