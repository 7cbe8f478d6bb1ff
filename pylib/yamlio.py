"""YAML in and out, with the line of every field and none of YAML's traps.

Refused: duplicate keys (PyYAML keeps the last, helm the last, kubectl neither), aliases that
expand without end, tags other than JSON's types.  What is a number and what is text goes by the Go
library of helm and kubectl, in both directions: ``1e3``, ``09`` and ``y`` are no text, dates and
base-60 numbers are.  A text written as helm would misread it is put in quotes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from pylib.errors import Problem

MAX_NODES = 500_000
MAX_DEPTH = 100

Path = tuple[str | int, ...]

_Loader: Any = type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
_TAG = "tag:yaml.org,2002:"
_TEXTS = frozenset({"str", "timestamp", "value"})
_SCALARS = _TEXTS | {"null", "bool", "int", "float"}
_BOOLS = {"true": True, "yes": True, "on": True, "y": True} | dict.fromkeys(
    ("false", "no", "off", "n"), False
)
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)$")
_DIGITS = 308
"""Decimal digits of the largest float; helm reads a longer number as text."""
_BITS = 64
_PAIRS = re.compile(r"\\\\|\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
_FLOATS = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}

_RARE_BREAKS = "\x85\u2028\u2029"

# What Go's YAML resolves and PyYAML does not: tag, pattern, first characters.
# https://github.com/yaml/go-yaml/blob/v3.0.4/resolve.go
_GO_TYPES = (
    ("bool", r"[yYnN]$", "yYnN"),
    ("int", r"[-+]?0(?:[oO][0-7_]+|[bB][01_]+|[xX][0-9a-fA-F_]+)$", "-+0"),
    (
        "float",
        r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9][0-9_]*)?$",
        "-+.0123456789",
    ),
)


class YamlError(Exception):
    """Text that is no acceptable YAML; ``problems`` holds each reason with its line."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("; ".join(p.message for p in problems))


@dataclass(frozen=True)
class Document:
    """One YAML document: its value, and the 1-based line of each node by path.

    ``texts`` holds the numbers and switches as they were written: ``0.10``, ``yes``.
    """

    body: Any
    line: int
    lines: dict[Path, int]
    texts: dict[Path, str] = field(default_factory=dict)


def dotted(path: Path) -> str:
    """``("cells", 0, "zone")`` as ``cells[0].zone``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def parse_all(text: str) -> tuple[Document, ...]:
    """Every non-empty document of ``text``.  Raises :class:`YamlError` with all problems."""
    return tuple(_documents(text))


def parse_one(text: str) -> Document:
    """The only document of ``text``; an empty file gives an empty mapping.

    Raises :class:`YamlError` for bad YAML, or for more than one document.
    """
    found = parse_all(text)
    if len(found) > 1:
        raise YamlError(
            Problem("", "a second YAML document starts here", "Keep one document.", found[1].line)
        )
    return found[0] if found else Document({}, 1, {})


def dump(value: Any) -> str:
    """``value`` as block-style YAML, keys in the given order, texts never folded."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, width=4096, allow_unicode=True, indent=2
    )
    return text


def yaml_escapes(text: str) -> str:
    """JSON text that YAML reads too: a character beyond U+FFFF as one escape, not as a pair.

    DEL, which JSON leaves as it is and YAML refuses, becomes an escape as well.
    """
    return _PAIRS.sub(_one_escape, text.replace("\x7f", "\\u007f"))


def _one_escape(pair: re.Match[str]) -> str:
    if pair[1] is None:  # an escaped backslash, which begins no other escape
        return pair[0]
    code = 0x10000 + ((int(pair[1], 16) - 0xD800) << 10) + int(pair[2], 16) - 0xDC00
    return f"\\U{code:08x}"


class _Dumper(yaml.SafeDumper):
    """Block sequences indented under their key; several lines of text as a literal block."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _represent_str(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    style = "|" if "\n" in data else None
    if any(mark in data for mark in _RARE_BREAKS):
        style = '"'  # PyYAML folds them into spaces in any other style
    return dumper.represent_scalar(f"{_TAG}str", data, style=style)


_Dumper.add_representer(str, _represent_str)
for _kind, _pattern, _first in _GO_TYPES:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(_pattern), list(_first))


def _guard_depth(text: str) -> None:
    """Refuse nesting that would overflow the C composer's stack, which ends the process.

    A level of block style costs a column, a level of flow style a bracket; so only text with long
    lines or many brackets needs the scan of events, which does not recurse.
    """
    longest = max(map(len, text.splitlines()), default=0)
    if longest < MAX_DEPTH and text.count("[") + text.count("{") < MAX_DEPTH:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _too_large("", _line(event))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _too_large(path: str, line: int) -> YamlError:
    message = f"the document expands to over {MAX_NODES} nodes or {MAX_DEPTH} levels"
    fix = "Write the values out; aliases that multiply each other are refused."
    return YamlError(Problem(path, message, fix, line))


def _documents(text: str) -> Iterator[Document]:
    try:
        _guard_depth(text)
        nodes = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        reason = " ".join(part for part in (error.context, error.problem) if part)
        fix = "Mend the YAML at this line; a tab, a lost quote or a wrong indent is usual."
        raise YamlError(Problem("", f"not valid YAML: {reason}", fix, line)) from None
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        reason = str(error).splitlines()[0]
        raise YamlError(
            Problem("", f"not valid YAML: {reason}", "Save the file as plain UTF-8 YAML.")
        ) from None
    for node in nodes:
        if node.tag == f"{_TAG}null":
            continue
        reader = _Reader()
        body = reader.read(node, ())
        if reader.problems:
            raise YamlError(*reader.problems)
        yield Document(body, _line(node), reader.lines, reader.texts)


class _Reader:
    """Turns one tree of YAML nodes into plain data, noting lines and problems."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.texts: dict[Path, str] = {}
        self.problems: list[Problem] = []
        self._count = 0
        self._depth = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._count += 1
        self._depth += 1
        if self._count > MAX_NODES or self._depth > MAX_DEPTH + 1:
            raise _too_large(dotted(path[:3]), _line(node))
        self.lines.setdefault(path, _line(node))
        value = self._value(node, path)
        self._depth -= 1
        return value

    def _value(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            self._refuse_tag(node, path)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        own = [pair for pair in node.value if pair[0].tag != f"{_TAG}merge"]
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                for source in self._merge(value_node, path):
                    merged = {**source, **merged}
        return {**merged, **self._own(own, path)}

    def _own(self, pairs: list[tuple[yaml.Node, yaml.Node]], path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in pairs:
            key = self._key(key_node, path)
            line = _line(key_node)
            if key in result:
                first = self.lines[(*path, key)]
                self._problem(
                    (*path, key),
                    f"the key is given twice; the first is on line {first}",
                    "Keep one of the two.",
                    line,
                )
            self.lines[(*path, key)] = line
            result[key] = self.read(value_node, (*path, key))
        return result

    def _merge(self, node: yaml.Node, path: Path) -> list[dict[str, Any]]:
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if all(isinstance(item, yaml.MappingNode) for item in items):
            return [self.read(item, path) for item in items]
        fix = "Write <<: *name, where &name stands before a map."
        self._problem(path, "<< takes a map, or a list of maps", fix, _line(node))
        return []

    def _key(self, node: yaml.Node, path: Path) -> str:
        if isinstance(node, yaml.ScalarNode):
            if node.tag.removeprefix(_TAG) not in _SCALARS:
                self._refuse_tag(node, path)
            return str(node.value)  # a key is text, whatever it looks like
        self._problem(
            path, "a list or map stands where a key belongs", "Write a plain key.", _line(node)
        )
        return ""

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        text = str(node.value)
        kind = node.tag.removeprefix(_TAG)
        if kind in _TEXTS:
            return text
        if kind == "null":
            return None
        if kind not in _SCALARS:
            self._refuse_tag(node, path)
            return None
        self.texts[path] = text
        if kind == "bool":
            return _BOOLS.get(text.lower(), text)
        return _integer(text) if kind == "int" else _float(text)

    def _refuse_tag(self, node: yaml.Node, path: Path) -> None:
        fix = "Use text, numbers, true/false, null, lists and maps only."
        self._problem(path, f"the tag {node.tag} is not allowed", fix, _line(node))

    def _problem(self, path: Path, message: str, fix: str, line: int) -> None:
        self.problems.append(Problem(dotted(path), message, fix, line))


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _integer(text: str) -> int | str:
    plain = text.replace("_", "").lower()
    if _DECIMAL.match(text):
        return int(plain) if len(plain) <= _DIGITS else text
    try:
        number = int(plain, 0 if plain.lstrip("+-")[1:2] in ("b", "o", "x") else 8)
    except ValueError:
        return text
    return number if number.bit_length() <= _BITS else text


def _float(text: str) -> float | str:
    plain = text.replace("_", "").lower()
    if plain in _FLOATS:
        return _FLOATS[plain]
    try:
        number = float(plain)
    except ValueError:
        return text
    return text if math.isinf(number) else number
