"""Every value is used by a template, and every value that a template uses is declared."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.helmtool import CHART

TEMPLATES = {
    str(path.relative_to(CHART)): path.read_text()
    for path in sorted((CHART / "templates").rglob("*"))
    if path.is_file()
}
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
USED = {
    tuple(found.split("."))
    for text in TEMPLATES.values()
    for found in re.findall(r"\.Values\.((?:\w+\.)*\w+)", text)
}
FIELDS = {
    name for text in TEMPLATES.values() for name in re.findall(r"\.(\w+)\b|get \S+ \"(\w+)\"", text)
    for name in name if name
}  # fmt: skip
UNREAD = {("global",), ("weights", "none", "claims")}
"""Helm's own, which a parent chart passes down; and a map that a variable stands for."""


def leaves(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Path of each value that holds no further named values."""
    for name, inner in schema["properties"].items():
        if "properties" in inner:
            yield from leaves(inner, (*path, name))
        else:
            yield (*path, name)


def is_declared(path: tuple[str, ...]) -> bool:
    """Whether the schema knows ``path``, or a value above it that holds anything."""
    node = SCHEMA
    for step in path:
        if "properties" not in node:
            return True
        if step not in node["properties"]:
            return False
        node = node["properties"][step]
    return True


def is_read(path: tuple[str, ...]) -> bool:
    """Whether a template names ``path``, or an object above it and then the field."""
    above = any(path[:end] in USED for end in range(1, len(path)))
    return path in USED or (above and path[-1] in FIELDS)


@pytest.mark.parametrize("path", sorted(leaves(SCHEMA)), ids=".".join)
def test_the_value_is_used(path: tuple[str, ...]) -> None:
    assert is_read(path) or path in UNREAD


@pytest.mark.parametrize("path", sorted(USED), ids=".".join)
def test_the_used_value_is_declared(path: tuple[str, ...]) -> None:
    assert is_declared(path)


@pytest.mark.parametrize("field", SCHEMA["properties"]["cells"]["items"]["properties"])
def test_the_field_of_a_cell_is_used(field: str) -> None:
    assert any(re.search(rf"cell\.{field}\b", text) for text in TEMPLATES.values())


def test_every_helper_is_called_and_every_call_has_its_helper() -> None:
    text = "\n".join(TEMPLATES.values())
    defined = set(re.findall(r'define "(vllm-fast-start\.[\w.]+)"', text))
    called = set(re.findall(r'include "(vllm-fast-start\.[\w.]+)"', text))
    assert called <= defined
    hooks = {name for name in defined if re.match(r"vllm-fast-start\.(weights|validate)\.", name)}
    assert defined - called - hooks == set()


def test_every_weights_kind_defines_every_hook() -> None:
    text = "\n".join(TEMPLATES.values())
    hooks = set(re.findall(r'include "vllm-fast-start\.weights" \(list "(\w+)"', text))
    defined = set(re.findall(r'define "vllm-fast-start\.weights\.(\w+\.\w+)"', text))
    kinds = [kind for kind in SCHEMA["properties"]["weights"]["properties"]["kind"]["enum"] if kind]
    assert hooks >= {"model", "volumes", "mounts"}
    assert {f"{kind}.{hook}" for kind in kinds for hook in hooks} <= defined


def test_every_rule_is_in_the_list() -> None:
    text = "\n".join(TEMPLATES.values())
    defined = set(re.findall(r'define "vllm-fast-start\.validate\.([\w.]+)"', text))
    entry = TEMPLATES["templates/_validations.tpl"].partition("$found := list")[0]
    listed = {word for word in re.findall(r'"([\w.]+)"', entry) if word != "serve"}
    assert defined - {"byCell"} <= listed


@pytest.mark.parametrize("name", [n for n in TEMPLATES if n.endswith(".yaml")])
def test_a_template_holds_one_kind_and_says_on_its_first_line_when_it_exists(name: str) -> None:
    kinds = re.findall(r"^kind: (\w+)", TEMPLATES[name], re.MULTILINE)
    assert len(kinds) <= 1
    assert TEMPLATES[name].startswith("{{-")


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_stays_small(name: str) -> None:
    assert len(TEMPLATES[name].splitlines()) <= 180


ASKS_THE_CLUSTER = {
    "_autoscaling.tpl",  # the size that an autoscaler takes over
    "_validations-cluster.tpl",  # only refuses
    "weights/_disk-live.tpl",  # the claim that a volume is bound to
}
"""Templates that look at a live cluster: each renders the same without one, but for that."""


def test_few_templates_look_at_the_cluster_and_each_has_its_reason() -> None:
    asking = {
        name.rpartition("templates/")[2]
        for name, text in TEMPLATES.items()
        if ".Capabilities" in text or "lookup" in re.findall(r"\w+", text)
    }
    assert asking == ASKS_THE_CLUSTER
