"""What is read of Cloud Logging."""

from __future__ import annotations

from typing import Protocol


class Logs(Protocol):
    """Cloud Logging of one project."""

    def logged(self, which: str, most: int) -> tuple[str, ...]:
        """Messages that the filter ``which`` finds, ``most`` at most, the newest first.

        The filter is in Cloud Logging's own language; one without a time finds all that is kept.
        """
