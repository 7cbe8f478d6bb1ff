"""Times as Kubernetes writes them, RFC 3339: what is none is no time, never an error."""

from __future__ import annotations

from datetime import UTC, datetime


def parsed(text: str) -> datetime | None:
    """The moment, in UTC; fractions beyond a microsecond are dropped."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def written(moment: datetime) -> str:
    """The moment as ``2026-01-31T12:00:00Z``."""
    return f"{moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


def to_the_second(text: str) -> str:
    """The time in one spelling, so that times compare as text; empty for what is no time."""
    found = parsed(text)
    return written(found) if found else ""


def seconds_between(start: str, end: str) -> float | None:
    """Seconds from one time to another, ``None`` when either is none."""
    first, last = parsed(start), parsed(end)
    return None if first is None or last is None else (last - first).total_seconds()
