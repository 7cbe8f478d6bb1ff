"""Time series as Cloud Monitoring stores them, and the alignment of their points.

Followed: the reference of ``Aligner`` in the Monitoring API v3,
https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies#Aligner.
Simplified: ``ALIGN_RATE`` divides by the time between the points it has, where Monitoring
interpolates at the borders of a period.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

NONE = "ALIGN_NONE"
NEXT_OLDER = "ALIGN_NEXT_OLDER"
RATE = "ALIGN_RATE"


class AlignError(ValueError):
    """The aligner does not fit the kind of metric, or is not known here."""


@dataclass(frozen=True)
class Point:
    """A value at ``end``, in seconds of Unix time; a DELTA or CUMULATIVE one began at ``start``."""

    end: float
    value: float
    start: float


@dataclass
class Series:
    """The points of one metric of one resource, oldest first."""

    metric: str
    metric_labels: Mapping[str, str]
    resource: str
    resource_labels: Mapping[str, str]
    points: list[Point] = field(default_factory=list)

    def fields(self) -> dict[str, str]:
        """What a filter can compare."""
        found = {"metric.type": self.metric, "resource.type": self.resource}
        found |= {f"metric.labels.{key}": value for key, value in self.metric_labels.items()}
        found |= {f"resource.labels.{key}": value for key, value in self.resource_labels.items()}
        return found

    def add(self, point: Point) -> None:
        """Put a point where its time belongs."""
        self.points.append(point)
        self.points.sort(key=lambda one: one.end)


@dataclass(frozen=True)
class Window:
    """Seconds of Unix time, the start left out; periods are counted from the end."""

    start: float
    end: float
    period: float

    def periods(self) -> list[tuple[float, float]]:
        """Begin and end of each whole period, newest first."""
        count = max(1, int((self.end - self.start) / self.period))
        ends = [self.end - at * self.period for at in range(count)]
        return [(end - self.period, end) for end in ends]


def aligned(kind: str, aligner: str, points: Sequence[Point], window: Window) -> list[Point]:
    """The points that a request gets, newest first; raises :class:`AlignError`."""
    if aligner in {"", NONE}:
        within = [one for one in points if window.start < one.end <= window.end]
        return within[::-1]
    if aligner == NEXT_OLDER and kind == "GAUGE":
        found = [_newest(points, *period) for period in window.periods()]
    elif aligner == RATE and kind in {"DELTA", "CUMULATIVE"}:
        found = [_rate(kind, points, *period) for period in window.periods()]
    else:
        raise AlignError(
            f"The aligner cannot be applied to metrics with kind {kind}: {aligner or NONE}"
        )
    return [one for one in found if one is not None]


def _newest(points: Sequence[Point], begin: float, end: float) -> Point | None:
    within = [one for one in points if begin < one.end <= end]
    return Point(end, within[-1].value, end) if within else None


def _rate(kind: str, points: Sequence[Point], begin: float, end: float) -> Point | None:
    """Growth per second; a counter that falls has begun anew, at nothing."""
    within = [one for one in points if begin < one.end <= end]
    if not within:
        return None
    if kind == "DELTA":
        return Point(end, sum(one.value for one in within) / (end - begin), end)
    before = [one for one in points if one.end <= begin][-1:]
    counted = [*before, *within]
    if len(counted) < 2:
        return None
    steps = [new.value - old.value if new.value >= old.value else new.value
             for old, new in pairwise(counted)]  # fmt: skip
    return Point(end, sum(steps) / (counted[-1].end - counted[0].end), end)
