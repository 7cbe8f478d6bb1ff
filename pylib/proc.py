"""The one place that starts a program; everything else says what to run.

pyhelm3 starts helm by itself (see :mod:`pylib.helm`); every other program goes through here, so
that a missing tool has one error text and standard error is never lost.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pylib.errors import ToolFailedError, ToolMissingError

_STDERR_LIMIT = 4000

GO_SETTINGS = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}
"""Environment for helm and kubeconform: they live a tenth of a second, a third of it collecting
garbage that their end would free; the limit brings the collector back for large inputs."""


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
    settings: Mapping[str, str] | None = None,
) -> Completed:
    """Run ``command`` without a shell and wait for it, ``timeout`` seconds at most.

    ``settings`` are laid over the environment.

    Raises :class:`ToolMissingError` when the program is absent and :class:`ToolFailedError` when
    it ends with a code outside ``ok_codes`` or outlives the timeout.
    """
    words = [str(part) for part in command]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
            env={**os.environ, **settings} if settings else None,
        )
    except FileNotFoundError:
        raise _missing(words[0]) from None
    except subprocess.TimeoutExpired:
        message = f"{' '.join(words)} did not finish within {timeout:g} s; it was stopped."
        raise ToolFailedError(message) from None
    except OSError as error:
        message = (
            f"{words[0]} cannot be started: {error.strerror}. Is it a program for this machine?"
        )
        raise ToolFailedError(message) from None
    if done.returncode not in ok_codes:
        message = (
            f"{' '.join(words)} ended with exit code {done.returncode}:\n"
            f"{done.stderr[-_STDERR_LIMIT:].strip()}"
        )
        raise ToolFailedError(message)
    return Completed(done.returncode, done.stdout, done.stderr)


def _missing(program: str) -> ToolMissingError:
    return ToolMissingError(
        f"{program} is not installed or not on PATH. "
        "Run scripts/install-tools, or put the program on PATH."
    )


@dataclass(frozen=True)
class Measured:
    """Wall-clock seconds of a program, and the peak resident memory of it or any of its children,
    in MiB."""

    seconds: float
    peak_mib: float


def run_measured(command: Sequence[str | Path]) -> Measured:
    """Run ``command`` with its output thrown away and say what it cost.

    Raises as :func:`run` does, for a program that is absent or ends with a code other than 0.
    """
    if shutil.which(command[0]) is None:
        raise _missing(str(command[0]))
    code = (
        "import resource,subprocess,sys,time\n"
        "t=time.perf_counter()\n"
        "d=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL)\n"
        "s=time.perf_counter()-t\n"
        "print(s,resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "sys.exit(d.returncode)"
    )
    done = run([sys.executable, "-c", code, *command], timeout=3600)
    seconds, kib = done.stdout.split()
    return Measured(float(seconds), int(kib) / 1024)
