"""Where the time of a start-up went: phases of pods, each with how sure it is.  Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Certainty(StrEnum):
    """How a phase's length is known."""

    MEASURED = "measured"
    """Whoever did it wrote down how long it took."""
    BETWEEN = "between"
    """The time between two moments that were written down, each to the second."""
    RUNNING = "running"
    """It has begun and not ended: so long until now."""
    UNKNOWN = "unknown"
    """Nothing tells."""


@dataclass(frozen=True)
class Phase:
    """One part of a start-up.

    ``start`` and ``end`` are RFC 3339 in UTC, empty when not known; ``seconds`` is ``None`` when
    not known; ``source`` says what told; ``within`` names the phase that this one is a part of.
    """

    name: str
    certainty: Certainty
    start: str = ""
    end: str = ""
    seconds: float | None = None
    source: str = ""
    note: str = ""
    within: str = ""


@dataclass(frozen=True)
class Prediction:
    """How long reading the weights should take, by published figures, and how long it took.

    ``basis`` says for what it was computed; ``actual`` is ``None`` when the log does not tell.
    """

    seconds: float
    limited_by: str
    mib_s: float
    basis: str
    actual: float | None = None


@dataclass(frozen=True)
class PodTimeline:
    """One pod from its creation until it was ready; ``seconds`` counts until now while it is not.

    The phases without ``within`` follow on each other without a gap, so they add up to ``seconds``.
    """

    pod: str
    node: str
    cell: str
    created: str
    ready: str
    seconds: float | None
    phases: tuple[Phase, ...] = ()
    prediction: Prediction | None = None

    def depth(self, phase: Phase) -> int:
        """0 for a phase that is part of none, 1 for a part of such a one, and so on."""
        by_name = {other.name: other for other in self.phases}
        level = 0
        while phase.within in by_name and level < len(by_name):
            phase = by_name[phase.within]
            level += 1
        return level


@dataclass(frozen=True)
class Timeline:
    """All pods of a release, those that are not ready first, then the newest."""

    taken: str
    context: str
    release: str
    namespace: str
    pods: tuple[PodTimeline, ...] = ()
