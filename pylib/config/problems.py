"""Pydantic's errors as problems that name the field, the value, why, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from pylib.errors import Problem
from pylib.yamlio import Document, Path, dotted

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "float_type": "a number",
    "finite_number": "a finite number",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
}
_SHOWN = 60


def from_pydantic(
    details: Sequence[ErrorDetails], model: type[BaseModel], document: Document
) -> list[Problem]:
    """One problem for each field that pydantic refuses, in the order of the file."""
    seen: dict[Path, Problem] = {}
    for detail in details:
        path = _plain_path(detail["loc"], document.body)
        if detail["type"] == "union_tag_invalid":
            path = (*path, "kind")
        if path not in seen:
            message, fix = _words(detail, path, model)
            if detail["type"] == "string_type" and path in document.texts:
                fix = f'Put it in quotes: "{document.texts[path]}".'
            seen[path] = Problem(dotted(path), message, fix, _line(document, path))
    return sorted(seen.values(), key=lambda p: p.line or 0)


def show(value: object) -> str:
    """A value as a message quotes it: short, and in YAML's words."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif value is None:
        text = "null"
    elif isinstance(value, Mapping):
        text = "a map"
    elif isinstance(value, list | tuple):
        text = "a list"
    else:
        text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def closest(word: str, words: Sequence[str]) -> str:
    """`` Did you mean 'x'?`` when a word is near, else nothing."""
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}? " if near else ""


def _plain_path(loc: Path, body: Any) -> Path:
    """``loc`` without the names of union members that pydantic puts between the keys."""
    path: list[str | int] = []
    node = body
    for index, step in enumerate(loc):
        last = index == len(loc) - 1
        if isinstance(node, Mapping) and (step in node or last):
            node = node.get(step) if isinstance(step, str) else None
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            continue
        path.append(step)
    return tuple(path)


def _line(document: Document, path: Path) -> int | None:
    for end in range(len(path), 0, -1):
        if path[:end] in document.lines:
            return document.lines[path[:end]]
    return None


def _words(detail: ErrorDetails, path: Path, model: type[BaseModel]) -> tuple[str, str]:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "missing":
        return "is required", f"Add {path[-1]}: … ({_description(model, detail['loc'])})"
    if kind == "extra_forbidden":
        allowed = sorted(fields_at(model, detail["loc"][:-1]))
        hint = closest(str(path[-1]), allowed)
        return "is not a field of this file", f"{hint}Allowed here: {', '.join(allowed)}."
    if kind == "vfs_text":
        key = f"{path[-1]}: " if isinstance(path[-1], str) else ""
        return (
            f"{show(value)} must be {context['what']}",
            f"Write for example {key}{context['example']}",
        )
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        return _choice(value, context)
    if kind == "union_tag_not_found":
        return "needs a kind", "Add kind: disk, kind: claim or kind: none."
    return _number_or_type(kind, value, context, detail["msg"])


def _choice(value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    expected = str(context.get("expected") or context.get("expected_tags")).replace("'", "")
    words = [word.strip() for word in expected.replace(" or ", ", ").split(",")]
    if "tag" in context:
        value = value["kind"]
    if str(value) in words:
        return f"{show(value)} is text where a number belongs", f"Write {value}, without quotes."
    if len(words) == 1:
        return f"{show(value)} is not {words[0]}", f"Write {words[0]}."
    hint = closest(str(value), words)
    return f"{show(value)} is not one of {', '.join(words)}", f"{hint}Write one of them."


def _number_or_type(
    kind: str, value: Any, context: Mapping[str, Any], message: str
) -> tuple[str, str]:
    bounds = {
        "greater_than_equal": ("ge", "at least"),
        "greater_than": ("gt", "more than"),
        "less_than_equal": ("le", "at most"),
        "less_than": ("lt", "less than"),
        "multiple_of": ("multiple_of", "a multiple of"),
    }
    if kind in bounds:
        key, words = bounds[kind]
        wanted = f"{words} {context[key]:.15g}"
        return f"{show(value)} must be {wanted}", f"Write a number that is {wanted}."
    if kind == "string_too_short":
        return "is empty", "Write text, or take it out."
    wanted = _WANTED.get(kind, "")
    if not wanted:
        return f"{show(value)} is not accepted", f"{message}."
    fix = f"Write {wanted}."
    if kind == "int_type" and isinstance(value, str):
        fix = "Write a whole number, without quotes and without a unit."
    return f"{show(value)} must be {wanted}", fix


def _description(model: type[BaseModel], loc: Path) -> str:
    owner = _model_at(model, loc[:-1])
    field = owner.model_fields.get(str(loc[-1])) if owner else None
    return (field.description or "") if field else ""


def fields_at(model: type[BaseModel], loc: Path) -> list[str]:
    """Names of the fields that the record at ``loc`` has."""
    owner = _model_at(model, loc)
    return list(owner.model_fields) if owner else []


def _model_at(model: type[BaseModel], loc: Path) -> type[BaseModel] | None:
    owner: type[BaseModel] | None = model
    members: list[type[BaseModel]] = []
    in_map = False
    for step in loc:
        if in_map or isinstance(step, int):  # a key that the user chose, or an index
            in_map = False
            continue
        tagged = [m for m in members if _tag(m) == step]
        if tagged:
            owner, members = tagged[0], []
            continue
        if owner is None or step not in owner.model_fields:
            return None
        annotation = owner.model_fields[step].annotation
        in_map = get_origin(annotation) is dict
        members = _models_in(annotation)
        owner = members[0] if len(members) == 1 else None
    return owner


def _tag(model: type[BaseModel]) -> str:
    field = model.model_fields.get("kind")
    return str(get_args(field.annotation)[0]) if field else ""


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [found for part in get_args(annotation) for found in _models_in(part)]
