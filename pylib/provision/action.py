"""One step of a plan: what is done to which resource, why, and the same as a command."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verb(StrEnum):
    """What is done; ``REUSE`` and ``CHECK`` change nothing."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    DELETE = "delete"
    REUSE = "reuse"
    CHECK = "check"


UNCHANGING = frozenset({Verb.REUSE, Verb.CHECK})


@dataclass(frozen=True)
class Action:
    """``commands`` are lines for people who do it by hand; ``spec`` is what the step needs to know,
    and no part of what is shown."""

    verb: Verb
    kind: str
    name: str
    why: str = ""
    commands: tuple[str, ...] = ()
    spec: Any = None

    @property
    def changes(self) -> bool:
        """Whether anything is done."""
        return self.verb not in UNCHANGING

    def data(self) -> dict[str, Any]:
        """As JSON."""
        found = {"action": self.verb.value, "kind": self.kind, "name": self.name, "why": self.why}
        return {**found, "commands": list(self.commands)}

    def __str__(self) -> str:
        """One line."""
        why = f": {self.why}" if self.why else ""
        return f"{self.verb:7} {self.kind} {self.name}{why}"
