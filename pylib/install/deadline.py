"""One point in time that everything of an install has to meet."""

from __future__ import annotations

import time


class Deadline:
    """So many seconds from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since it was set."""
        return time.monotonic() - self._start

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return self.elapsed >= self.seconds

    def pause(self) -> None:
        """Sleep for as long as fits what has passed: 0.2 s at first, 2 s later, never beyond the
        end."""
        step = min(2.0, 0.2 + self.elapsed / 10)
        time.sleep(max(0.0, min(step, self.seconds - self.elapsed)))
