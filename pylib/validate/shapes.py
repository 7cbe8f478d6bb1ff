"""Objects of one shape: same fields in the same places, with values of the same types.

A schema that constrains no values gives all of them one verdict.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

_SURROGATES = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)


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


def yaml_escapes(text: str) -> str:
    """JSON text that YAML reads too: a character beyond U+FFFF as one escape, not as a pair."""
    return _SURROGATES.sub(_one_escape, text)


def _one_escape(pair: re.Match[str]) -> str:
    code = 0x10000 + ((int(pair[1], 16) - 0xD800) << 10) + int(pair[2], 16) - 0xDC00
    return f"\\U{code:08x}"
