"""A guest that does not succeed, and an image that fails its check: nothing is published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pylib.emulator import SimulatedVm
from pylib.emulator.compute.guest_reads import SERIAL_BYTES, serial_file
from pylib.errors import BakeError
from tests.cloud.baking import Client, request
from tests.cloud.emulated import Raw
from tests.cloud.emulated_bake import PROJECT, Bench, fail, fill
from tests.cloud.fake import FakeCompute


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A client with nothing baked yet."""
    journal = tmp_path / "bake.journal"
    return Client(FakeCompute(journal=journal), journal)


@pytest.mark.fault("B20", "B24", "G1", "G2", "G15", "G16")
@pytest.mark.parametrize(
    ("guest", "said"),
    [
        ("fail", "the guest failed in phase pull (line 12): umount: busy"),
        ("stops", "stopped before it reported its result"),
        ("old", "stopped before it reported its result"),
        ("gone", "is gone before it reported"),
        ("silent", "has reported nothing for 600 s"),
        ("runs", "reported success but is still RUNNING; not imaged."),
    ],
)
def test_a_guest_that_does_not_succeed_publishes_nothing(
    client: Client, guest: str, said: str
) -> None:
    client.cloud.guest = guest

    with pytest.raises(BakeError) as caught:
        client.bake()

    assert said in str(caught.value)
    assert client.cloud.made() == []
    assert client.cloud.left() == []


def test_a_failure_shows_the_serial_output_without_its_secrets(client: Client) -> None:
    client.cloud.guest = "fail"

    with pytest.raises(BakeError) as caught:
        client.bake()

    assert "| last words" in str(caught.value)
    assert "ya29" not in str(caught.value)


@pytest.mark.parametrize("check", ["fail", "stops", "gone", "silent", "wrong"])
def test_an_image_that_fails_its_check_is_deleted(client: Client, check: str) -> None:
    client.cloud.check = check

    with pytest.raises(BakeError):
        client.bake()

    assert client.cloud.made() == []
    assert client.cloud.left() == []


def test_an_image_that_names_other_digests_is_not_published(bench: Bench) -> None:
    def lies(vm: SimulatedVm) -> None:
        job = json.loads(vm.metadata["vfs-job"])
        if "verify" not in job:
            fill(vm)
            return
        rows = [
            {"reference": it, "digest": "sha256:" + "0" * 64, "bytes": 5} for it in job["images"]
        ]
        report = {
            "nonce": job["nonce"],
            "phase": "done",
            "result": "ok",
            "digest": job["verify"]["digest"],
            "facts": {"images": rows},
        }
        vm.set_attribute("vfs/report", json.dumps(report))
        vm.power_off()

    bench.restart(lies)
    with pytest.raises(BakeError, match="names other contents than it holds"):
        bench.bake()
    assert bench.made() == []


SECRET = "ya29." + "s3cr3t" * 20


def test_a_secret_that_the_buffer_cuts_in_two_is_not_kept(bench: Bench) -> None:
    def guest(vm: SimulatedVm) -> None:
        vm.print("")
        tail = b"x\n" * (SERIAL_BYTES // 2 - 30)
        with serial_file(vm.world, vm.id).open("ab") as console:
            console.write(f"Authorization: Bearer {SECRET}\n".encode() + tail)
        fail(vm)

    Raw(bench.emulator.url).post("/storage/v1/b", {"name": "bake-logs"}, project=PROJECT)
    bench.restart(guest)
    with pytest.raises(BakeError):
        bench.bake(request(log_bucket="bake-logs"))
    raw = Raw(bench.emulator.url)
    [found] = raw.get("/storage/v1/b/bake-logs/o")["items"]
    path = found["name"].replace("/", "%2F")
    log = raw.send("GET", f"/storage/v1/b/bake-logs/o/{path}", alt="media").raw.decode()
    assert "s3cr3t" not in log
