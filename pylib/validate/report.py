"""What validation says: findings, and what could not be checked.  Plain data, no decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad a finding is; ``NOTE`` never fails a run."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for an error, rising with harmlessness: for sorting."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Finding:
    """One rule broken by one object.

    ``path`` is dotted with indices inside the object; ``object`` is ``Kind/namespace/name``;
    ``waived`` carries the reason of the waiver that silences it, ``None`` otherwise.
    """

    rule: str
    severity: Severity
    message: str
    fix: str = ""
    object: str = ""
    path: str = ""
    file: str = ""
    line: int | None = None
    waived: str | None = None

    def with_waiver(self, reason: str) -> Finding:
        """The same finding, silenced, with the waiver's reason on it."""
        return replace(self, waived=reason)


@dataclass(frozen=True)
class Unchecked:
    """Something that no check could judge: not valid, not invalid; and why."""

    object: str
    reason: str
    file: str = ""
    line: int | None = None


@dataclass(frozen=True)
class Report:
    """The outcome of one validation over ``objects`` objects."""

    findings: tuple[Finding, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    objects: int = 0
    kubernetes: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)

    def count(self, severity: Severity) -> int:
        """Findings of this severity that no waiver silences."""
        return sum(1 for f in self.findings if f.severity is severity and f.waived is None)

    def failed(self, fail_on: Severity) -> bool:
        """True when a finding at least as bad as ``fail_on`` stands unwaived."""
        return any(f.waived is None and f.severity.rank <= fail_on.rank for f in self.findings)

    def as_dict(self) -> Mapping[str, Any]:
        """JSON-serialisable form; enumerations are their values."""
        return asdict(self)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by file, line, severity and rule, so that two runs print the same."""
    return tuple(
        sorted(findings, key=lambda f: (f.file, f.line or 0, f.severity.rank, f.rule, f.message))
    )
