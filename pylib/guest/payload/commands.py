"""The one place that runs programs of Debian."""

from __future__ import annotations

import subprocess

from pylib.guest.payload.failure import GuestError

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def run(*words: str, seconds: float = 1800.0) -> str:
    """Standard output of a program; raises :class:`GuestError` with what it said when it fails."""
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
            env={"PATH": _PATH, "LC_ALL": "C.UTF-8"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GuestError(f"{words[0]} did not run: {error}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise GuestError(f"{words[0]} failed with status {done.returncode}: {said}")
    return done.stdout
