"""What time it is does not matter in a bake VM, whose clock may jump when it is set."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest

from pylib.guest import payload
from pylib.guest.payload import disk
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.metadata import Token
from pylib.guest.payload.report import Report

SOURCES = sorted(Path(payload.__file__).parent.glob("*.py"))
WALL = {"time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime", "now", "today"}


@pytest.mark.fault("G16")
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_the_payload_never_asks_what_time_it_is(source: Path) -> None:
    tree = ast.parse(source.read_bytes())
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    asked = [ast.unparse(it) for it in calls if isinstance(it, ast.Attribute) and it.attr in WALL]
    assert [name for name in asked if name.partition(".")[0] in {"time", "datetime", "date"}] == []


@pytest.mark.fault("G16")
@pytest.mark.parametrize("year", [1970, 2999])
def test_a_clock_that_jumps_ends_no_wait_and_no_token(
    year: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: (year - 1970) * 31_557_600.0)
    assert Token("secret", time.monotonic() + 60).is_fresh()
    told = Report("n", lambda *_: 200)
    told.phase("write")
    assert told.seconds()["start"] < 60
    before = time.monotonic()
    with pytest.raises(GuestError, match=r"is not there after 0 s"):
        disk.find(str(tmp_path / "none"), 0, wait_seconds=0.3)
    assert time.monotonic() - before >= 0.3
