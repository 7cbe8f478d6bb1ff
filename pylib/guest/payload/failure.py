"""The one error of the guest, and the line that it came from."""

from __future__ import annotations

import traceback
from pathlib import Path

_HERE = str(Path(__file__).parent)


class GuestError(Exception):
    """The job cannot be done; the message is for the person who started the bake.

    ``line`` names ``file.py:number`` when the error crossed from another process.
    """

    def __init__(self, message: str, line: str = "") -> None:
        super().__init__(message)
        self.line = line


def line_of(error: BaseException) -> str:
    """``file.py:number`` of the innermost line of this package that ``error`` passed through."""
    if isinstance(error, GuestError) and error.line:
        return error.line
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if _HERE in frame.filename
    ]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def message_of(error: BaseException) -> str:
    """What to tell of ``error``: our own words as they are, others with their class."""
    if isinstance(error, GuestError):
        return str(error)
    return f"{type(error).__name__}: {error}"
