"""Pieces of messages."""

import pytest

from pylib.validate.words import count, listed, nearest, show


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (1.5, "1.5"),
        ("a b", "'a b'"),
        ({"a": 1}, "a map"),
        ([1], "a list"),
        ("x" * 59, "'" + "x" * 59 + "…"),
        ("x" * 58, "'" + "x" * 58 + "'"),
    ],
)
def test_value_is_shown_in_yamls_words_and_short(value: object, shown: str) -> None:
    assert show(value) == shown


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (range(12), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 11"),
        (range(13), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 1 more"),
    ],
)
def test_names_are_joined(names: list[object], text: str) -> None:
    assert listed(names) == text


def test_names_are_joined_by_another_word() -> None:
    assert listed(["a", "b"], "or") == "a or b"


def test_nearest_word_is_found_whatever_its_case() -> None:
    assert nearest("deploymnet", ["Service", "Deployment"]) == "Deployment"
    assert nearest("xyzzy", ["Service", "Deployment"]) is None
    assert nearest("x", []) is None


def test_numbers_agree_with_their_nouns() -> None:
    assert (count(0, "error"), count(1, "error"), count(2, "error")) == (
        "0 errors",
        "1 error",
        "2 errors",
    )
