"""The one place that starts a program; everything else says what to run.

pyhelm3 starts helm by itself (see :mod:`pylib.helm`); every other program goes through here, so
that a missing tool has one error text and standard error is never lost.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pylib.errors import ToolFailedError, ToolMissingError

_STDERR_LIMIT = 4000


@dataclass(frozen=True)
class Completed:
    """What a program left behind: exit code, standard output and standard error as text."""

    code: int
    stdout: str
    stderr: str


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    ok_codes: tuple[int, ...] = (0,),
    timeout: float = 300.0,
) -> Completed:
    """Run ``command`` without a shell and wait for it, ``timeout`` seconds at most.

    Raises :class:`ToolMissingError` when the program is absent and :class:`ToolFailedError` when
    it ends with a code outside ``ok_codes`` or outlives the timeout.
    """
    words = [str(part) for part in command]
    try:
        done = subprocess.run(
            words, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        message = (
            f"{words[0]} is not installed or not on PATH. "
            "Run scripts/install-tools, or put the program on PATH."
        )
        raise ToolMissingError(message) from None
    except subprocess.TimeoutExpired:
        message = f"{' '.join(words)} did not finish within {timeout:.0f} s; it was stopped."
        raise ToolFailedError(message) from None
    if done.returncode not in ok_codes:
        message = (
            f"{' '.join(words)} ended with exit code {done.returncode}:\n"
            f"{done.stderr[-_STDERR_LIMIT:].strip()}"
        )
        raise ToolFailedError(message)
    return Completed(done.returncode, done.stdout, done.stderr)
