"""Every argument of ``vllm serve`` and every VLLM_* variable, by release.

``vllm_flags.json`` beside this module was written by ``scripts/check-vllm-args --write``: vLLM's
own parser, built by the code of each release's source package or wheel, with stand-ins for torch
and the rest.  A full installation of 0.33.0 gave the same, but for the choices of --lora-dtype.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from pylib.facts.vllm import Gate, Version

TABLE = Path(__file__).with_name("vllm_flags.json")

FlagKind = Literal["switch", "int", "size", "float", "json", "str"]


@dataclass(frozen=True)
class Flag:
    """One option string over a run of releases that say the same of it.

    ``kind`` is the type of the value: a ``switch`` takes none, a ``size`` is an integer that may
    end in k, K, M, … .  ``choices`` are all values allowed, ``words`` those allowed beside the
    kind's; ``many`` takes one value or more, ``optional`` none or one; ``repeats`` may be given
    again; ``of`` is the long form of the same argument, empty when this is it.
    """

    name: str
    gate: Gate
    kind: FlagKind
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    many: bool = False
    optional: bool = False
    repeats: bool = False
    of: str = ""


@dataclass(frozen=True)
class Table:
    """What was read: the releases, oldest first, and each name's runs of releases."""

    versions: tuple[Version, ...]
    flags: Mapping[str, tuple[Flag, ...]]
    environment: Mapping[str, tuple[Gate, ...]]

    def covers(self, version: Version) -> bool:
        """True when this very release was read, so that what it lacks it does not know."""
        return version in self.versions

    def flag(self, name: str, version: Version) -> Flag | None:
        """The argument as that release has it; one newer than all read is taken for the newest."""
        return next((f for f in self.flags.get(name, ()) if f.gate.has(version)), None)

    def names(self, version: Version) -> tuple[str, ...]:
        """Option strings that release has."""
        return tuple(name for name in self.flags if self.flag(name, version))

    def reads(self, variable: str, version: Version) -> bool:
        """True when that release reads this environment variable."""
        return any(gate.has(version) for gate in self.environment.get(variable, ()))


def gates_text(gates: Iterable[Gate]) -> str:
    """Releases in words, runs that meet joined: ``vLLM 0.18.0 and newer``."""
    joined: list[Gate] = []
    for gate in gates:
        if joined and joined[-1].until == gate.since:
            joined[-1] = Gate(joined[-1].since, gate.until)
        else:
            joined.append(gate)
    return ", ".join(map(str, joined))


@cache
def table() -> Table:
    """The table as committed, read once."""
    said = json.loads(TABLE.read_text(encoding="utf-8"))
    return Table(
        versions=tuple(v for v in map(Version.parse, said["versions"]) if v is not None),
        flags={
            name: tuple(_flag(name, run) for run in runs) for name, runs in said["flags"].items()
        },
        environment={
            name: tuple(_gate(run) for run in runs) for name, runs in said["environment"].items()
        },
    )


def _gate(run: Mapping[str, Any]) -> Gate:
    return Gate(run["since"], run.get("until"))


def _flag(name: str, run: Mapping[str, Any]) -> Flag:
    if run["kind"] not in get_args(FlagKind):
        raise ValueError(f"{TABLE.name}: {name} is of the unknown kind {run['kind']!r}")
    return Flag(
        name=name,
        gate=_gate(run),
        kind=run["kind"],
        choices=tuple(run.get("choices", ())),
        words=tuple(run.get("words", ())),
        many=run.get("many", False),
        optional=run.get("optional", False),
        repeats=run.get("repeats", False),
        of=run.get("of", ""),
    )
