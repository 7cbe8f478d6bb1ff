"""Pieces of messages: a value as it is quoted, a list of names, the word that was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

_SHOWN = 60
_NAMED = 12


def show(value: object) -> str:
    """A value as a message quotes it: short, and in YAML's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def listed(names: Iterable[object], last: str = "and") -> str:
    """``a, b and c``; what goes beyond a dozen is counted only."""
    words = [str(name) for name in names]
    if len(words) > _NAMED:
        words = [*words[:_NAMED], f"{len(words) - _NAMED} more"]
    head, tail = words[:-1], words[-1:]
    return f" {last} ".join(part for part in (", ".join(head), *tail) if part)


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of ``words`` that was probably meant, or ``None``."""
    by_case = {name.lower(): name for name in words}
    near = difflib.get_close_matches(word.lower(), by_case, n=1)
    return by_case[near[0]] if near else None


def count(number: int, noun: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
