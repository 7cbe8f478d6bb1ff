"""Operations on the emulator: their life, their errors, and repeats with a request id."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from pylib.emulator import Fault, Settings
from tests.cloud.emulated import AT, GLOBAL, ZONAL, ZONE, Bench, Json, Raw, started

DISK = {"name": "data", "sizeGb": "10"}


def _path(operation: Json) -> str:
    return str(operation["selfLink"]).partition("googleapis.com")[2]


def test_an_operation_is_pending_then_running_then_done(tmp_path: Path) -> None:
    settings = Settings(delays={"compute.disks.insert": (2, 5)})
    with started(tmp_path, settings=settings) as bench:
        operation = bench.raw.post(f"{ZONAL}/disks", DISK)
        seen = [(operation["status"], operation["progress"])]
        for seconds in (1.9, 0.2, 4.8, 0.2):
            bench.clock.sleep(seconds)
            now = bench.raw.get(_path(operation))
            seen.append((now["status"], now["progress"]))
        assert [status for status, _ in seen] == [
            "PENDING",
            "PENDING",
            "RUNNING",
            "RUNNING",
            "DONE",
        ]
        assert seen[-1][1] == 100
        done = bench.raw.get(_path(operation))
        assert done["insertTime"] < done["startTime"] < done["endTime"]
        assert done["targetId"] == bench.raw.get(f"{ZONAL}/disks/data")["id"]


def test_every_other_method_has_the_delay_of_the_star() -> None:
    settings = Settings(delays={"*": (1, 2), "compute.images.insert": (3, 4)})
    assert settings.delay("compute.images.insert") == (3, 4)
    assert settings.delay("compute.disks.insert") == (1, 2)
    assert Settings().delay("compute.disks.insert") == (0, 0)


def test_waiting_ends_after_two_minutes_done_or_not(tmp_path: Path) -> None:
    with started(tmp_path, settings=Settings(delays={"*": (0, 200)})) as bench:
        operation = bench.raw.post(f"{ZONAL}/disks", DISK)
        begin = bench.clock.time()
        assert bench.raw.wait(operation)["status"] == "RUNNING"
        assert bench.clock.time() == begin + 120
        assert bench.raw.wait(operation)["status"] == "DONE"
        assert bench.clock.time() == begin + 200


def test_with_a_real_clock_waiting_returns_when_it_is_done(tmp_path: Path) -> None:
    from pylib.cloud.clock import SystemClock

    settings = Settings(delays={"*": (0.05, 0.05)})
    with started(tmp_path, clock=SystemClock(), settings=settings) as bench:
        assert bench.raw.wait(bench.raw.post(f"{ZONAL}/disks", DISK))["status"] == "DONE"
        assert bench.raw.get(f"{ZONAL}/disks/data")["status"] == "READY"


def test_operations_are_listed_and_forgotten(raw: Raw) -> None:
    operation = raw.done("POST", f"{ZONAL}/disks", DISK)
    raw.done("POST", f"{GLOBAL}/snapshots", {"name": "s", "sourceDisk": f"zones/{ZONE}/disks/data"})
    assert [one["name"] for one in raw.get(f"{ZONAL}/operations")["items"]] == [operation["name"]]
    assert raw.get(f"{GLOBAL}/operations")["items"][0]["operationType"] == "insert"
    scopes = raw.get(f"{AT}/aggregated/operations")["items"]
    assert [one["name"] for one in scopes[f"zones/{ZONE}"]["operations"]] == [operation["name"]]
    assert "items" not in raw.get(f"{AT}/regions/us-central1/operations")
    assert raw.send("DELETE", _path(operation)).status == 204
    assert raw.send("GET", _path(operation)).refusal[:2] == (404, "notFound")
    assert raw.send("POST", f"{_path(operation)}/wait").status == 404
    assert raw.send("DELETE", _path(operation)).status == 404


def test_an_operation_under_way_is_not_forgotten(raw: Raw) -> None:
    operation = raw.post(f"{ZONAL}/disks", DISK)
    assert raw.send("DELETE", _path(operation)).refusal[1] == "resourceNotReady"


def test_an_operation_of_another_place_is_not_found(raw: Raw) -> None:
    operation = raw.done("POST", f"{ZONAL}/disks", DISK)
    for place in ("zones/us-central1-b", "regions/us-central1", "global"):
        assert raw.send("GET", f"{AT}/{place}/operations/{operation['name']}").status == 404


def test_a_failed_operation_says_so_and_what_it_made_is_gone(emulated: Bench) -> None:
    message = "The zone does not have enough resources available to fulfill the request."
    fault = Fault(
        "compute.disks.insert",
        "operation-error",
        code="ZONE_RESOURCE_POOL_EXHAUSTED",
        message=message,
    )
    emulated.emulator.faults.add(fault)
    operation = emulated.raw.post(f"{ZONAL}/disks", DISK)
    ended = emulated.raw.wait(operation)
    assert ended["status"] == "DONE"
    assert ended["error"] == {
        "errors": [{"code": "ZONE_RESOURCE_POOL_EXHAUSTED", "message": message}]
    }
    assert (ended["httpErrorStatusCode"], ended["httpErrorMessage"]) == (503, "SERVICE UNAVAILABLE")
    assert emulated.raw.send("GET", f"{ZONAL}/disks/data").status == 404
    emulated.raw.done("POST", f"{ZONAL}/disks", DISK)


def test_a_stuck_operation_ends_when_it_is_released(emulated: Bench) -> None:
    emulated.emulator.faults.add(Fault("compute.disks.insert", "operation-stuck"))
    operation = emulated.raw.post(f"{ZONAL}/disks", DISK)
    emulated.clock.sleep(100_000)
    assert emulated.raw.get(_path(operation))["status"] == "RUNNING"
    assert emulated.raw.get(f"{ZONAL}/disks/data")["status"] == "CREATING"
    emulated.emulator.release(operation)
    emulated.emulator.release(operation)
    emulated.clock.sleep(0)
    assert emulated.raw.get(f"{ZONAL}/disks/data")["status"] == "READY"


def test_a_slow_operation_takes_so_much_longer(emulated: Bench) -> None:
    emulated.emulator.faults.add(Fault("compute.disks.insert", "operation-slow", seconds=900))
    operation = emulated.raw.post(f"{ZONAL}/disks", DISK)
    emulated.clock.sleep(899)
    assert emulated.raw.get(_path(operation))["status"] == "RUNNING"
    emulated.clock.sleep(1)
    assert emulated.raw.get(_path(operation))["status"] == "DONE"


def test_a_repeat_with_the_same_request_id_is_the_first_operation(raw: Raw) -> None:
    request = str(uuid.UUID(int=7))
    first = raw.post(f"{ZONAL}/disks", DISK, requestId=request)
    again = raw.post(f"{ZONAL}/disks", DISK, requestId=request)
    assert (again["name"], again["status"]) == (first["name"], "PENDING")
    raw.wait(first)
    late = raw.post(f"{ZONAL}/disks", DISK, requestId=request)
    assert (late["name"], late["status"]) == (first["name"], "DONE")


def test_without_the_request_id_a_repeat_meets_its_own_disk(raw: Raw) -> None:
    raw.post(f"{ZONAL}/disks", DISK, requestId=str(uuid.UUID(int=7)))
    again = raw.send("POST", f"{ZONAL}/disks", DISK, requestId=str(uuid.UUID(int=8)))
    assert again.refusal[:2] == (409, "alreadyExists")


def test_a_request_id_is_for_one_request(raw: Raw) -> None:
    request = str(uuid.UUID(int=7))
    raw.post(f"{ZONAL}/disks", DISK, requestId=request)
    other = raw.send("POST", f"{ZONAL}/disks", {**DISK, "name": "other"}, requestId=request)
    assert other.refusal == (
        400,
        "invalid",
        f"Invalid value for field 'requestId': '{request}'. "
        "The request ID was already used by a request with other parameters.",
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("7", "Must be a UUID."),
        ("00000000-0000-0000-0000-000000000000", "The zero UUID is not supported."),
    ],
)
def test_a_request_id_is_a_uuid_and_not_zero(raw: Raw, text: str, why: str) -> None:
    refusal = raw.send("POST", f"{ZONAL}/disks", DISK, requestId=text).refusal
    assert refusal == (400, "invalid", f"Invalid value for field 'requestId': '{text}'. {why}")


def test_a_request_id_is_forgotten_after_an_hour(emulated: Bench) -> None:
    request = str(uuid.UUID(int=7))
    emulated.raw.done("POST", f"{ZONAL}/disks", DISK, requestId=request)
    emulated.clock.sleep(3601)
    again = emulated.raw.send("POST", f"{ZONAL}/disks", DISK, requestId=request)
    assert again.refusal[:2] == (409, "alreadyExists")


def test_a_refused_request_leaves_its_id_free(emulated: Bench) -> None:
    request = str(uuid.UUID(int=7))
    emulated.emulator.change(denied=frozenset({"compute.disks.create"}))
    assert emulated.raw.send("POST", f"{ZONAL}/disks", DISK, requestId=request).status == 403
    emulated.emulator.change(denied=frozenset())
    emulated.raw.done("POST", f"{ZONAL}/disks", DISK, requestId=request)


def test_state_and_what_is_under_way_outlive_a_restart(tmp_path: Path) -> None:
    settings = Settings(delays={"compute.images.insert": (1, 60)})
    with started(tmp_path, settings=settings) as bench:
        bench.raw.disk()
        request = str(uuid.UUID(int=7))
        body = {"name": "image", "sourceDisk": f"zones/{ZONE}/disks/data"}
        operation = bench.raw.post(f"{GLOBAL}/images", body, requestId=request)
        clock = bench.clock
    with started(tmp_path, settings=settings, clock=clock) as bench:
        assert bench.raw.get(f"{GLOBAL}/images/image")["status"] == "PENDING"
        again = bench.raw.post(f"{GLOBAL}/images", body, requestId=request)
        assert again["name"] == operation["name"]
        assert bench.raw.wait(operation)["status"] == "DONE"
        assert bench.raw.get(f"{GLOBAL}/images/image")["status"] == "READY"
        assert bench.emulator.journal()[0].method == "compute.disks.insert"


def test_an_emulator_keeps_its_address_over_a_restart(emulated: Bench) -> None:
    url = emulated.emulator.url
    emulated.emulator.stop()
    emulated.emulator.start()
    assert emulated.emulator.url == url
    assert emulated.raw.get(f"{AT}/regions")["kind"] == "compute#regionList"


def test_an_operation_whose_step_was_lost_goes_on_after_a_restart(emulated: Bench) -> None:
    operation = emulated.raw.post(f"{ZONAL}/disks", DISK)
    emulated.emulator.world.store.execute("DELETE FROM job")
    emulated.emulator.stop()
    emulated.emulator.start()
    assert emulated.raw.wait(operation)["status"] == "DONE"
