"""VMs that start, stop, are taken away and report, with simulated guests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pylib.emulator import Fault, SimulatedVm
from pylib.emulator.compute.guest_reads import SERIAL_BYTES
from tests.cloud.emulated import VM_PATH, ZONAL, ZONE, Bench, Json, Raw, data_disk, started

VM = f"{ZONAL}/instances/vm"
LIMIT = {"maxRunDuration": {"seconds": "3600"}, "instanceTerminationAction": "DELETE"}
ON = {"items": [{"key": "enable-guest-attributes", "value": "TRUE"}]}


def _events(bench: Bench) -> list[str]:
    found = bench.raw.get(f"{ZONAL}/operations")["items"]
    return [one["operationType"] for one in found if one["user"] == "system"]


def test_a_vm_stops_and_starts_again(raw: Raw) -> None:
    raw.vm()
    stopping = raw.post(f"{VM}/stop")
    assert raw.get(VM)["status"] == "STOPPING"
    assert raw.send("POST", f"{VM}/start").refusal[1] == "resourceNotReady"
    raw.wait(stopping)
    assert raw.get(VM)["status"] == "TERMINATED"
    raw.done("POST", f"{VM}/stop")
    starting = raw.post(f"{VM}/start")
    assert raw.get(VM)["status"] == "STAGING"
    raw.wait(starting)
    assert raw.get(VM)["status"] == "RUNNING"
    raw.done("POST", f"{VM}/start")


def test_a_start_that_fails_leaves_the_vm_stopped(emulated: Bench) -> None:
    emulated.raw.vm()
    emulated.raw.done("POST", f"{VM}/stop")
    emulated.emulator.faults.add(Fault("compute.instances.start", "operation-error"))
    emulated.raw.wait(emulated.raw.post(f"{VM}/start"))
    assert emulated.raw.get(VM)["status"] == "TERMINATED"


def test_a_deletion_that_fails_leaves_the_vm_stopped(emulated: Bench) -> None:
    emulated.raw.vm()
    emulated.emulator.faults.add(Fault("compute.instances.delete", "operation-error"))
    emulated.raw.wait(emulated.raw.send("DELETE", VM).doc)
    assert emulated.raw.get(VM)["status"] == "TERMINATED"


def test_the_time_limit_deletes_the_vm_and_the_disks_that_go_with_it(emulated: Bench) -> None:
    emulated.raw.disk()
    emulated.raw.vm(disks=(data_disk(autoDelete=True),), scheduling=LIMIT)
    emulated.clock.sleep(3599)
    assert emulated.raw.get(VM)["status"] == "RUNNING"
    emulated.clock.sleep(2)
    assert emulated.emulator.inventory().paths() == []
    assert _events(emulated) == ["compute.instances.terminateOnMaxRunDuration"]


def test_the_time_limit_may_stop_the_vm_instead(emulated: Bench) -> None:
    emulated.raw.vm(scheduling={**LIMIT, "instanceTerminationAction": "STOP"})
    emulated.clock.sleep(3601)
    assert emulated.raw.get(VM)["status"] == "TERMINATED"


def test_a_stop_clears_the_time_limit_and_a_start_begins_it_anew(emulated: Bench) -> None:
    emulated.raw.vm(scheduling=LIMIT)
    emulated.clock.sleep(3000)
    emulated.raw.done("POST", f"{VM}/stop")
    emulated.clock.sleep(10_000)
    emulated.raw.done("POST", f"{VM}/start")
    emulated.clock.sleep(3000)
    assert emulated.raw.get(VM)["status"] == "RUNNING"
    emulated.clock.sleep(700)
    assert emulated.raw.send("GET", VM).status == 404


def test_a_guest_that_powers_off_is_terminated_and_its_limit_is_off(tmp_path: Path) -> None:
    with started(tmp_path, guest=SimulatedVm.power_off) as bench:
        assert bench.raw.vm(scheduling=LIMIT)["status"] == "TERMINATED"
        assert _events(bench) == ["compute.instances.guestTerminate"]
        bench.clock.sleep(10_000)
        assert bench.raw.get(VM)["status"] == "TERMINATED"


@pytest.mark.parametrize("deletes", [False, True])
def test_a_preempted_vm_stops_or_goes(emulated: Bench, deletes: bool) -> None:
    scheduling: Json = {"provisioningModel": "SPOT"}
    if deletes:
        scheduling["instanceTerminationAction"] = "DELETE"
    emulated.raw.vm(scheduling=scheduling)
    emulated.emulator.preempt(ZONE, "vm")
    assert emulated.raw.get(VM)["status"] == "STOPPING"
    emulated.clock.sleep(30)
    answer = emulated.raw.send("GET", VM)
    assert (answer.status == 404) if deletes else (answer.doc["status"] == "TERMINATED")
    assert _events(emulated) == ["compute.instances.preempted"]


def test_a_host_error_restarts_the_vm_unless_its_scheduling_says_no(tmp_path: Path) -> None:
    boots: list[str] = []
    with started(tmp_path, guest=lambda vm: boots.append(vm.ref.name)) as bench:
        bench.raw.vm()
        bench.raw.vm("stays", scheduling={"automaticRestart": False})
        bench.emulator.fail_host(ZONE, "vm")
        bench.emulator.fail_host(ZONE, "stays")
        bench.emulator.fail_host(ZONE, "stays")
        assert bench.raw.get(VM)["status"] == "RUNNING"
        assert bench.raw.get(f"{ZONAL}/instances/stays")["status"] == "TERMINATED"
        assert boots == ["vm", "stays", "vm"]
        assert sorted(_events(bench)) == [
            "compute.instances.automaticRestart",
            "compute.instances.hostError",
            "compute.instances.hostError",
        ]


def test_a_vm_that_does_not_run_cannot_be_preempted(emulated: Bench) -> None:
    emulated.raw.vm()
    emulated.raw.done("POST", f"{VM}/stop")
    emulated.emulator.preempt(ZONE, "vm")
    assert emulated.raw.get(VM)["status"] == "TERMINATED"


def test_events_can_be_planned_before_a_call(emulated: Bench) -> None:
    emulated.raw.vm()
    for action in ("host-error", "preempt"):
        emulated.emulator.faults.add(Fault("compute.zones.get", action, instance=f"{ZONE}/vm"))
    emulated.raw.get(f"/compute/v1/projects/demo-project/zones/{ZONE}")
    assert emulated.raw.get(VM)["status"] == "STOPPING"
    assert sorted(_events(emulated)) == [
        "compute.instances.automaticRestart",
        "compute.instances.hostError",
        "compute.instances.preempted",
    ]


def test_a_vm_did_not_survive_the_emulator(emulated: Bench) -> None:
    emulated.raw.vm(scheduling=LIMIT)
    emulated.emulator.stop()
    emulated.emulator.start()
    assert emulated.raw.get(VM)["status"] == "TERMINATED"
    emulated.clock.sleep(10_000)
    assert emulated.raw.get(VM)["status"] == "TERMINATED"


def test_a_simulated_guest_says_so_on_the_console(emulated: Bench) -> None:
    emulated.raw.vm()
    serial = emulated.raw.get(f"{VM}/serialPort")
    text = "emulator: this guest is simulated, the VM's startup script does not run\n"
    assert serial["contents"] == text
    assert (serial["start"], serial["next"]) == ("0", str(len(text)))
    assert emulated.emulator.simulated
    assert emulated.emulator.why_simulated == "it was asked for"


def test_serial_output_is_a_window_of_one_megabyte(tmp_path: Path) -> None:
    def chatty(vm: SimulatedVm) -> None:
        vm.print("x" * SERIAL_BYTES + "the end")

    with started(tmp_path, guest=chatty) as bench:
        bench.raw.vm()
        whole = bench.raw.get(f"{VM}/serialPort")
        end = int(whole["next"])
        assert int(whole["start"]) == end - SERIAL_BYTES > 0
        assert len(whole["contents"]) == SERIAL_BYTES
        assert bench.raw.get(f"{VM}/serialPort", start=10) == whole
        assert bench.raw.get(f"{VM}/serialPort", start=end - 3)["contents"] == "end"
        assert bench.raw.get(f"{VM}/serialPort", start=-7)["contents"] == "the end"
        assert bench.raw.get(f"{VM}/serialPort", start=end + 99)["contents"] == ""
        assert bench.raw.get(f"{VM}/serialPort", port=2)["contents"] == ""


@pytest.mark.parametrize(("name", "value"), [("port", "5"), ("start", "x")])
def test_serial_output_is_asked_for_in_numbers(raw: Raw, name: str, value: str) -> None:
    raw.vm()
    refusal = raw.send("GET", f"{VM}/serialPort?{name}={value}").refusal
    assert refusal[2].startswith(f"Invalid value for field '{name}': '{value}'. Must be")


def _attribute(bench: Bench, path: str) -> Any:
    return bench.raw.send("GET", f"{VM}/getGuestAttributes", queryPath=path)


def test_guest_attributes_are_not_found_until_the_guest_writes_them(tmp_path: Path) -> None:
    vms: list[SimulatedVm] = []
    with started(tmp_path, guest=vms.append) as bench:
        bench.raw.vm(metadata=ON)
        assert _attribute(bench, "vfs/report").refusal == (
            404,
            "notFound",
            "The resource 'vfs/report' of type 'Guest Attribute' was not found.",
        )
        vms[0].set_attribute("vfs/report", json.dumps({"phase": "done"}))
        items = _attribute(bench, "vfs/report").doc["queryValue"]["items"]
        assert items == [{"namespace": "vfs", "key": "report", "value": '{"phase": "done"}'}]
        assert _attribute(bench, "vfs/").doc["queryValue"]["items"] == items
        assert _attribute(bench, "vf").status == 404
        assert bench.raw.send("GET", f"{VM}/getGuestAttributes").refusal[1] == "required"


def test_guest_attributes_are_read_ten_times_a_minute(tmp_path: Path) -> None:
    with started(tmp_path) as bench:
        bench.raw.vm(metadata=ON)
        for _ in range(10):
            assert _attribute(bench, "vfs/report").status == 404
        assert _attribute(bench, "vfs/report").refusal == (
            403,
            "rateLimitExceeded",
            f"Guest attributes of '{VM_PATH}/vm': more than 10 queries per minute",
        )
        bench.clock.sleep(61)
        assert _attribute(bench, "vfs/report").status == 404


def test_guest_attributes_go_with_their_vm(tmp_path: Path) -> None:
    vms: list[SimulatedVm] = []
    with started(tmp_path, guest=vms.append) as bench:
        bench.raw.vm(metadata=ON)
        vms[0].set_attribute("vfs/report", "old")
        bench.raw.done("DELETE", VM)
        bench.raw.vm(metadata=ON)
        assert _attribute(bench, "vfs/report").status == 404
        kinds = {ref.kind for ref in bench.emulator.world.store.all()}
        assert "guestAttributes" not in kinds


def test_a_simulated_guest_finds_its_disks_by_device_name(tmp_path: Path) -> None:
    found: list[str] = []

    def guest(vm: SimulatedVm) -> None:
        found.append(vm.disk("target").name)
        with pytest.raises(FileNotFoundError, match="/dev/disk/by-id/google-data"):
            vm.disk("data")

    with started(tmp_path, guest=guest) as bench:
        disk = bench.raw.disk()
        bench.raw.vm(disks=({**data_disk(), "deviceName": "target"},))
        assert found == [disk["id"]]


def test_a_simulated_guest_runs_beside_a_real_clock(tmp_path: Path) -> None:
    from pylib.cloud.clock import SystemClock

    def guest(vm: SimulatedVm) -> None:
        vm.set_attribute("vfs/report", "here")
        vm.power_off()

    with started(tmp_path, guest=guest, clock=SystemClock()) as bench:
        bench.raw.vm(metadata=ON)
        world = bench.emulator.world
        ref = next(iter(world.store.find("instances")))
        assert world.jobs.wait(lambda: world.need(ref)["status"] == "TERMINATED", 20)
        assert _attribute(bench, "vfs/report").status == 200
