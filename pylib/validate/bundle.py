"""Cuts one kind out of Kubernetes' JSON schemas: a file that stands alone, small and offline.

kubernetes-validate keeps all definitions of a Kubernetes version in one file, and refers to them
by a path that means nothing on disk.  kubeconform compiles a schema anew in each run, so a bundle
holds the reachable definitions only, and of them only what decides (no descriptions, which are
nine tenths of the text).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

JsonSchema = Mapping[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"

_POINTER = "#/$defs/"
_NAMED_CHILDREN = frozenset({"properties", "patternProperties", "$defs"})
_SILENT = frozenset({"$id", "$schema", "default", "description", "example", "format"})
"""Keywords that decide nothing here; ``format`` is left to the API server, as in Kubernetes."""


_TEXT = {"type": "string"}


def bundle(root: JsonSchema, definitions: Mapping[str, JsonSchema]) -> dict[str, Any]:
    """``root`` with every definition it reaches under ``$defs``, and all references local.

    A reference may carry any prefix before ``#/$defs/NAME``; NAME is sought in the root's own
    ``$defs`` first, then in ``definitions``.  Raises :class:`KeyError` for a name in neither.
    The root's ``apiVersion`` and ``kind`` are any text: they are how the bundle was found.
    """
    known = {**definitions, **root.get("$defs", {})}
    reached: dict[str, Any] = {}
    waiting = [_lean(root)]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in reached:
                reached[name] = _lean(known[name])
                waiting.append(reached[name])
    lean = _lean(root)
    lean["properties"] |= {"apiVersion": _TEXT, "kind": _TEXT}
    return {"$schema": DRAFT, **lean, "$defs": dict(sorted(reached.items()))}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_POINTER)
        for key, child in node.items():
            if key != "$defs":
                yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def _lean(node: Any, *, names: bool = False) -> Any:
    """A copy without silent keywords; ``names`` says that the keys here are names of fields."""
    if isinstance(node, list):
        return [_lean(child) for child in node]
    if not isinstance(node, Mapping):
        return node
    result: dict[str, Any] = {}
    for key, child in node.items():
        if not names and (key in _SILENT or key.startswith("x-kubernetes-")):
            continue
        if not names and key == "$ref":
            result[key] = _POINTER + child.rpartition(_POINTER)[2]
        else:
            result[key] = _lean(child, names=not names and key in _NAMED_CHILDREN)
    return result
