"""Objects of one shape: same fields in the same places, with values of the same types.

A schema that constrains no values gives all of them one verdict.
"""

from __future__ import annotations

import json
import math
from typing import Any

from pylib.yamlio import yaml_escapes


def shape(node: Any) -> object:
    """What two objects of one shape have in common: hashable, equal for equal shapes.

    Floats are kept, since 1.0 is an integer to a schema and 1.5 is not.  Raises
    :class:`ValueError` for an infinite number or NaN, which JSON lacks.
    """
    kind = type(node)
    if kind is dict:
        return tuple([(key, shape(value)) for key, value in node.items()])
    if kind is list:
        return (list, *[shape(value) for value in node])
    if kind is float:
        if not math.isfinite(node):
            raise ValueError(f"{node} is no JSON number")
        return node
    return kind


def document(body: dict[str, Any], name: str) -> str:
    """The object as one line that is JSON and YAML, under another name."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "generateName"}
    text = json.dumps({**body, "metadata": {**metadata, "name": name}}, separators=(",", ":"))
    return yaml_escapes(text)
