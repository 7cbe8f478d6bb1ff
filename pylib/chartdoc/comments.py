"""Reads what values.yaml says about its keys: the comment above each that starts with ``# --``."""

from __future__ import annotations

from collections.abc import Sequence

from pylib.yamlio import Document, Path

_START = "# --"


def descriptions(text: str, document: Document) -> dict[Path, str]:
    """The sentence of each key of ``document`` by path; keys without one are left out.

    ``text`` is the file that ``document`` was read from.  Lists are not looked into.
    """
    lines = text.splitlines()
    found = {
        path: _above(lines, line)
        for path, line in document.lines.items()
        if path and all(isinstance(step, str) for step in path)
    }
    return {path: said for path, said in found.items() if said}


def _above(lines: Sequence[str], line: int) -> str:
    """The ``# --`` comment that ends right above the 1-based ``line``; empty without one."""
    words: list[str] = []
    for index in range(line - 2, -1, -1):
        text = lines[index].strip()
        if text.startswith(_START):
            return " ".join([text.removeprefix(_START).strip(), *words])
        if not text.startswith("#"):
            return ""
        words.insert(0, text.removeprefix("#").strip())
    return ""
