"""Real guests: startup scripts that run in namespaces of their own, on loop devices.

A test waits for what the script writes, never for a time.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylib.cloud.clock import SystemClock
from pylib.emulator import Emulator, Fault, Settings
from pylib.emulator.compute.guest_reads import serial_file
from pylib.emulator.guest import machine
from pylib.emulator.guest.real import RealGuests, why_not
from pylib.emulator.store import Ref
from pylib.errors import ConfigError
from pylib.proc import run
from tests.cloud.emulated import GLOBAL, ZONAL, ZONE, Bench, Json, data_disk, started, vm_body

VM = f"{ZONAL}/instances/vm"
REF = Ref("instances", "demo-project", f"zones/{ZONE}", "vm")
REASON = why_not()
needs_root = pytest.mark.skipif(bool(REASON), reason=f"real guests cannot run: {REASON}")
DEVICE = "/dev/disk/by-id/google-data"
MAKE = f"mkfs.ext4 -q {DEVICE} && mount {DEVICE} /mnt"
SECONDS = 60.0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An emulator whose guests are real."""
    settings = Settings(shutdown_seconds=20, guest_attributes_per_minute=1000)
    with started(tmp_path, guest="real", clock=SystemClock(), settings=settings) as one:
        one.raw.disk()
        yield one
    assert str(tmp_path) not in run(["losetup", "--list"]).stdout


def _boot(bench: Bench, script: str, *disks: Json, **body: Any) -> Json:
    items = [
        {"key": "startup-script", "value": f"#!/bin/bash\n{script}\n"},
        {"key": "enable-guest-attributes", "value": "TRUE"},
    ]
    found = disks or (data_disk(),)
    return bench.raw.vm(disks=found, metadata={"items": items}, **body)


def _until_status(bench: Bench, status: str) -> None:
    world = bench.emulator.world
    assert world.jobs.wait(lambda: world.need(REF)["status"] == status, SECONDS), _serial(bench)


def _serial(bench: Bench) -> str:
    return str(bench.raw.get(f"{VM}/serialPort")["contents"])


def _until_serial(bench: Bench, text: str) -> str:
    """The console's text once it has ``text``; guests write it behind the emulator's back."""
    store = bench.emulator.world.store
    file = serial_file(bench.emulator.world, bench.raw.get(VM)["id"])
    deadline = time.monotonic() + SECONDS
    with store.changed:
        while text not in (found := file.read_text(encoding="utf-8") if file.exists() else ""):
            assert time.monotonic() < deadline, found
            store.changed.wait(0.02)
    return found


def _superblock(file: Path) -> str:
    return run(["dumpe2fs", "-h", file]).stdout


def _read(file: Path, path: str) -> str:
    return run(["debugfs", "-R", f"cat {path}", file]).stdout


@needs_root
def test_a_script_writes_its_disk_reports_and_powers_off(bench: Bench) -> None:
    url = "http://$GCE_METADATA_HOST/computeMetadata/v1/instance"
    _boot(
        bench,
        f"""set -e
        {MAKE}
        echo weights > /mnt/model
        umount /mnt
        flavor='Metadata-Flavor: Google'
        name=$(curl -sSf -H "$flavor" {url}/name)
        curl -sSf -X PUT -d "report of $name" -H "$flavor" {url}/guest-attributes/vfs/report
        poweroff
        """,
    )
    _until_status(bench, "TERMINATED")
    found = bench.raw.get(f"{VM}/getGuestAttributes", queryPath="vfs/report")
    assert found["queryValue"]["items"][0]["value"] == "report of vm"
    assert "emulator: powered off" in _serial(bench)
    bench.raw.image()
    image = bench.emulator.blocks("images", "image")
    assert "needs_recovery" not in _superblock(image)
    assert _read(image, "/model") == "weights\n"


@needs_root
def test_output_and_the_end_of_the_script_are_on_the_console(bench: Bench) -> None:
    _boot(bench, "echo hello; echo oh >&2; echo own > /dev/ttyS0; exit 3")
    _until_serial(bench, "own\n")
    text = _until_serial(bench, "Finished running startup scripts.")
    # What is written straight to the console comes between the script's lines, or after them.
    assert "startup-script: hello\nstartup-script: oh\n" in text.replace("own\n", "")
    assert 'Script "startup-script" failed with error: exit status 3' in text
    assert bench.raw.get(VM)["status"] == "RUNNING"


@needs_root
def test_a_script_sees_its_own_disks_processes_and_files_and_leaves_none_on_the_host(
    bench: Bench, tmp_path: Path
) -> None:
    bench.raw.disk("read")
    mark = "vfs-emulator-test-mark"
    _boot(
        bench,
        f"""echo disks: $(ls /dev/disk/by-id)
        blockdev --getsize64 {DEVICE}
        blockdev --getro {DEVICE}-read
        echo processes: $(ls -d /proc/[0-9]* | wc -l)
        touch /etc/{mark} /var/{mark} /tmp/{mark}
        [ -w /proc/sys/kernel/domainname ] && echo can tune the host
        [ -w /proc/sys/vm/drop_caches ] && echo can drop caches
        env | cut -d= -f1 | sort | tr '\\n' ' '
        exit 0
        """,
        data_disk(),
        {**data_disk("read", mode="READ_ONLY"), "deviceName": "data-read"},
    )
    text = _until_serial(bench, "Finished running startup scripts.")
    assert "disks: google-data google-data-read google-persistent-disk-0" in text
    assert f"startup-script: {10 << 30}\nstartup-script: 1\n" in text
    processes = re.search(r"processes: (\d+)", text)
    assert processes is not None
    assert int(processes[1]) < 12
    assert "can tune the host" not in text
    assert "can drop caches" in text
    assert "startup-script: GCE_METADATA_HOST HOME LANG PATH PWD SHLVL _ " in text
    assert not any(Path(place, mark).exists() for place in ("/etc", "/var", "/tmp"))


@needs_root
def test_stopping_a_vm_ends_the_guest_and_unmounts_its_disks(bench: Bench) -> None:
    _boot(
        bench,
        f"""{MAKE}
        echo written > /mnt/file
        trap 'echo told to end; exit 0' TERM
        echo ready
        while true; do sleep 1; done
        """,
    )
    _until_serial(bench, "ready")
    refusal = bench.raw.send("POST", f"{GLOBAL}/images", _image()).refusal
    assert refusal[1] == "resourceInUseByAnotherResource"
    bench.raw.done("POST", f"{VM}/stop")
    assert bench.raw.get(VM)["status"] == "TERMINATED"
    assert "emulator: powered off" in _serial(bench)
    blocks = bench.emulator.blocks("disks", "data", f"zones/{ZONE}")
    assert "needs_recovery" not in _superblock(blocks)
    assert _read(blocks, "/file") == "written\n"


def _image() -> Json:
    return {"name": "image", "sourceDisk": f"zones/{ZONE}/disks/data"}


@needs_root
def test_a_guest_that_ignores_the_button_is_cut_off(bench: Bench) -> None:
    bench.emulator.change(shutdown_seconds=0.3)
    _boot(
        bench,
        f"""{MAKE}
        echo lost > /mnt/file
        echo ready
        while true; do sleep 1; done
        """,
    )
    _until_serial(bench, "ready")
    _freeze(bench)
    bench.raw.done("POST", f"{VM}/stop")
    assert "emulator: powered off" not in _serial(bench)
    blocks = bench.emulator.blocks("disks", "data", f"zones/{ZONE}")
    assert "needs_recovery" in _superblock(blocks)


def _machine(bench: Bench) -> machine.Machine:
    guests = bench.emulator.world.guests
    assert isinstance(guests, RealGuests)
    return guests._machines[REF]


def _freeze(bench: Bench) -> None:
    """Stop the guest's first process from outside: from inside nobody can."""
    process = _machine(bench)._first_process()
    assert process is not None
    os.kill(process, 19)


@needs_root
def test_a_stop_that_fails_leaves_the_vm_to_its_guest(bench: Bench) -> None:
    bench.emulator.faults.add(Fault("compute.instances.stop", "operation-error"))
    _boot(bench, "echo ready; sleep 1000")
    _until_serial(bench, "ready")
    ended = bench.raw.wait(bench.raw.post(f"{VM}/stop"))
    assert ended["error"]["errors"][0]["code"] == "INTERNAL_ERROR"
    _until_status(bench, "TERMINATED")


@needs_root
@pytest.mark.fault("G3")
@pytest.mark.parametrize("synced", [False, True])
def test_a_host_error_keeps_only_what_had_reached_the_disk(bench: Bench, synced: bool) -> None:
    script = f"""{MAKE}
    echo kept > /mnt/first
    sync -f /mnt
    dd if=/dev/urandom of=/mnt/second bs=1M count=4 status=none
    {"sync -f /mnt" if synced else ""}
    echo ready
    """
    _boot(bench, script, scheduling={"automaticRestart": False})
    _until_serial(bench, "ready")
    bench.emulator.fail_host(ZONE, "vm")
    assert bench.raw.get(VM)["status"] == "TERMINATED"
    blocks = bench.emulator.blocks("disks", "data", f"zones/{ZONE}")
    assert "needs_recovery" in _superblock(blocks)
    run(["e2fsck", "-fy", blocks], ok_codes=(0, 1))
    assert _read(blocks, "/first") == "kept\n"
    listed = run(["debugfs", "-R", "stat /second", blocks])
    assert ("Size: 4194304" in listed.stdout) is synced


@needs_root
@pytest.mark.fault("G18")
def test_an_image_by_force_of_a_mounted_disk_is_not_clean(bench: Bench) -> None:
    _boot(bench, f"{MAKE}; echo x > /mnt/file; echo ready; sleep 1000")
    _until_serial(bench, "ready")
    bench.raw.done("POST", f"{GLOBAL}/images", _image(), forceCreate="true")
    assert "needs_recovery" in _superblock(bench.emulator.blocks("images", "image"))


@needs_root
def test_disks_come_and_go_while_the_guest_runs(bench: Bench) -> None:
    bench.raw.disk("late")
    late = "/dev/disk/by-id/google-late"
    _boot(
        bench,
        f"""echo ready
        until [ -e {late} ]; do sleep 0.05; done
        mkfs.ext4 -q {late} && mount {late} /mnt && sync -f /mnt && echo mounted
        while [ -e {late} ]; do sleep 0.05; done
        echo after > /mnt/after && sync -f /mnt; echo gone
        """,
    )
    _until_serial(bench, "ready")
    bench.raw.done("POST", f"{VM}/attachDisk", data_disk("late"))
    _until_serial(bench, "mounted")
    bench.raw.done("POST", f"{VM}/detachDisk", deviceName="late")
    _until_serial(bench, "gone")
    blocks = bench.emulator.blocks("disks", "late", f"zones/{ZONE}")
    assert "needs_recovery" in _superblock(blocks)
    assert "after" not in run(["debugfs", "-R", "ls /", blocks]).stdout
    bench.raw.done("DELETE", f"{ZONAL}/disks/late")


@needs_root
def test_a_restarted_vm_runs_its_script_again_on_the_same_disk(bench: Bench) -> None:
    _boot(
        bench,
        f"""if mount {DEVICE} /mnt 2>/dev/null; then
          echo found $(cat /mnt/file)
        else
          {MAKE}; echo first > /mnt/file
        fi
        umount /mnt
        systemctl poweroff
        """,
    )
    _until_status(bench, "TERMINATED")
    bench.raw.done("POST", f"{VM}/start")
    _until_serial(bench, "found first")
    _until_status(bench, "TERMINATED")


@needs_root
def test_a_vm_without_a_script_just_runs_until_it_is_deleted(bench: Bench) -> None:
    bench.raw.vm()
    _until_serial(bench, "emulator: booting")
    bench.raw.done("DELETE", VM)
    assert bench.raw.send("GET", f"{ZONAL}/disks/vm").status == 404


@needs_root
def test_a_guest_that_cannot_even_begin_is_terminated_and_its_console_says_why(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_PATH", "/nowhere")
    bench.raw.done("POST", f"{ZONAL}/instances", vm_body())
    _until_status(bench, "TERMINATED")
    text = _serial(bench)
    assert "emulator: the VM broke down: " in text
    assert "ended with exit code 127" in text


@needs_root
def test_disks_that_come_and_go_as_the_guest_ends_are_let_go(bench: Bench) -> None:
    _boot(bench, "echo ready; sleep 1000")
    _until_serial(bench, "ready")
    running = _machine(bench)
    bench.raw.done("POST", f"{VM}/stop")
    running.press_power_button()
    running.cut_power()
    bench.emulator.world.guests.cut_power(REF)
    bench.emulator.world.guests.shut_down(REF)
    assert bench.raw.get(VM)["status"] == "TERMINATED"


@needs_root
def test_a_guest_does_not_outlive_the_emulator(bench: Bench) -> None:
    _boot(bench, f"{MAKE}; echo ready; sleep 1000")
    _until_serial(bench, "ready")
    bench.emulator.stop()
    assert str(bench.emulator.folder) not in run(["losetup", "--list"]).stdout
    bench.emulator.start()
    assert bench.raw.get(VM)["status"] == "TERMINATED"
    assert "needs_recovery" in _superblock(bench.emulator.blocks("disks", "data", f"zones/{ZONE}"))


@needs_root
def test_loop_devices_of_an_emulator_that_was_killed_are_let_go(tmp_path: Path) -> None:
    (tmp_path / "blocks").mkdir()
    file = tmp_path / "blocks" / "left"
    with file.open("wb") as opened:
        opened.truncate(1 << 20)
    run(["losetup", "--find", file])
    assert str(file) in run(["losetup", "--list"]).stdout
    with started(tmp_path, guest="real"):
        assert str(file) not in run(["losetup", "--list"]).stdout


def test_without_root_guests_are_simulated_and_the_emulator_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    why = "only root can make namespaces and loop devices"
    with started(tmp_path, guest="auto") as bench:
        assert bench.emulator.simulated
        assert bench.emulator.why_simulated == why
        assert bench.emulator.world.guests.simulated
    with pytest.raises(ConfigError, match=f"guest: cannot be real: {why}"):
        Emulator(tmp_path, guest="real")


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        ("unshare", "not installed: unshare"),
        ("/dev/loop-control", "the kernel has no loop devices"),
        ("overlay", "the kernel has no overlay file system"),
    ],
)
def test_what_a_real_guest_needs_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: str, why: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else name)
    monkeypatch.setattr(Path, "exists", lambda self: str(self) != missing)
    monkeypatch.setattr(
        Path, "read_text", lambda *_, **__: "" if missing == "overlay" else "overlay"
    )
    assert why_not() == why
