"""Keeps one control plane's processes, and takes them and their folder away when asked or left.

Runs as a process of its own between a test run and the control plane.  It reads one JSON line per
order from standard input and answers each with one line.  When that input ends, because the test
run ended in whatever way, it kills everything and removes the folder; should it be killed itself,
the kernel kills its children.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Keeper:
    """Processes by name, each with a log file in ``folder``/logs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], settings: dict[str, str]) -> dict[str, Any]:
        """Start a process; its output goes to its log."""
        with (self._folder / "logs" / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **settings},
                preexec_fn=_die_with_parent,
            )
        self._running[name] = process
        return {"pid": process.pid}

    def stop(self, name: str, seconds: float) -> dict[str, Any]:
        """End a process: asked first, killed after ``seconds``."""
        process = self._running.pop(name, None)
        if process is None:
            return {"code": None}
        process.terminate() if seconds > 0 else process.kill()
        try:
            process.wait(timeout=max(seconds, 10))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return {"code": process.returncode}

    def poll(self) -> dict[str, Any]:
        """Exit codes of the processes that have ended by themselves."""
        codes = {name: process.poll() for name, process in self._running.items()}
        return {"ended": {name: code for name, code in codes.items() if code is not None}}

    def clear(self) -> None:
        """Kill everything, and leave nothing behind."""
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def main() -> None:
    """Obey until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    keeper = Keeper(Path(sys.argv[1]))
    try:
        for line in sys.stdin:
            order = json.loads(line)
            what = getattr(keeper, order.pop("do"))
            try:
                answer = what(**order)
            except OSError as error:
                answer = {"error": str(error)}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        keeper.clear()


if __name__ == "__main__":
    main()
