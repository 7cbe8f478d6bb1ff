"""The table of vLLM's arguments by release: from one list a release to intervals, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylib.facts.vllm import Version

Intervals = list[dict[str, Any]]


@dataclass(frozen=True)
class Release:
    """One release: its arguments by option string, and the VLLM_* variables that it reads."""

    version: str
    flags: Mapping[str, Mapping[str, Any]]
    environment: frozenset[str]


def intervals(names: Iterable[str], versions: list[str], said: Callable[[str, str], Any]) -> Any:
    """For each name the runs of releases that say the same of it.

    ``said(name, version)`` is a mapping, or ``None`` where the release does not know the name.  A
    run holds ``since``, its first release, and ``until``, the first one after it, if there is one.
    """
    found: dict[str, Intervals] = {}
    for name in sorted(names):
        runs: Intervals = []
        before = None
        for version in versions:
            now = said(name, version)
            if now != before and before is not None:
                runs[-1]["until"] = version
            if now != before and now is not None:
                runs.append({"since": version, **now})
            before = now
        found[name] = runs
    return found


def write_table(file: Path, releases: Mapping[str, Release]) -> None:
    """Write the table, a name a line."""
    versions = sorted(releases, key=_order)
    flags = {name for release in releases.values() for name in release.flags}
    names = {name for release in releases.values() for name in release.environment}
    parts = {
        "flags": intervals(flags, versions, lambda n, v: releases[v].flags.get(n)),
        "environment": intervals(
            names, versions, lambda n, v: {} if n in releases[v].environment else None
        ),
    }
    lines = [f' "versions": {json.dumps(versions)}']
    for part, entries in parts.items():
        rows = ",\n".join(
            f"  {json.dumps(name)}: {_compact(runs)}" for name, runs in entries.items()
        )
        lines.append(f' "{part}": {{\n{rows}\n }}')
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read_table(file: Path) -> dict[str, Release]:
    """The releases that a table holds."""
    if not file.exists():
        return {}
    table = json.loads(file.read_text(encoding="utf-8"))
    return {
        version: Release(
            version=version,
            flags=_at(table["flags"], version),
            environment=frozenset(_at(table["environment"], version)),
        )
        for version in table["versions"]
    }


def _at(entries: Mapping[str, Intervals], version: str) -> dict[str, dict[str, Any]]:
    found = {}
    for name, runs in entries.items():
        for run in runs:
            until = run.get("until")
            if _order(run["since"]) <= _order(version) and (
                until is None or _order(version) < _order(until)
            ):
                found[name] = {k: v for k, v in run.items() if k not in {"since", "until"}}
    return found


def _order(version: str) -> Version:
    parsed = Version.parse(version)
    if parsed is None:
        raise SystemExit(f"error: {version!r} is no release of vLLM; write it as in 0.33.0")
    return parsed


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
