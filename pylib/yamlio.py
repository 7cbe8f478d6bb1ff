"""YAML in and out, with the line of every field and none of YAML's traps.

Refused: duplicate keys (PyYAML keeps the last, helm the last, kubectl neither), aliases that
expand without end, tags other than JSON's types.  Dates and base-60 numbers stay text, as they do
for every Kubernetes tool, which reads YAML as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from pylib.errors import Problem

MAX_NODES = 500_000
MAX_DEPTH = 100

Path = tuple[str | int, ...]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TRUE = frozenset({"true", "yes", "on"})
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)$")
_FLOATS = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf")}


class YamlError(Exception):
    """Text that is no acceptable YAML; ``problems`` holds each reason with its line."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("; ".join(p.message for p in problems))


@dataclass(frozen=True)
class Document:
    """One YAML document: its value, and the 1-based line of each node by path."""

    body: Any
    line: int
    lines: dict[Path, int]


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
    return dumper.represent_scalar(f"{_TAG}str", data, style=style)


_Dumper.add_representer(str, _represent_str)


def _guard_depth(text: str) -> None:
    """Refuse nesting that would overflow the C composer's stack, which ends the process.

    A level of block style costs a column, a level of flow style a bracket; so only text with long
    lines or many brackets needs the scan of events, which does not recurse.
    """
    longest = max(map(len, text.splitlines()), default=0)
    if longest < MAX_DEPTH and text.count("[") + text.count("{") < MAX_DEPTH:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _too_large("", event.start_mark.line + 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _too_large(path: str, line: int) -> YamlError:
    message = f"the document expands to over {MAX_NODES} nodes or {MAX_DEPTH} levels"
    fix = "Write the values out; aliases that multiply each other are refused."
    return YamlError(Problem(path, message, fix, line))


def _documents(text: str) -> Iterator[Document]:
    try:
        _guard_depth(text)
        nodes = list(yaml.compose_all(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        reason = " ".join(part for part in (error.context, error.problem) if part)
        fix = "Mend the YAML at this line; a tab, a lost quote or a wrong indent is usual."
        raise YamlError(Problem("", f"not valid YAML: {reason}", fix, line)) from None
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise YamlError(
            Problem("", f"not valid YAML: {reason}", "Save the file as plain UTF-8 YAML.")
        ) from None
    for node in nodes:
        if node is None or node.tag == f"{_TAG}null":
            continue
        reader = _Reader()
        body = reader.read(node, ())
        if reader.problems:
            raise YamlError(*reader.problems)
        yield Document(body, node.start_mark.line + 1, reader.lines)


class _Reader:
    """Turns one tree of YAML nodes into plain data, noting lines and problems."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._count = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._count += 1
        if self._count > MAX_NODES or len(path) > MAX_DEPTH:
            raise _too_large(dotted(path[:3]), _line(node))
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                merged.extend(self._merge(value_node, path))
                continue
            key = self._key(key_node, path)
            line = key_node.start_mark.line + 1
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
        for source in merged:
            result = {**source, **result}
        return result

    def _merge(self, node: yaml.Node, path: Path) -> list[dict[str, Any]]:
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return [self._mapping(item, path) for item in items if isinstance(item, yaml.MappingNode)]

    def _key(self, node: yaml.Node, path: Path) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self._problem(
            path, "a list or map stands where a key belongs", "Write a plain key.", _line(node)
        )
        return ""

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        text = str(node.value)
        kind = node.tag.removeprefix(_TAG)
        if kind in ("str", "timestamp", "value"):
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in _TRUE
        if kind == "int":
            return _integer(text)
        if kind == "float":
            return _float(text)
        self._problem(
            path,
            f"the tag {node.tag} is not allowed",
            "Use text, numbers, true/false, null, lists and maps only.",
            _line(node),
        )
        return None

    def _problem(self, path: Path, message: str, fix: str, line: int) -> None:
        self.problems.append(Problem(dotted(path), message, fix, line))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _integer(text: str) -> int | str:
    if _DECIMAL.match(text):
        return int(text.replace("_", ""))
    if ":" in text:
        return text
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").replace("_", "").lower()
    base = 16 if digits.startswith("0x") else 2 if digits.startswith("0b") else 8
    return sign * int(digits, base)


def _float(text: str) -> float | str:
    plain = text.replace("_", "").lower()
    if plain in _FLOATS:
        return _FLOATS[plain]
    if plain == ".nan":
        return float("nan")
    return text if ":" in text else float(plain)
