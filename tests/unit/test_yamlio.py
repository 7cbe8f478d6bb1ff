"""YAML is read as helm and kubectl read it, with lines, and what is written reads back the same."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylib import proc
from pylib.errors import Problem
from pylib.tools import find_helm
from pylib.yamlio import MAX_DEPTH, YamlError, dotted, dump, parse_all, parse_one, yaml_escapes

SCALARS = {
    "1": 1,
    "-7": -7,
    "+7": 7,
    "1_000": 1000,
    "0": 0,
    "0777": 511,
    "0o17": 15,
    "-0o7": -7,
    "0x1F": 31,
    "0X1f": 31,
    "0b11": 3,
    "-0b1": -1,
    "99999999999999999999999": 99999999999999999999999,
    "1.5": 1.5,
    "-.5": -0.5,
    "1e3": 1000.0,
    "1.5e-3": 0.0015,
    "09": 9.0,
    "30847e000012": 30847e12,
    ".inf": math.inf,
    "+.INF": math.inf,
    "-.inf": -math.inf,
    "true": True,
    "Yes": True,
    "ON": True,
    "y": True,
    "False": False,
    "no": False,
    "off": False,
    "N": False,
    "null": None,
    "~": None,
    "": None,
    "2024-01-31": "2024-01-31",
    "2024-01-31T10:00:00Z": "2024-01-31T10:00:00Z",
    "12:30": "12:30",
    "12:30:45.5": "12:30:45.5",
    "1:2": "1:2",
    "308477e95412": "308477e95412",
    "1e999": "1e999",
    "0x_": "0x_",
    "0b_": "0b_",
    "0x" + "f" * 16: 2**64 - 1,
    "0x1" + "0" * 16: "0x1" + "0" * 16,
    "9" * 308: int("9" * 308),
    "9" * 309: "9" * 309,
    "9" * 400: "9" * 400,
    "oN": "oN",
    "=": "=",
    "1.2.3": "1.2.3",
    "v1": "v1",
    "'1'": "1",
    '"true"': "true",
    "!!str 1": "1",
    "!!int abc": "abc",
    "!!float abc": "abc",
    "!!bool maybe": "maybe",
    "!!int '12'": 12,
    "!!null x": None,
}


@pytest.mark.parametrize("text", SCALARS)
def test_a_scalar_has_the_type_that_helm_gives_it(text: str) -> None:
    found = parse_one(f"k: {text}\n").body["k"]
    assert found == SCALARS[text]
    assert type(found) is type(SCALARS[text])


def test_not_a_number_is_a_float() -> None:
    assert math.isnan(parse_one("k: .nan").body["k"])


def test_keys_are_text_whatever_they_look_like() -> None:
    assert list(parse_one("{1: a, true: b, on: c, 2024-01-31: d, ~: e, 'x': f}").body) == [
        "1",
        "true",
        "on",
        "2024-01-31",
        "~",
        "x",
    ]


def test_numbers_and_switches_keep_how_they_were_written() -> None:
    document = parse_one("a: 0.10\nb: [yes, text, 012, ~]\n7: {c: 1}\n")
    assert document.texts == {("a",): "0.10", ("b", 0): "yes", ("b", 2): "012", ("7", "c"): "1"}


def test_every_node_has_its_line() -> None:
    text = "# comment\na: 1\nb:\n  - x\n  - y: |\n      two\n      lines\n"
    document = parse_one(f"{text}    z: {{p: 1,\n        q: 2}}\n")
    assert document.line == 2
    assert document.lines == {
        (): 2,
        ("a",): 2,
        ("b",): 3,
        ("b", 0): 4,
        ("b", 1): 5,
        ("b", 1, "y"): 5,
        ("b", 1, "z"): 8,
        ("b", 1, "z", "p"): 8,
        ("b", 1, "z", "q"): 9,
    }


def test_documents_start_at_their_lines_and_empty_ones_are_left_out() -> None:
    found = parse_all("---\n# nothing\n---\na: 1\n---\nnull\n---\n- 2\n")
    assert [(d.body, d.line) for d in found] == [({"a": 1}, 4), ([2], 8)]
    assert parse_all("") == ()
    assert parse_one("").body == {}


def test_merge_keys_take_the_first_source_and_yield_to_the_maps_own_keys() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  z: 3\n  <<: [*a, *b]\nd: {<<: *a, w: 4}\n"
    document = parse_one(text)
    assert document.body["c"] == {"x": 1, "y": 1, "z": 3}
    assert document.body["d"] == {"x": 1, "y": 1, "w": 4}
    assert document.lines["c", "z"] == 4
    assert document.lines["c", "x"] == 1


def test_an_alias_repeats_its_anchor() -> None:
    body = parse_one("a: &a [1, {b: 2}]\nc: *a\n").body
    assert body["c"] == [1, {"b": 2}]
    assert body["c"] is not body["a"]


def test_all_duplicate_keys_are_told_at_once() -> None:
    with pytest.raises(YamlError) as caught:
        parse_all("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    fix = "Keep one of the two."
    assert caught.value.problems == (
        Problem("b.c", "the key is given twice; the first is on line 2", fix, 2),
        Problem("a", "the key is given twice; the first is on line 1", fix, 3),
    )
    assert str(caught.value) == "; ".join(p.message for p in caught.value.problems)


def test_every_refused_tag_is_told() -> None:
    fix = "Use text, numbers, true/false, null, lists and maps only."
    with pytest.raises(YamlError) as caught:
        parse_one("a: !x 1\nb: !y [1]\nc: !z {d: 1}\n!k e: 1\n")
    assert caught.value.problems == (
        Problem("a", "the tag !x is not allowed", fix, 1),
        Problem("b", "the tag !y is not allowed", fix, 2),
        Problem("c", "the tag !z is not allowed", fix, 3),
        Problem("", "the tag !k is not allowed", fix, 4),
    )


def test_a_second_document_is_refused_where_one_belongs() -> None:
    with pytest.raises(YamlError) as caught:
        parse_one("a: 1\n---\nb: 2\n")
    message = "a second YAML document starts here"
    assert caught.value.problems == (Problem("", message, "Keep one document.", 3),)


def test_a_surrogate_that_came_through_the_shell_is_refused() -> None:
    with pytest.raises(YamlError) as caught:
        parse_one("a: \udce9\n")
    assert caught.value.problems[0].fix == "Save the file as plain UTF-8 YAML."


def _nested(levels: int, style: str) -> str:
    if style == "flow lists":
        return "[" * levels + "]" * levels
    if style == "flow maps":
        return "{a: " * levels + "}" * levels
    if style == "lists in one line":
        return "- " * levels + "x"
    return "\n".join(f"{' ' * level}a:" for level in range(levels)) + " x"


STYLES = ("flow lists", "flow maps", "lists in one line", "one key a line")


@pytest.mark.parametrize("style", STYLES)
def test_nesting_is_read_up_to_the_limit(style: str) -> None:
    depth = 0
    node = parse_one(_nested(MAX_DEPTH, style)).body
    while isinstance(node, list | dict):
        depth += 1
        node = next(iter(node.values() if isinstance(node, dict) else node), None)
    assert depth == MAX_DEPTH


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 20_000])
def test_nesting_beyond_the_limit_is_refused(style: str, levels: int) -> None:
    if style == "one key a line":
        levels = min(levels, 1000)  # its text grows with the square
    with pytest.raises(YamlError) as caught:
        parse_one(_nested(levels, style))
    assert str(caught.value) == "the document expands to over 500000 nodes or 100 levels"


TRICKY = [
    *(text for text in SCALARS if not text.startswith(("!", "'", '"'))),
    *("- a", "a: b", "a #b", "#", "[", "{", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a", "? a"),
    *(" a", "a ", "a\n", "\n", "\n\na", " \n a", "a\nb\n\n", "a \nb", "\ta", "a\tb", "a\r\nb"),
    *("\x00", "\x07", "\x1b", "\x7f", "\x85", "a\x85b", "\u2028", "\ufeff", "\ufffe", "é", "😀"),
    *("---", "...", "--- a", "a: |", "<<", "'", '"', "\\", "\\n", "0.33.0", "1e5", "Y", "n"),
    "word " * 1000,
]


@pytest.mark.parametrize("text", TRICKY)
def test_text_reads_back_as_the_same_text_as_value_and_as_key(text: str) -> None:
    data = {"k": text, text: ["x", text]}
    assert parse_one(dump(data)).body == data


def test_helm_reads_back_every_text_as_text(tmp_path: Path) -> None:
    """The real helm: what pylib writes into a values file is what the chart gets."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: echo, version: 0.1.0}")
    (tmp_path / "templates/echo.yaml").write_text("echo: {{ .Values.texts | toJson | b64enc }}")
    values = tmp_path / "v.yaml"
    values.write_text(dump({"texts": TRICKY}), encoding="utf-8")
    done = proc.run([find_helm(), "template", "r", tmp_path, "-f", values])
    echoed = base64.b64decode(parse_one(done.stdout).body["echo"])
    assert json.loads(echoed) == TRICKY


def test_a_dump_is_block_style_in_the_given_order_without_aliases() -> None:
    shared = {"z": 1}
    data = {"b": [shared, shared], "a": {"text": "one\ntwo\n", "long": "w " * 200 + "w"}, "c": []}
    assert dump(data) == (
        f"b:\n  - z: 1\n  - z: 1\na:\n  text: |\n    one\n    two\n  long: {'w ' * 200}w\nc: []\n"
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**300), max_value=10**300)
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(TRICKY),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(TRICKY), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_what_is_dumped_parses_to_the_same_value(data: dict[str, Any]) -> None:
    assert parse_one(dump(data)).body == data


@given(st.text(alphabet=st.sampled_from("ab:-[]{},&*!|>'\"#%@?\n\t 01.~<\x00é"), max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        parse_all(text)
    except YamlError as error:
        problems = error.problems
    assert all(problem.message and problem.fix for problem in problems)


@given(st.text() | st.text(alphabet="\\ud83e0a😀𝄞\x7f"))
def test_json_with_its_surrogate_pairs_joined_is_yaml_of_the_same_text(text: str) -> None:
    assert parse_one(f"k: {yaml_escapes(json.dumps(text))}").body == {"k": text}


def test_escapes_are_joined_in_either_case_and_never_behind_a_backslash() -> None:
    assert yaml_escapes(r'"\uD83D\uDE00 \ud83d\ude00"') == r'"\U0001f600 \U0001f600"'
    assert yaml_escapes(r'"\\ud83d\ude00"') == r'"\\ud83d\ude00"'
    assert yaml_escapes(r'"\u00e9 plain"') == r'"\u00e9 plain"'


def test_paths_are_dotted_with_indices() -> None:
    assert dotted(("cells", 0, "nodePool", "name")) == "cells[0].nodePool.name"
    assert dotted((0, "a", 1, 2)) == "[0].a[1][2]"
    assert dotted(()) == ""
