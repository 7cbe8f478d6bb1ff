"""Causes and changes as lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pylib.diagnose.cause import Cause
from pylib.install.changes import Changes
from pylib.validate.words import count


def cause_lines(causes: Iterable[Cause]) -> Iterator[str]:
    """``error code Kind/name: message``, and the next step indented below it."""
    for cause in causes:
        yield f"{cause.severity.value} {cause.code} {cause.object}: {cause.message}"
        yield f"    next: {cause.next}"


def change_lines(changes: Changes) -> Iterator[str]:
    """``create Kind/namespace/name`` and so on, then how many stay."""
    for word, refs in (
        ("create", changes.create),
        ("change", changes.change),
        ("delete", changes.delete),
    ):
        yield from (f"  {word} {ref}" for ref in refs)
    yield f"  keep {count(len(changes.keep), 'object')} as they are"
