"""A clock that runs ahead, so that a process polls without waiting."""

from __future__ import annotations

import time

SPEED = 30


class FastClock:
    """Thirty seconds pass in one."""

    def time(self) -> float:
        """Seconds since some day long ago."""
        return time.time() * SPEED

    def monotonic(self) -> float:
        """Seconds since some start."""
        return time.monotonic() * SPEED

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds / SPEED)
