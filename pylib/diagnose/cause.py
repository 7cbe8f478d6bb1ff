"""What diagnosis answers: a cause, where it lies, and the next thing to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pylib.validate.report import Severity

__all__ = ["Cause", "Severity", "in_order"]


@dataclass(frozen=True)
class Cause:
    """Why a release is not ready, not fast or not scaling.

    ``code`` is stable and in kebab-case; ``object`` is ``Kind/name``; ``message`` says what, with
    which value, and why; ``next`` is the next command or the change of the values.  ``final`` is
    true when waiting longer cannot help.
    """

    code: str
    severity: Severity
    object: str
    message: str
    next: str
    final: bool = False


def in_order(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Most important first: by severity, then what waiting cannot mend, else as they came."""
    return tuple(sorted(causes, key=lambda cause: (cause.severity.rank, not cause.final)))
