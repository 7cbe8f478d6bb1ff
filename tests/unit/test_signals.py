"""Signals that come while helm works: none is lost, and helm gets each of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROGRAM = """\
import asyncio.subprocess, asyncio.unix_events, os, signal, sys
from pathlib import Path
from pylib import helm

helm_file, place, number, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
transport = asyncio.unix_events._UnixSubprocessTransport
owner = asyncio.subprocess.Process if place == "communicate" else transport
real, exited, left = getattr(owner, place), transport._process_exited, [times]

def interrupt(*args, **settings):
    if left[0]:
        left[0] -= 1
        os.kill(os.getpid(), number)
    return real(*args, **settings)

def note(self, code):
    print("helm ended with", code, flush=True)
    exited(self, code)

setattr(owner, place, interrupt)
transport._process_exited = note
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    if helm_file.name == "many":
        request = helm.TemplateRequest("v", "n", Path("chart"), {})
        helm.template([request] * 3, helm_file)
    else:
        print(helm.HelmRelease(helm_file, "v", "n").history())
except KeyboardInterrupt:
    print("interrupted")
"""


def helm_that(folder: Path, does: str, name: str = "helm") -> Path:
    """A helm with its own idea of what to do."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{does}\n")
    file.chmod(0o755)
    return file


def interrupted(
    helm: Path, place: str, number: int, times: int = 1, program: str = PROGRAM
) -> list[str]:
    """What the program says that gets a signal at ``place``; it must not hang."""
    words = [sys.executable, "-c", program, str(helm), place, str(int(number)), str(times)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", ["_start", "_connect_pipes", "communicate"])
def test_a_signal_at_any_moment_ends_helm_first_and_then_the_run(
    tmp_path: Path, place: str, number: signal.Signals
) -> None:
    helm = helm_that(tmp_path, "exec sleep 300")
    assert interrupted(helm, place, number) == [
        f"helm ended with {-signal.SIGTERM}",
        "interrupted",
    ]


def test_a_signal_while_several_helms_start_ends_them_all(tmp_path: Path) -> None:
    helm = helm_that(tmp_path, "exec sleep 300", "many")
    *ended, last = interrupted(helm, "_connect_pipes", signal.SIGTERM)
    assert set(ended) == {f"helm ended with {-signal.SIGTERM}"}
    assert last == "interrupted"


def test_helm_gets_the_time_to_write_down_its_end(tmp_path: Path) -> None:
    mark = tmp_path / "began"
    helm = helm_that(
        tmp_path, f"trap 'sleep 1; exit 7' TERM; touch {mark}; while :; do sleep 0.05; done"
    )
    program = PROGRAM.replace("os.kill(os.getpid(), number)", "pass")
    words = [sys.executable, "-c", program, str(helm), "communicate", "15", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        while not mark.exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert said.splitlines() == ["helm ended with 7", "interrupted"]


def test_a_signal_that_helm_outlives_by_ending_well_is_not_lost(tmp_path: Path) -> None:
    helm = helm_that(tmp_path, "trap '' TERM; echo '[]'")
    assert interrupted(helm, "communicate", signal.SIGTERM)[-1] == "interrupted"


def test_a_helm_that_has_just_ended_is_reaped_once(tmp_path: Path) -> None:
    late = """\
        import time
        watcher = asyncio.ThreadedChildWatcher
        wait = watcher._do_waitpid
        watcher._do_waitpid = lambda *args: time.sleep(1) or wait(*args)
        """
    before, after = PROGRAM.split("\n\n", 1)
    program = f"{before}\n{textwrap.dedent(late)}\n{after}".replace(
        "        os.kill(", "        time.sleep(0.3)\n        os.kill("
    )
    helm = helm_that(tmp_path, "exit 7")
    assert interrupted(helm, "communicate", signal.SIGTERM, program=program) == [
        "helm ended with 7",
        "interrupted",
    ]


def test_a_second_signal_does_not_wait_for_helm(tmp_path: Path) -> None:
    mark, heard = tmp_path / "began", tmp_path / "heard"
    helm = helm_that(
        tmp_path,
        f"trap 'touch {heard}' TERM; touch {mark}; for i in $(seq 400); do sleep 0.05; done",
    )
    words = [sys.executable, "-c", PROGRAM, str(helm), "communicate", "15", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        while not mark.exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        while not heard.exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=15)
    assert said.splitlines() == ["interrupted"]
