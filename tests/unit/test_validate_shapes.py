"""Shapes: when two objects may share a verdict, and the text that stands for them."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pylib.validate.shapes import document, shape
from pylib.yamlio import yaml_escapes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "x"}, {"a": "y"}),
        ({"a": 1}, {"a": 2}),
        ({"a": True}, {"a": False}),
        ([{"a": "x"}, None], [{"a": ""}, None]),
        ({"a": 1.5}, {"a": 1.5}),
    ],
)
def test_values_of_one_type_have_one_shape(one: Any, other: Any) -> None:
    assert shape(one) == shape(other)
    assert hash(shape(one)) == hash(shape(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "1"}, {"a": 1}),
        ({"a": 1}, {"a": True}),
        ({"a": 1.0}, {"a": 1.5}),
        ({"a": None}, {}),
        ({"a": "x"}, {"b": "x"}),
        ({}, []),
        ([], ""),
        (["a"], ["a", "b"]),
        ({"a": [1]}, {"a": {"0": 1}}),
        ([[1], 2], [[1, 2]]),
        ({"a": {"b": 1}, "c": 1}, {"a": {"b": 1, "c": 1}}),
    ],
)
def test_other_fields_or_types_have_another_shape(one: Any, other: Any) -> None:
    assert shape(one) != shape(other)


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_number_that_json_lacks_has_no_shape(number: float) -> None:
    with pytest.raises(ValueError, match="is no JSON number"):
        shape({"a": [number]})


@given(JSON)
def test_shape_depends_on_nothing_but_structure_and_types(value: Any) -> None:
    assert shape(value) == shape(json.loads(json.dumps(value)))


def test_document_has_the_given_name_and_no_generated_one() -> None:
    body = {"kind": "A", "metadata": {"generateName": "x-", "labels": {"a": "b"}}, "spec": [1]}
    text = document(body, "7")
    assert text == '{"kind":"A","metadata":{"labels":{"a":"b"},"name":"7"},"spec":[1]}'
    assert body["metadata"] == {"generateName": "x-", "labels": {"a": "b"}}


@given(st.text())
def test_yaml_reads_the_document_as_json_does(text: str) -> None:
    body = {"metadata": {}, "data": {"key": text}}
    assert yaml.safe_load(document(body, "0")) == {"metadata": {"name": "0"}, "data": {"key": text}}


@pytest.mark.parametrize(
    ("json_text", "yaml_text"),
    [
        (r'"\ud83d\ude80"', r'"\U0001f680"'),
        (r'"\uD83D\uDE80 \uD83D\uDE80"', r'"\U0001f680 \U0001f680"'),
        (r'"\u00fc"', r'"\u00fc"'),
        (r'"\ud83d"', r'"\ud83d"'),
    ],
)
def test_pairs_of_escapes_become_one(json_text: str, yaml_text: str) -> None:
    assert yaml_escapes(json_text) == yaml_text
