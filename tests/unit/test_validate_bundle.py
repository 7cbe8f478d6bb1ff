"""Bundles: everything a kind reaches, nothing else, and all of it in one file."""

import json
from typing import Any

import pytest

from pylib.validate.bundle import DRAFT, bundle

ROOT: dict[str, Any] = {
    "$id": "https://kubernetes.io/api/thing",
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "description": "A thing.",
    "type": "object",
    "x-kubernetes-group-version-kind": [],
    "x-source": "somewhere",
    "properties": {
        "apiVersion": {"type": ["string", "null"], "enum": ["v1"]},
        "kind": {"type": ["string", "null"], "enum": ["Thing"]},
        "spec": {"$ref": "/api/_definitions.json#/$defs/Spec", "description": "Its spec."},
    },
}
DEFINITIONS: dict[str, dict[str, Any]] = {
    "Spec": {
        "description": "A spec.",
        "properties": {
            "default": {"type": "string", "default": "x"},
            "description": {"type": "string", "description": "Text.", "format": "byte"},
            "again": {"items": {"$ref": "#/$defs/Spec"}},
            "$ref": {"type": "string"},
            "properties": {"type": "object", "description": "A map."},
            "other": {"oneOf": [{"$ref": "#/$defs/Leaf"}, {"type": "null"}]},
        },
    },
    "Leaf": {"type": "integer"},
    "Unused": {"type": "string"},
}


def test_reached_definitions_come_along_without_what_decides_nothing() -> None:
    assert bundle(ROOT, DEFINITIONS) == {
        "$schema": DRAFT,
        "type": "object",
        "x-source": "somewhere",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "spec": {"$ref": "#/$defs/Spec"},
        },
        "$defs": {
            "Leaf": {"type": "integer"},
            "Spec": {
                "properties": {
                    "default": {"type": "string"},
                    "description": {"type": "string"},
                    "again": {"items": {"$ref": "#/$defs/Spec"}},
                    "$ref": {"type": "string"},
                    "properties": {"type": "object"},
                    "other": {"oneOf": [{"$ref": "#/$defs/Leaf"}, {"type": "null"}]},
                },
            },
        },
    }


def test_own_definitions_come_before_foreign_ones() -> None:
    root = {**ROOT, "$defs": {"Spec": {"type": "array", "items": {"$ref": "#/$defs/Leaf"}}}}
    assert bundle(root, DEFINITIONS)["$defs"] == {
        "Leaf": {"type": "integer"},
        "Spec": {"type": "array", "items": {"$ref": "#/$defs/Leaf"}},
    }


def test_definition_that_is_nowhere_is_an_error() -> None:
    root = {"properties": {"spec": {"$ref": "#/$defs/Lost"}}}
    with pytest.raises(KeyError, match="Lost"):
        bundle(root, DEFINITIONS)


def test_input_is_left_alone() -> None:
    before = json.dumps([ROOT, DEFINITIONS])
    bundle(ROOT, DEFINITIONS)
    assert json.dumps([ROOT, DEFINITIONS]) == before
