"""Manifests from files, folders and standard input, as ``validate`` takes them.

Every problem of every file is reported at once.  A ``List`` is taken apart; its items keep the
lines of the file.
"""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from pylib.errors import ManifestError, Problem
from pylib.manifests import Lines, Manifest
from pylib.validate.words import count, listed, show
from pylib.yamlio import Document, YamlError, parse_all, yaml_escapes
from pylib.yamlio import Path as FieldPath

MAX_BYTES = 100 * 1024 * 1024
"""A file larger than this is refused: a release has a few hundred KiB at most."""

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_STDIN = "-"
_BUILD_FILES = frozenset({"kustomization.yaml", "kustomization.yml"})
"""Files that tools for manifests read and no cluster ever sees: skipped in folders."""


def read_inputs(paths: Sequence[str | Path], stdin: TextIO) -> tuple[Manifest, ...]:
    """The objects of all ``paths``, in the order given and by name inside a folder.

    A path is a file, a folder (searched for ``*.yaml``, ``*.yml`` and ``*.json``, hidden ones left
    out) or ``-`` for ``stdin``.  Raises :class:`ManifestError` with every problem, also where a
    path holds no object at all.
    """
    reader = _Reader()
    with _no_collection():
        for path in paths:
            reader.read(str(path), stdin)
    if reader.problems:
        head = count(len(reader.problems), "problem")
        raise ManifestError("\n".join([head, *reader.problems]))
    return tuple(reader.manifests)


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection meanwhile: reading makes millions of objects and no garbage in cycles.

    Otherwise two thirds of the time for 10,000 objects go into looking through them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Reader:
    def __init__(self) -> None:
        self.manifests: list[Manifest] = []
        self.problems: list[str] = []

    def read(self, path: str, stdin: TextIO) -> None:
        before = len(self.manifests), len(self.problems)
        if path == _STDIN:
            self._bytes(_raw(stdin), _STDIN)
        else:
            self._path(Path(path))
        if before == (len(self.manifests), len(self.problems)):
            fix = "Name a file or folder that holds Kubernetes objects."
            self._problem(path, Problem("", "there is no object in it", fix))

    def _path(self, path: Path) -> None:
        try:
            if path.is_dir():
                for inside in _inside(path):
                    self._path(inside)
            else:
                self._file(path)
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            self._problem(str(path), Problem("", message, "Check the path and its permissions."))

    def _file(self, file: Path) -> None:
        size = file.stat().st_size
        if size > MAX_BYTES:
            message = f"the file has {size} bytes, more than {MAX_BYTES}"
            self._problem(str(file), Problem("", message, "Split it, or name other files."))
        else:
            self._bytes(file.read_bytes(), str(file))

    def _bytes(self, raw: bytes, file: str) -> None:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            message = f"byte {error.start + 1} is not UTF-8"
            self._problem(file, Problem("", message, "Save the file as UTF-8.", line))
            return
        try:
            documents = _parse(text)
        except YamlError as error:
            for problem in error.problems:
                self._problem(file, _with_hint(problem, text))
            return
        for document in documents:
            self._object(document.body, file, document.line, document.lines)

    def _object(self, body: Any, file: str, line: int, lines: Lines) -> None:
        problem = _not_an_object(body, line)
        if problem is not None:
            self._problem(file, problem)
            return
        items = body.get("items")
        if body["kind"].endswith("List") and isinstance(items, list):
            tables = _lines_of_items(lines, len(items))
            for item, table in zip(items, tables, strict=True):
                self._object(item, file, table.get((), line), table)
            return
        if problem := _nameless(body, lines, line):
            self._problem(file, problem)
            return
        self.manifests.append(Manifest(body, file, line, lines))

    def _problem(self, file: str, problem: Problem) -> None:
        self.problems.append(problem.render(file))


def _raw(stdin: TextIO) -> bytes:
    buffer = getattr(stdin, "buffer", None)
    return buffer.read() if isinstance(buffer, io.BufferedIOBase) else stdin.read().encode()


def _inside(folder: Path) -> Iterator[Path]:
    """What to read in a folder; a folder that is a link could lead round in a circle."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _BUILD_FILES:
            continue
        is_folder = path.is_dir()
        if (is_folder and not path.is_symlink()) or (
            not is_folder and path.suffix.lower() in _SUFFIXES
        ):
            yield path


def _parse(text: str) -> Sequence[Document]:
    return parse_all(yaml_escapes(text) if text.lstrip().startswith("{") else text)


def _with_hint(problem: Problem, text: str) -> Problem:
    if "{{" not in text:
        return problem
    fix = "This looks like a template; render it first (helm template) and check what comes out."
    return replace(problem, fix=fix)


def _not_an_object(body: Any, line: int) -> Problem | None:
    if not isinstance(body, Mapping):
        message = f"{show(body)} is no Kubernetes object"
        return Problem("", message, "Write a map with apiVersion, kind and metadata.", line)
    absent = [key for key in ("apiVersion", "kind") if not body.get(key)]
    if absent:
        message = (
            f"no Kubernetes object: {listed(absent)} {'is' if len(absent) == 1 else 'are'} missing"
        )
        return Problem("", message, f"Write {listed(absent)}, or leave the file out.", line)
    odd = [key for key in ("apiVersion", "kind") if not isinstance(body[key], str)]
    if odd:
        message = f"{show(body[odd[0]])} is not text"
        return Problem(odd[0], message, "Write text, such as v1 or ConfigMap.", line)
    return None


def _nameless(body: Mapping[str, Any], lines: Lines, line: int) -> Problem | None:
    metadata = body.get("metadata")
    names = metadata if isinstance(metadata, Mapping) else {}
    if names.get("name") or names.get("generateName"):
        return None
    where = lines.get(("metadata",), line)
    return Problem(
        "metadata.name", f"the {body['kind']} has no name", "Write metadata.name.", where
    )


def _lines_of_items(lines: Lines, number: int) -> list[dict[FieldPath, int]]:
    """The table of lines of each item of a List, from the table of the whole."""
    tables: list[dict[FieldPath, int]] = [{} for _ in range(number)]
    for path, line in lines.items():
        if len(path) > 1 and path[0] == "items" and isinstance(path[1], int):
            tables[path[1]][path[2:]] = line
    return tables
