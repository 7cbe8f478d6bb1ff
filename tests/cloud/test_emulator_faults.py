"""Faults on the emulator hit the calls that they are meant for, in the way that they say."""

from __future__ import annotations

import http.client
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pylib.emulator import Fault, read_plan
from pylib.emulator.faults import ACTIONS, Faults
from pylib.errors import ConfigError
from tests.cloud.emulated import AT, ZONAL, Bench, Raw

DISK = {"name": "data", "sizeGb": "10"}
DROPPED = (ConnectionError, http.client.RemoteDisconnected)


def _exists(raw: Raw) -> bool:
    return raw.send("GET", f"{ZONAL}/disks/data").status == 200


@pytest.mark.parametrize(("action", "made"), [("drop-before", False), ("drop-after", True)])
def test_a_connection_is_dropped_before_or_after_the_call(
    emulated: Bench, action: str, made: bool
) -> None:
    emulated.emulator.faults.add(Fault("compute.disks.insert", action))
    with pytest.raises(DROPPED):
        emulated.raw.send("POST", f"{ZONAL}/disks", DISK)
    assert _exists(emulated.raw) is made


@pytest.mark.parametrize(("action", "made"), [("status", False), ("status-after", True)])
def test_an_error_comes_instead_of_the_call_or_its_answer(
    emulated: Bench, action: str, made: bool
) -> None:
    fault = Fault(
        "compute.disks.insert",
        action,
        status=429,
        reason="rateLimitExceeded",
        message="Rate Limit Exceeded",
        headers={"Retry-After": "7"},
    )
    emulated.emulator.faults.add(fault)
    answer = emulated.raw.send("POST", f"{ZONAL}/disks", DISK)
    assert answer.refusal == (429, "rateLimitExceeded", "Rate Limit Exceeded")
    assert answer.headers["Retry-After"] == "7"
    assert _exists(emulated.raw) is made


def test_a_page_for_people_comes_instead_of_json(emulated: Bench) -> None:
    emulated.emulator.faults.add(Fault("compute.disks.insert", "html-body", status=502))
    answer = emulated.raw.send("POST", f"{ZONAL}/disks", DISK)
    assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html; charset=UTF-8")
    assert answer.raw.startswith(b"<!DOCTYPE html>")
    assert not _exists(emulated.raw)


@pytest.mark.parametrize("action", ["cut-body", "garbage-body"])
def test_a_body_is_no_json(emulated: Bench, action: str) -> None:
    emulated.emulator.faults.add(Fault("compute.disks.insert", action))
    answer = emulated.raw.send("POST", f"{ZONAL}/disks", DISK)
    assert answer.status == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter|decode|detect"):
        json.loads(answer.raw)
    assert _exists(emulated.raw)


def test_a_redirect_points_elsewhere(emulated: Bench) -> None:
    emulated.emulator.faults.add(Fault("GET .*/regions$", "redirect", location="http://x.invalid/"))
    answer = emulated.raw.send("GET", f"{AT}/regions")
    assert (answer.status, answer.headers["Location"]) == (307, "http://x.invalid/")


@pytest.mark.parametrize(("action", "made"), [("hang", False), ("hang-after", True)])
def test_a_call_hangs_as_long_as_it_should(emulated: Bench, action: str, made: bool) -> None:
    emulated.emulator.faults.add(Fault("compute.disks.insert", action, seconds=0.05))
    with pytest.raises(DROPPED):
        emulated.raw.send("POST", f"{ZONAL}/disks", DISK)
    assert _exists(emulated.raw) is made


def test_a_slow_call_is_served_in_the_end(emulated: Bench) -> None:
    emulated.emulator.faults.add(Fault("compute.disks.insert", "slow", seconds=0.05))
    emulated.raw.post(f"{ZONAL}/disks", DISK)
    assert _exists(emulated.raw)


def test_a_call_that_hangs_does_not_hold_up_the_stop(emulated: Bench) -> None:
    emulated.emulator.faults.add(Fault("compute.regions.list", "hang"))
    connection = http.client.HTTPConnection(emulated.emulator.url.partition("//")[2], timeout=20)
    connection.request("GET", f"{AT}/regions")
    emulated.emulator.stop()
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.getresponse()
    connection.close()


def test_the_nth_call_is_hit_and_so_many_after_it() -> None:
    faults = Faults([Fault("compute.disks.get", "status", nth=2, times=2)])
    calls = [faults.take("compute.disks.get", "GET", "/x") for _ in range(5)]
    assert [len(hit) for hit in calls] == [0, 1, 1, 0, 0]
    assert faults.take("compute.disks.list", "GET", "/x") == []


def test_some_faults_never_end_until_they_are_cleared() -> None:
    faults = Faults([Fault("^DELETE ", "status", times=0)])
    assert all(faults.take("a", "DELETE", "/x") for _ in range(9))
    assert len(faults.fired) == 9
    assert faults.fired[0][1] == "a /x"
    faults.clear()
    assert faults.take("a", "DELETE", "/x") == []


def _plan(tmp_path: Path, rows: Any) -> Path:
    file = tmp_path / "plan.json"
    file.write_text(rows if isinstance(rows, str) else json.dumps(rows), encoding="utf-8")
    return file


def test_a_plan_is_read_from_a_file(tmp_path: Path) -> None:
    rows = [
        {"match": "compute.disks.insert", "nth": 2, "action": "drop-after"},
        {"match": "POST", "action": "slow", "seconds": 1, "headers": {"a": "b"}},
    ]
    assert read_plan(_plan(tmp_path, rows)) == (
        Fault("compute.disks.insert", "drop-after", nth=2),
        Fault("POST", "slow", seconds=1, headers={"a": "b"}),
    )


@pytest.mark.parametrize(
    ("rows", "path", "message"),
    [
        ("{", "", "is no plan: Expecting property name"),
        ({}, "", "is no list"),
        ([1], "[0]", "1 is no object"),
        ([{"action": "slow"}], "[0]", "has no match"),
        ([{"match": "a"}], "[0]", "has no action"),
        ([{"match": "a", "action": "explode"}], "[0].action", "'explode' is no action"),
        ([{"match": "(", "action": "slow"}], "[0].match", "'(' is no pattern: missing )"),
        ([{"match": "a", "action": "slow", "nht": 1}], "[0].nht", "is not known"),
        ([{"match": "a", "action": "slow", "nth": "1"}], "[0].nth", "'1' has the wrong type"),
        ([{"match": "a", "action": "slow", "seconds": "1"}], "[0].seconds", "'1' has the wrong"),
        ([{"match": 1, "action": "slow"}], "[0].match", "1 has the wrong type"),
    ],
)
def test_a_plan_that_is_wrong_says_where(
    tmp_path: Path, rows: Any, path: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plan(_plan(tmp_path, rows))
    problem = caught.value.problems[0]
    assert problem.path == path
    assert problem.message.startswith(message)
    assert problem.fix


def test_a_plan_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is no plan: .*No such file"):
        read_plan(tmp_path / "none.json")


def test_every_action_is_one_that_something_does(emulated: Bench) -> None:
    emulated.raw.vm()
    for action in ACTIONS:
        fault = Fault("compute.regions.list", action, seconds=0.01, instance="us-central1-a/vm")
        emulated.emulator.faults.add(fault)
        with suppress(*DROPPED):
            emulated.raw.send("GET", f"{AT}/regions")
        emulated.emulator.faults.clear()
    assert [fault.action for fault, _ in emulated.emulator.faults.fired] == list(ACTIONS)
