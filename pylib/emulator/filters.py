"""List filters: ``labels.owner="a"``, ``name eq "b.*"``, AND, OR, NOT and parentheses.

Source: https://cloud.google.com/compute/docs/reference/rest/v1/disks/list (the parameter filter)
and https://google.aip.dev/160.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pylib.emulator.errors import Json, invalid

Test = Callable[[Json], bool]

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<open>\() | (?P<close>\)) |
    (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*') |
    (?P<sign>!=|<=|>=|=|:|<|>|-(?=[A-Za-z(])) |
    (?P<word>[^\s()=!<>:"']+)
    )""",
    re.VERBOSE,
)
_COMPARISONS = {"=", "!=", "<", "<=", ">", ">=", ":", "eq", "ne"}


def compile_filter(text: str) -> Test:
    """The test that a filter is; an empty one passes everything.  400 for what is no filter."""
    if not text.strip():
        return lambda _doc: True
    try:
        return _Parser(list(_tokens(text))).whole()
    except (ValueError, IndexError, re.error):
        raise invalid("filter", text, "Invalid list filter expression.") from None


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    rest = text.rstrip()
    while at < len(rest):
        found = _TOKEN.match(rest, at)
        if found is None or found.lastgroup is None:
            raise ValueError(rest[at:])
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def whole(self) -> Test:
        test = self._either()
        if self._at != len(self._tokens):
            raise ValueError(self._tokens[self._at])
        return test

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _take(self) -> tuple[str, str]:
        self._at += 1
        return self._tokens[self._at - 1]

    def _either(self) -> Test:
        tests = [self._both()]
        while self._peek() == ("word", "OR"):
            self._take()
            tests.append(self._both())
        return lambda doc: any(test(doc) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._peek()[0] not in {"", "close"} and self._peek() != ("word", "OR"):
            if self._peek() == ("word", "AND"):
                self._take()
            tests.append(self._one())
        return lambda doc: all(test(doc) for test in tests)

    def _one(self) -> Test:
        if self._peek() in {("word", "NOT"), ("sign", "-")}:
            self._take()
            test = self._one()
            return lambda doc: not test(doc)
        if self._peek()[0] == "open":
            self._take()
            test = self._either()
            if self._take()[0] != "close":
                raise ValueError(")")
            return test
        return self._comparison()

    def _comparison(self) -> Test:
        kind, key = self._take()
        _, sign = self._take()
        sort, value = self._take()
        if kind != "word" or sign not in _COMPARISONS or sort not in {"text", "word"}:
            raise ValueError(key)
        if sort == "text":
            value = (
                re.sub(r"\\(.)", r"\1", value[1:-1]) if sign not in {"eq", "ne"} else value[1:-1]
            )
        return _compare(key, sign, value)


def _compare(key: str, sign: str, value: str) -> Test:
    if sign in {"eq", "ne"}:
        pattern = re.compile(value)
        return lambda doc: bool(pattern.fullmatch(_text(_field(doc, key)))) == (sign == "eq")
    if sign == ":":
        return lambda doc: _has(_field(doc, key), value)
    if sign in {"=", "!="}:
        return lambda doc: (_text(_field(doc, key)) == value) == (sign == "=")
    return lambda doc: _ordered(_text(_field(doc, key)), sign, value)


def _field(doc: Json, key: str) -> Any:
    found: Any = doc
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _text(found: Any) -> str:
    if isinstance(found, bool):
        return "true" if found else "false"
    return "" if found is None else str(found)


def _has(found: Any, value: str) -> bool:
    if value == "*":
        return found is not None
    if isinstance(found, dict):
        return value in found
    if isinstance(found, list):
        return any(_text(one) == value for one in found)
    return value.strip("*").lower() in _text(found).lower() if found is not None else False


def _ordered(text: str, sign: str, value: str) -> bool:
    try:
        left, right = float(text), float(value)
    except ValueError:
        order = (text > value) - (text < value)
    else:
        order = (left > right) - (left < right)
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[sign]
