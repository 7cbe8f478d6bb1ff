"""The one retry layer: every call to Google Cloud passes here, and is counted and logged here."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pylib.cloud.clock import Clock
from pylib.cloud.faults import CallError, Class, Kind
from pylib.cloud.redact import redact

LOG = logging.getLogger("pylib.cloud")

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Policy:
    """How long to go on: waits start at ``first`` seconds, double up to ``longest``, with jitter;
    after ``tries`` calls or ``limit`` seconds the answer is that there is none."""

    tries: int = 8
    first: float = 1.0
    longest: float = 32.0
    limit: float = 300.0


class Random(Protocol):
    """A source of jitter: a number from 0 up to 1."""

    def random(self) -> float:
        """The next number."""


class Retry:
    """Calls again what may be called again; ``counts`` says how often each call went out."""

    def __init__(
        self, clock: Clock, policy: Policy | None = None, jitter: Random | None = None
    ) -> None:
        self.clock = clock
        self.policy = policy or Policy()
        self.counts: Counter[str] = Counter()
        self._jitter = jitter or random.SystemRandom()

    def call(self, what: str, once: Callable[[], Answer]) -> Answer:
        """The answer of ``once``, which raises :class:`CallError` and is safe to repeat, as a
        reading call is, and a changing one that keeps its request_id.

        Raises the error at once when it is not to be retried.  When tries run out: the last error
        if the server refused each time, else one of kind UNKNOWN, since a try whose answer was
        lost may have taken effect.
        """
        start, lost = self.clock.monotonic(), False
        for attempt in range(1, self.policy.tries + 1):
            self.counts[what] += 1
            try:
                return once()
            except CallError as error:
                LOG.info("%s: try %d: %s", what, attempt, redact(error.detail))
                if error.action is not Class.RETRY:
                    raise
                lost = lost or error.kind is Kind.TRANSIENT
                wait = self._wait(attempt, error)
                spent = self.clock.monotonic() - start
                if attempt < self.policy.tries and spent + wait <= self.policy.limit:
                    self.clock.sleep(wait)
                    continue
                if not lost:
                    raise
                message = f"no answer in {attempt} tries over {spent:.0f} s; last: {error.detail}"
                raise CallError(
                    what, Kind.UNKNOWN, message, reason=error.reason, status=error.status
                ) from error
        raise AssertionError("a policy has at least one try")

    def _wait(self, attempt: int, error: CallError) -> float:
        """Full jitter over the upper half, and never sooner than the server asked for."""
        ceiling = min(self.policy.longest, self.policy.first * 2.0 ** (attempt - 1))
        return max(ceiling * (0.5 + self._jitter.random() / 2), error.retry_after or 0.0)
