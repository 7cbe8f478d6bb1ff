"""``python -m pylib`` as it is, but for the clock of its calls to Google Cloud, which runs ahead.

So the pauses between looks at a bake are short; who is asked has to go by the same clock.
"""

from __future__ import annotations

import sys
import time

from pylib.cli import main
from pylib.cloud.clock import SystemClock

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


if __name__ == "__main__":
    for name in ("time", "monotonic", "sleep"):
        setattr(SystemClock, name, getattr(FastClock, name))
    sys.exit(main())
