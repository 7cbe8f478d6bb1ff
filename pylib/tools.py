"""Finds the programs that pylib runs, and refuses those whose version does not fit.

``VFS_HELM`` and ``VFS_KUBECONFORM`` name a program outright; else the source tree's ``.tools/bin``
is looked at, then PATH.  A program is asked for its version once; the answer is kept with its path,
size and time of change.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pylib import cache, proc
from pylib.errors import ToolFailedError, ToolMissingError

Version = tuple[int, int, int]

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)\b")
_PROJECT_TOOLS = Path(__file__).resolve().parents[1] / ".tools" / "bin"
_LONGEST_ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class Tool:
    """A program: how to ask for its version, and which versions fit.

    ``ranges`` holds pairs of a least version and the first version that no longer fits.
    """

    name: str
    variable: str
    ask: tuple[str, ...]
    ranges: tuple[tuple[Version, Version | None], ...]
    fits: str

    def accepts(self, version: Version) -> bool:
        """Whether ``version`` lies in one of the ranges."""
        return any(low <= version and (high is None or version < high) for low, high in self.ranges)


HELM = Tool(
    name="helm",
    variable="VFS_HELM",
    ask=("version", "--template", "{{.Version}}"),
    ranges=(((3, 18, 5), (4, 0, 0)), ((4, 1, 4), None)),
    fits="helm 4.1.4 or newer, or helm 3.18.5 or newer",
)
"""The least versions are those that mend GHSA-q5jf-9vfq-h4h7 (4) and GHSA-9h84-qmv7-982p (3)."""

KUBECONFORM = Tool(
    name="kubeconform",
    variable="VFS_KUBECONFORM",
    ask=("-v",),
    ranges=(((0, 6, 0), None),),
    fits="kubeconform 0.6.0 or newer",
)


def find_helm() -> Path:
    """Path of a helm that fits; raises :class:`ToolMissingError` otherwise."""
    return find(HELM)


def find_kubeconform() -> Path:
    """Path of a kubeconform that fits; raises :class:`ToolMissingError` otherwise."""
    return find(KUBECONFORM)


def find(tool: Tool) -> Path:
    """Path of the first candidate whose version fits; the error says what is wrong with each."""
    refused: list[str] = []
    for path in _candidates(tool):
        answer = _answer(tool, path)
        found = _VERSION.search(answer)
        if found is None:
            refused.append(f"{path} answers {answer!r}, which is no version number")
        elif not tool.accepts((int(found[1]), int(found[2]), int(found[3]))):
            refused.append(f"{path} is {found[0]}")
        else:
            return path
    looked = "; ".join(refused) or _nowhere(tool)
    message = (
        f"no {tool.name} that fits: {looked}.\n"
        f"{tool.fits} is needed: run scripts/install-tools {tool.name}, put one on PATH, "
        f"or name it in {tool.variable}."
    )
    raise ToolMissingError(message)


def _candidates(tool: Tool) -> Iterator[Path]:
    if named := os.environ.get(tool.variable):
        if found := shutil.which(named):
            yield Path(found).absolute()
        return
    for folder in (str(_PROJECT_TOOLS), None):
        if found := shutil.which(tool.name, path=folder):
            yield Path(found).absolute()


def _nowhere(tool: Tool) -> str:
    if named := os.environ.get(tool.variable):
        return f"{tool.variable} names {named}, which is no program"
    return "there is none in .tools/bin or on PATH"


def _answer(tool: Tool, path: Path) -> str:
    """What the program says of its version, from the cache while the file is the same."""
    stat = path.stat()
    stamp = f"{stat.st_size}:{stat.st_mtime_ns}:"
    store = cache.folder() / "tools.json"
    known = _known(store)
    if known.get(str(path), "").startswith(stamp):
        return known[str(path)].removeprefix(stamp)
    try:
        done = proc.run([path, *tool.ask], timeout=_LONGEST_ANSWER_SECONDS)
    except (ToolFailedError, OSError) as error:
        return str(error)
    answer = done.stdout.strip()
    cache.write(store, json.dumps({**known, str(path): stamp + answer}))
    return answer


def _known(store: Path) -> dict[str, str]:
    try:
        table = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in table.items()} if isinstance(table, dict) else {}
