"""``python -m pylib emulator``: the arguments, the greeting, and the end."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import threading
from pathlib import Path

import pytest

from pylib.emulator import SimulatedVm
from pylib.errors import ConfigError
from pylib.verbs import emulator as verb
from tests.cloud.emulated import Raw

BOOTED: list[str] = []


def guest(vm: SimulatedVm) -> None:
    """A guest that a command line can name."""
    BOOTED.append(vm.ref.name)


def _parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    verb.arguments(parser)
    return parser.parse_args(words)


class _Output(io.StringIO):
    """Lets a second thread work with the emulator once it has greeted, then ends it."""

    def __init__(self, work: threading.Thread) -> None:
        super().__init__()
        self._work = work

    def flush(self) -> None:
        self._work.start()


def _run(*words: str) -> tuple[str, list[int]]:
    """The greeting of one run, and the statuses of two calls made meanwhile."""
    statuses: list[int] = []

    def work() -> None:
        found = re.search(r"emulator at (\S+),", out.getvalue())
        try:
            raw = Raw(found[1] if found else "")
            statuses.append(raw.send("GET", "/compute/v1/projects/mine/regions").status)
            path = "/v1/projects/mine/locations/us-central1/clusters/demo"
            statuses.append(raw.send("GET", path).status)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=work)
    out = _Output(thread)
    before = signal.getsignal(signal.SIGTERM)
    assert verb.run(_parse(*words), out) == 0
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
    return out.getvalue(), statuses


def test_it_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps([{"match": "regions$", "action": "status", "status": 500}]))
    text, statuses = _run(
        *("--folder", str(tmp_path / "state"), "--project", "mine", "--faults", str(plan)),
        *("--guest", "simulated", "--cluster", "us-central1/demo"),
    )
    assert statuses == [500, 200]
    url = re.match(
        r"emulator at (http://127\.0\.0\.1:\d+), guests are simulated \(it was asked for\)\n", text
    )
    assert url is not None
    lines = text.splitlines()
    assert "  export CLOUDSDK_CORE_PROJECT=mine" in lines
    assert f"  export CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE={url[1]}/compute/v1/" in lines
    assert f"  export CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER={url[1]}/" in lines
    assert (tmp_path / "state" / "state.sqlite").exists()


def test_a_function_can_be_the_guest() -> None:
    assert callable(verb._guest(f"{__name__}:guest"))
    assert verb._guest("real") == "real"


@pytest.mark.parametrize("text", ["none", "no.such.module:guest", "json:no_such", ":x"])
def test_a_guest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        verb.run(_parse("--folder", str(tmp_path), "--guest", text), io.StringIO())
    problem = caught.value.problems[0]
    assert (problem.path, problem.message) == ("--guest", f"{text!r} is no guest")
    assert problem.fix == "Write real, simulated, auto, or MODULE:NAME of a function."


@pytest.mark.parametrize("text", ["demo", "/demo", "us-central1/"])
def test_a_cluster_needs_its_location(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="is no cluster"):
        verb.run(_parse("--folder", str(tmp_path), "--cluster", text), io.StringIO())


def test_a_faulty_plan_is_refused_before_anything_is_served(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text("{}")
    with pytest.raises(ConfigError, match="is no list"):
        verb.run(_parse("--folder", str(tmp_path / "s"), "--faults", str(plan)), io.StringIO())
    assert not (tmp_path / "s").exists()
