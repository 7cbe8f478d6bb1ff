"""What is wrong with a value that a JSON schema refuses: where, in words, and what to write.

kubeconform says which objects are invalid; its texts join all errors of an object into one line, so
the few invalid ones are looked at again here.  Importing this module loads ``jsonschema``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import validator_for

from pylib.validate.bundle import JsonSchema
from pylib.validate.words import listed, nearest, show

Path = tuple[str | int, ...]

UNKNOWN_FIELD = "additionalProperties"
WRONG_TYPE = "type"

_FEW = 12
_TAGS = frozenset({"const", "enum", "type"})
_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "object": "a map",
    "string": "text",
}
_BOUNDS = {
    "exclusiveMaximum": ("is not below {}", "Write less than {}."),
    "exclusiveMinimum": ("is not above {}", "Write more than {}."),
    "maxItems": ("has more entries than {}", "Write {} at most."),
    "maxLength": ("has more characters than {}", "Write {} at most."),
    "maxProperties": ("has more fields than {}", "Write {} at most."),
    "maximum": ("is above {}, the most", "Write {} or less."),
    "minItems": ("has fewer entries than {}", "Write {} at least."),
    "minLength": ("has fewer characters than {}", "Write {} at least."),
    "minProperties": ("has fewer fields than {}", "Write {} at least."),
    "minimum": ("is below {}, the least", "Write {} or more."),
    "multipleOf": ("is no multiple of {}", "Write a multiple of {}."),
}
"""Message and fix for what is out of bounds, by keyword."""
EXAMPLE = "x-example"
"""Keyword of our own beside ``pattern``: a value that matches, for the fix."""


@dataclass(frozen=True)
class Violation:
    """One broken keyword of a schema.

    ``keyword`` is :data:`UNKNOWN_FIELD`, :data:`WRONG_TYPE` or another keyword of JSON Schema;
    ``path`` ends in the field concerned, also where that field is absent.  ``quotes_value`` says
    that ``message`` goes on after the value: ``'two' is no integer``.
    """

    keyword: str
    path: Path
    message: str
    fix: str
    quotes_value: bool = False

    def text(self, value: object) -> str:
        """The message about ``value``, which is what stands at ``path``."""
        return f"{show(value)} {self.message}" if self.quotes_value else self.message


def violations(schema: JsonSchema, value: Any) -> tuple[Violation, ...]:
    """Everything in ``value`` that breaks ``schema``, each field once, in order of path."""
    validator = validator_for(schema, default=Draft202012Validator)(schema)
    found = [violation for error in validator.iter_errors(value) for violation in _of(error)]
    misfits = {violation.path for violation in found if violation.keyword == WRONG_TYPE}
    telling = [v for v in found if v.keyword == WRONG_TYPE or v.path not in misfits]
    return tuple(sorted(dict.fromkeys(telling), key=lambda v: [_sortable(step) for step in v.path]))


def _sortable(step: str | int) -> str:
    return f"{step:09d}" if isinstance(step, int) else step


@dataclass(frozen=True)
class _Error:
    """A ValidationError as plain data: the keyword, what it asks for, and what it met."""

    keyword: str
    wanted: Any
    met: Any
    path: Path
    schema: Mapping[str, Any]
    reason: str
    inner: Sequence[ValidationError]


def _of(error: ValidationError) -> Iterator[Violation]:
    plain = _Error(
        keyword=str(error.validator),
        wanted=error.validator_value,
        met=error.instance,
        path=tuple(error.absolute_path),
        schema=error.schema if isinstance(error.schema, Mapping) else {},
        reason=error.message,
        inner=error.context or (),
    )
    if "propertyNames" in error.absolute_schema_path:
        yield _key(plain)
    else:
        yield from _WORDS.get(plain.keyword, _other)(plain)


def _key(error: _Error) -> Violation:
    """A key that ``propertyNames`` refuses: in ``error`` the key is the value that was met."""
    worse = next(_WORDS.get(error.keyword, _other)(error))
    path = (*error.path, str(error.met))
    return Violation("propertyNames", path, f"the key {worse.message}", worse.fix)


def _bound(error: _Error) -> Iterator[Violation]:
    message, fix = (text.format(error.wanted) for text in _BOUNDS[error.keyword])
    yield Violation(error.keyword, error.path, message, fix, quotes_value=True)


def _pattern(error: _Error) -> Iterator[Violation]:
    message = f"does not match the pattern {error.wanted}"
    example = error.schema.get(EXAMPLE)
    fix = f"Write it as in {example}." if example else "Write a value that matches."
    yield Violation("pattern", error.path, message, fix, quotes_value=True)


def _other(error: _Error) -> Iterator[Violation]:
    yield Violation(error.keyword, error.path, error.reason, "Correct the value.")


def _unknown(error: _Error) -> Iterator[Violation]:
    known = error.schema.get("properties", {})
    patterns = [re.compile(pattern) for pattern in error.schema.get("patternProperties", {})]
    for name in error.met:
        if name not in known and not any(pattern.search(name) for pattern in patterns):
            fix = _which(name, known)
            yield Violation(UNKNOWN_FIELD, (*error.path, name), "there is no such field", fix)


def _which(name: str, known: Mapping[str, Any]) -> str:
    meant = nearest(name, known)
    if meant is not None:
        return f"Did you mean {meant}?"
    if 0 < len(known) <= _FEW:
        return f"The fields here are {listed(sorted(known))}."
    return "Take it out, or move it to where it belongs."


def _missing(error: _Error) -> Iterator[Violation]:
    for name in error.wanted:
        if name not in error.met:
            path = (*error.path, name)
            yield Violation("required", path, "the field is missing", f"Write {name}.")


def _type(error: _Error) -> Iterator[Violation]:
    yield _wrong_type(error.path, _names(error.wanted))


def _names(wanted: Any) -> list[str]:
    return [wanted] if isinstance(wanted, str) else list(wanted)


def _wrong_type(path: Path, names: Iterable[str]) -> Violation:
    wanted = list(dict.fromkeys(_TYPES[name] for name in names if name in _TYPES))
    fix = f"Write {listed(wanted, 'or')}"
    if wanted == ["text"]:
        fix += ", in quotes if it looks like a number, true or null"
    return Violation(
        WRONG_TYPE, path, f"is not {listed(wanted, 'or')}", f"{fix}.", quotes_value=True
    )


def _enum(error: _Error) -> Iterator[Violation]:
    values = [str(value) for value in error.wanted]
    if len(values) == 1:
        yield from _const(replace(error, wanted=values[0]))
        return
    meant = nearest(str(error.met), values)
    fix = f"Did you mean {meant}?" if meant else "Write one of them."
    message = f"is none of {listed(values, 'or')}"
    yield Violation("enum", error.path, message, fix, quotes_value=True)


def _const(error: _Error) -> Iterator[Violation]:
    wanted = show(error.wanted)
    yield Violation(
        error.keyword, error.path, f"is not {wanted}", f"Write {wanted}.", quotes_value=True
    )


def _not(error: _Error) -> Iterator[Violation]:
    yield Violation(
        "not", error.path, "is not allowed here", "Write another value.", quotes_value=True
    )


def _branches(error: _Error) -> Iterator[Violation]:
    """``oneOf`` and ``anyOf``: a choice of fields, a choice of types, or the nearest branch."""
    keywords = {keyword for branch in error.wanted for keyword in branch}
    if keywords == {"required"}:
        names = listed((name for branch in error.wanted for name in branch["required"]), "or")
        exactly = "exactly one" if error.keyword == "oneOf" else "at least one"
        message = f"{exactly} of {names} belongs here"
        yield Violation(error.keyword, error.path, message, f"Write {exactly} of them.")
    elif keywords == {"type"}:
        names_of_types = [name for branch in error.wanted for name in _names(branch["type"])]
        yield _wrong_type(error.path, names_of_types)
    elif error.inner:
        for nearer in _nearest_branch(error.inner):
            yield from _of(nearer)
    else:
        message = "it has more than one of the forms of which it may have one"
        yield Violation(error.keyword, error.path, message, "Write one form.")


def _nearest_branch(errors: Sequence[ValidationError]) -> Sequence[ValidationError]:
    """The errors of the branch that was probably meant: its tags and types fit, most of it does."""
    branches: dict[Any, list[ValidationError]] = {}
    for error in errors:
        branches.setdefault(error.schema_path[0], []).append(error)
    return min(
        branches.values(),
        key=lambda found: (sum(e.validator in _TAGS for e in found), len(found)),
    )


_WORDS: Mapping[str, Callable[[_Error], Iterator[Violation]]] = {
    **dict.fromkeys(_BOUNDS, _bound),
    "additionalProperties": _unknown,
    "anyOf": _branches,
    "const": _const,
    "enum": _enum,
    "not": _not,
    "oneOf": _branches,
    "pattern": _pattern,
    "required": _missing,
    "type": _type,
}
