"""A clock that a test moves; it is one of :class:`pylib.cloud.clock.Clock`'s."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Protocol

_PACIFIC = timezone(timedelta(hours=-8))


class Timetable(Protocol):
    """What is to be done at its time."""

    def next_due(self) -> float | None:
        """When the next thing is due; ``None`` when there is none."""

    def run_due(self) -> None:
        """Do what is due now."""


class ManualClock:
    """Stands still until slept on, and then passes each thing that is due at its time."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._tables: list[Timetable] = []

    def time(self) -> float:
        """Seconds since 1970."""
        return self._now

    def monotonic(self) -> float:
        """The same seconds; this clock never jumps back."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move on by ``seconds``, and do on the way what is due."""
        end = self._now + max(0.0, seconds)
        while (due := self._next()) is not None and due <= end:
            self._now = max(self._now, due)
            for table in list(self._tables):
                table.run_due()
        self._now = max(self._now, end)

    def _next(self) -> float | None:
        found = [due for table in self._tables if (due := table.next_due()) is not None]
        return min(found, default=None)

    def keep(self, table: Timetable) -> None:
        """Mind what is due in ``table``."""
        self._tables.append(table)

    def drop(self, table: Timetable) -> None:
        """Mind it no longer."""
        self._tables.remove(table)


def pacific(seconds: float) -> str:
    """A time as Compute Engine writes it: RFC 3339, Pacific, milliseconds."""
    return datetime.fromtimestamp(seconds, tz=_PACIFIC).isoformat(timespec="milliseconds")


def zulu(seconds: float) -> str:
    """A time as the other services write it: RFC 3339, UTC."""
    text = datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")
