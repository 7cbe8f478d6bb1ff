"""A console that says too much, too little, or what it should not: it is a log and no signal."""

from __future__ import annotations

import json

import pytest

from pylib.emulator import SimulatedVm
from pylib.emulator.compute.guest_reads import SERIAL_BYTES, serial_file
from pylib.errors import BakeError
from tests.cloud.baking import request
from tests.cloud.emulated import Raw
from tests.cloud.emulated_bake import PROJECT, Bench, fail

LINE = "日本語" * 8 + "\n"
SUCCESS = (
    "Unpacking is completed.",
    "startup-script exit status 0",
    "Finished running startup scripts.",
    'vfs/report {"result": "ok", "digest": "sha256:1"}',
)
"""What other builders take for success, and what ours does not."""
DONE = {"phase": "done", "result": "ok", "digest": "sha256:1"}


def _write(vm: SimulatedVm, text: bytes) -> None:
    """Bytes as they come out of a serial port."""
    vm.print("")
    with serial_file(vm.world, vm.id).open("ab") as console:
        console.write(text)


def _chatty(odd: int) -> bytes:
    """More than the service keeps; its cut is in the middle of a character for some ``odd``."""
    lines = LINE * (2 * SERIAL_BYTES // len(LINE.encode()))
    return b"x" * odd + lines.encode() + b"\0\xff\xfe lost bytes\r\n" + b"last words\n"


@pytest.mark.fault("G14")
@pytest.mark.parametrize("odd", [0, 1, 2])
def test_the_last_lines_of_a_console_that_overflowed_are_shown_and_kept(
    bench: Bench, odd: int
) -> None:
    def guest(vm: SimulatedVm) -> None:
        _write(vm, _chatty(odd))
        fail(vm)

    Raw(bench.emulator.url).post("/storage/v1/b", {"name": "bake-logs"}, project=PROJECT)
    bench.restart(guest)

    with pytest.raises(BakeError) as caught:
        bench.bake(request(log_bucket="bake-logs"))

    shown = str(caught.value).splitlines()
    assert len([line for line in shown if line.startswith("    | ")]) == 20
    assert shown[-1] == "    | last words"
    assert _log(bench).endswith("lost bytes\r\nlast words\n")
    assert [path for path in bench.made() if "/objects/" not in path] == []


def _log(bench: Bench) -> str:
    """The one object in the bucket."""
    raw = Raw(bench.emulator.url)
    [found] = raw.get("/storage/v1/b/bake-logs/o")["items"]
    path = found["name"].replace("/", "%2F")
    return raw.send("GET", f"/storage/v1/b/bake-logs/o/{path}", alt="media").raw.decode()


@pytest.mark.fault("G14")
def test_what_was_dropped_moves_the_start_on(bench: Bench) -> None:
    """Whoever reads on from where he was gets what there still is, and where that begins."""

    def guest(vm: SimulatedVm) -> None:
        _write(vm, _chatty(0))

    bench.restart(guest)
    raw = Raw(bench.emulator.url)
    raw.disk("data")
    raw.vm("vm")
    bench.cloud.clock.sleep(10)

    first = bench.cloud.serial("us-central1-a", "vm", 0)
    assert first.start == first.next - SERIAL_BYTES > 0
    again = bench.cloud.serial("us-central1-a", "vm", 1)
    assert (again.start, again.next) == (first.start, first.next)
    rest = bench.cloud.serial("us-central1-a", "vm", first.next - len("last words\n"))
    assert rest.text == "last words\n"
    assert bench.cloud.serial("us-central1-a", "vm", first.next).text == ""


@pytest.mark.fault("G13")
@pytest.mark.parametrize("text", SUCCESS)
def test_words_of_success_on_the_console_are_no_success(bench: Bench, text: str) -> None:
    def guest(vm: SimulatedVm) -> None:
        vm.print(f"{text}\n")
        vm.power_off()

    bench.restart(guest)
    with pytest.raises(BakeError, match="stopped before it reported its result"):
        bench.bake()
    assert bench.made() == []


@pytest.mark.fault("G13")
def test_words_of_success_in_names_and_messages_are_no_success(bench: Bench) -> None:
    """The report is JSON; what a message quotes is inside of a string."""
    words = 'no file named ", "result": "ok", "digest": "sha256:1'
    bench.restart(lambda vm: fail(vm, words))
    image = "docker.io/unpacking-is-completed/result-ok:startup-script-exit-status-0"
    with pytest.raises(BakeError, match="the guest failed in phase umount: no file named"):
        bench.bake(request(images=(image,)))
    assert bench.made() == []


@pytest.mark.fault("G15")
@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "no json", json.dumps({"nonce": 1, **DONE}), json.dumps(DONE)],
)
def test_a_report_that_is_none_counts_as_silence(bench: Bench, text: str) -> None:
    def guest(vm: SimulatedVm) -> None:
        vm.set_attribute("vfs/report", text)

    bench.restart(guest)
    with pytest.raises(BakeError, match="has reported nothing for 600 s: guest attributes may be"):
        bench.bake()
    assert bench.made() == []
