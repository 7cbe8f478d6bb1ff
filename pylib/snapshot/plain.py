"""Text that a cluster wrote, made harmless: what it holds reaches a terminal as one plain line."""

from __future__ import annotations

_LONGEST = 600


def plain(text: str, longest: int = _LONGEST) -> str:
    """The text in one line: no control characters, no more than ``longest`` characters."""
    line = " ".join(text[: 4 * longest].split())
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in line
    )
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
