"""Values are laid over values by helm's rules."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylib.merge import merge_values


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        pytest.param({"a": 1}, {"b": 2}, {"a": 1, "b": 2}, id="new keys come last"),
        pytest.param({"a": 1}, {"a": 2}, {"a": 2}, id="a value replaces"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}, id="maps"),
        pytest.param({"a": [1, 2, 3]}, {"a": [4]}, {"a": [4]}, id="a list replaces"),
        pytest.param({"a": [{"x": 1}]}, {"a": [{"y": 2}]}, {"a": [{"y": 2}]}, id="list of maps"),
        pytest.param({"a": 1, "b": 2}, {"a": None}, {"a": None, "b": 2}, id="null stays"),
        pytest.param(
            {"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"b": None, "c": 2}}, id="deep null"
        ),
        pytest.param({"a": 1}, {"b": None}, {"a": 1, "b": None}, id="null of nothing"),
        pytest.param({"a": {"b": 1}}, {"a": 5}, {"a": 5}, id="a value replaces a map"),
        pytest.param({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}, id="a map replaces a value"),
        pytest.param({"a": 1}, {"a": False}, {"a": False}, id="false is a value"),
        pytest.param({"a": [1]}, {"a": []}, {"a": []}, id="an empty list is a value"),
        pytest.param(
            {"a": {"b": 1}}, {"a": {}}, {"a": {"b": 1}}, id="an empty map changes nothing"
        ),
    ],
)
def test_maps_merge_lists_replace_and_null_stays_for_helm(
    base: dict[str, Any], over: dict[str, Any], merged: dict[str, Any]
) -> None:
    before = copy.deepcopy((base, over))
    found = merge_values(base, over)
    assert found == merged
    assert list(found) == list(merged)
    assert (base, over) == before


TREES = st.recursive(
    st.dictionaries(st.sampled_from("abc"), st.integers() | st.lists(st.integers(), max_size=2)),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(TREES, TREES)
def test_laying_the_same_values_on_twice_changes_nothing_more(
    base: dict[str, Any], over: dict[str, Any]
) -> None:
    once = merge_values(base, over)
    assert merge_values(once, over) == once
    assert merge_values(base, {}) == base
    assert merge_values({}, over) == over
