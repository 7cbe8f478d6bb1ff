"""What is said of a value that a JSON schema refuses."""

from typing import Any

import pytest

from pylib.validate.jsonerrors import UNKNOWN_FIELD, WRONG_TYPE, Violation, violations


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def one(schema: dict[str, Any], value: Any) -> Violation:
    (violation,) = violations(schema, value)
    return violation


@pytest.mark.parametrize(
    ("schema", "value", "said", "fix"),
    [
        ({"type": "string"}, 1, "1 is not text",
         "Write text, in quotes if it looks like a number, true or null."),
        ({"type": ["string", "null"]}, [], "a list is not text",
         "Write text, in quotes if it looks like a number, true or null."),
        ({"type": ["integer", "string"]}, {}, "a map is not an integer or text",
         "Write an integer or text."),
        ({"type": "boolean"}, "true", "'true' is not true or false", "Write true or false."),
        ({"type": "array"}, None, "null is not a list", "Write a list."),
        ({"type": "number"}, True, "true is not a number", "Write a number."),
        ({"enum": ["left", "right"]}, "lefd", "'lefd' is none of left or right",
         "Did you mean left?"),
        ({"enum": ["left", "right"]}, 7, "7 is none of left or right", "Write one of them."),
        ({"enum": ["left"]}, 7, "7 is not 'left'", "Write 'left'."),
        ({"const": False}, True, "true is not false", "Write false."),
        ({"not": {"const": 0}}, 0, "0 is not allowed here", "Write another value."),
        ({"minimum": 1}, 0, "0 is below 1, the least", "Write 1 or more."),
        ({"maximum": 9}, 10, "10 is above 9, the most", "Write 9 or less."),
        ({"exclusiveMinimum": 1}, 1, "1 is not above 1", "Write more than 1."),
        ({"exclusiveMaximum": 9}, 9, "9 is not below 9", "Write less than 9."),
        ({"multipleOf": 10}, 15, "15 is no multiple of 10", "Write a multiple of 10."),
        ({"minLength": 2}, "a", "'a' has fewer characters than 2", "Write 2 at least."),
        ({"maxLength": 2}, "abc", "'abc' has more characters than 2", "Write 2 at most."),
        ({"minItems": 1}, [], "a list has fewer entries than 1", "Write 1 at least."),
        ({"maxItems": 1}, [1, 2], "a list has more entries than 1", "Write 1 at most."),
        ({"minProperties": 1}, {}, "a map has fewer fields than 1", "Write 1 at least."),
        ({"maxProperties": 1}, {"a": 1, "b": 2}, "a map has more fields than 1",
         "Write 1 at most."),
        ({"pattern": "^[a-z]+$"}, "A", "'A' does not match the pattern ^[a-z]+$",
         "Write a value that matches."),
        ({"pattern": "^[a-z]{3}$", "x-example": "abc"}, "A",
         "'A' does not match the pattern ^[a-z]{3}$", "Write it as in abc."),
        ({"uniqueItems": True}, [1, 1], "[1, 1] has non-unique elements", "Correct the value."),
        ({"oneOf": [{"type": "string"}, {"type": ["integer", "null"]}]}, [],
         "a list is not text or an integer", "Write text or an integer."),
        ({"oneOf": [{"type": "string"}, {"type": "string"}]}, "x", "'x' is not text",
         "Write text, in quotes if it looks like a number, true or null."),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {},
         "exactly one of a or b belongs here", "Write exactly one of them."),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 1},
         "exactly one of a or b belongs here", "Write exactly one of them."),
        ({"anyOf": [{"required": ["a"]}, {"required": ["b", "c"]}]}, {},
         "at least one of a, b or c belongs here", "Write at least one of them."),
        ({"oneOf": [{"minimum": 0}, {"maximum": 9}]}, 5,
         "it has more than one of the forms of which it may have one", "Write one form."),
        ({"anyOf": [{"type": "string", "minLength": 2}, {"type": "integer", "minimum": 5}]}, 3,
         "3 is below 5, the least", "Write 5 or more."),
        (False, 1, "False schema does not allow 1", "Correct the value."),
    ],
)  # fmt: skip
def test_keyword_has_its_words(schema: Any, value: Any, said: str, fix: str) -> None:
    violation = one(schema, value)
    assert (violation.text(value), violation.fix, violation.path) == (said, fix, ())


def test_unknown_field_near_a_known_one() -> None:
    violation = one(closed(image={}, name={}), {"imagge": 1})
    assert violation.path == ("imagge",)
    assert violation.keyword == UNKNOWN_FIELD
    assert violation.text("x") == "there is no such field"
    assert violation.fix == "Did you mean image?"


def test_unknown_field_among_few_names_them() -> None:
    assert one(closed(b={}, a={}), {"zzz": 1}).fix == "The fields here are a and b."


def test_unknown_field_among_none_or_many() -> None:
    fix = "Take it out, or move it to where it belongs."
    assert one(closed(), {"zzz": 1}).fix == fix
    assert one(closed(**{f"field{n}": {} for n in range(13)}), {"zzz": 1}).fix == fix


def test_every_unknown_field_is_told() -> None:
    found = violations(closed(a={}), {"y": 1, "x": 1, "a": 1})
    assert [violation.path for violation in found] == [("x",), ("y",)]


def test_field_that_a_pattern_allows_is_known() -> None:
    schema = {**closed(a={}), "patternProperties": {"^x-": {}}}
    assert [v.path for v in violations(schema, {"x-1": 1, "y-1": 1})] == [("y-1",)]


def test_every_missing_field_is_told_once() -> None:
    found = violations({"required": ["b", "a", "c"]}, {"c": 1})
    assert [(v.path, v.text(None), v.fix) for v in found] == [
        (("a",), "the field is missing", "Write a."),
        (("b",), "the field is missing", "Write b."),
    ]


def test_key_that_is_not_allowed() -> None:
    schema = {"propertyNames": {"pattern": "^[a-z]+$", "x-example": "abc"}}
    violation = one({"properties": {"labels": schema}}, {"labels": {"A": 1}})
    assert violation.path == ("labels", "A")
    assert violation.text(1) == "the key does not match the pattern ^[a-z]+$"
    assert violation.fix == "Write it as in abc."


def test_keys_that_none_may_have() -> None:
    violation = one({"propertyNames": False}, {"A": 1})
    assert (violation.path, violation.message) == (
        ("A",),
        "the key False schema does not allow 'A'",
    )


def test_path_leads_into_lists_and_maps_in_order() -> None:
    schema = closed(a={"type": "array", "items": closed(b={"type": "string"})})
    value = {"a": [{"b": n} for n in range(11)]}
    found = violations(schema, value)
    assert [v.path for v in found] == [("a", n, "b") for n in range(11)]
    assert {v.keyword for v in found} == {WRONG_TYPE}


def test_branch_with_the_right_tag_is_the_one_that_was_meant() -> None:
    def branch(kind: str, **fields: Any) -> dict[str, Any]:
        return {**closed(kind={"const": kind}, **fields), "required": ["kind", *fields]}

    schema = {"oneOf": [branch("none"), branch("disk", project={}, size={}), branch("claim", a={})]}
    found = violations(schema, {"kind": "disk", "sise": 1})
    assert [(v.path, v.fix) for v in found] == [
        (("project",), "Write project."),
        (("sise",), "Did you mean size?"),
        (("size",), "Write size."),
    ]


def test_reference_is_followed() -> None:
    schema = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}}
    assert one(schema, 1).text(1) == "1 is not text"


def test_draft_of_the_schema_decides() -> None:
    older = {"$schema": "http://json-schema.org/draft-07/schema#", "prefixItems": [{"const": 1}]}
    assert violations(older, [2]) == ()
    assert len(violations({"prefixItems": [{"const": 1}]}, [2])) == 1


def test_value_of_a_wrong_type_is_not_also_called_none_of_several() -> None:
    assert one({"type": "string", "enum": ["a"]}, 1).keyword == WRONG_TYPE


def test_value_in_order_gives_nothing() -> None:
    assert violations(closed(a={"type": "string"}), {"a": "b"}) == ()
