"""The bake through Google's real clients, on the emulator; the guest is a function."""

from __future__ import annotations

import json
import signal
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pylib.bake.options import Options
from pylib.bake.request import image_request
from pylib.cloud.faults import CallError, Kind
from pylib.cloud.records import DiskSpec
from pylib.cloud.wait import wait
from pylib.config.parse import load_config
from pylib.doctor import Question, State, examine
from pylib.emulator import Emulator, Fault, Settings, SimulatedVm
from pylib.emulator.guest.simulated import idle
from pylib.errors import BakeError, CloudError
from pylib.proc import run
from tests.cloud.baking import request
from tests.cloud.emulated_bake import IMAGE, PROJECT, Bench, fill
from tests.cloud.fake_parts import DIGEST


def test_a_bake_leaves_its_published_image_and_touches_nothing_else(bench: Bench) -> None:
    spec = DiskSpec("somebodys", "us-central1-a", 10, "pd-ssd", {"owner": "bob"})
    wait(bench.cloud, bench.cloud.insert_disk(spec, str(uuid.UUID(int=99))), 60)
    before = bench.emulator.inventory()

    baked = bench.bake()

    assert bench.emulator.inventory().differs(before) == [IMAGE]
    assert baked.image.family == "vllm-cache"
    assert baked.image.labels["bake-phase"] == "published"
    assert not bench.journal.exists()
    assert sum(bench.cloud.counts.values()) <= 100, bench.cloud.counts


def test_a_second_bake_reuses_it(bench: Bench) -> None:
    bench.bake()
    assert bench.bake().reused


@pytest.mark.fault("B1", "B2", "B4")
@pytest.mark.parametrize("action", ["drop-before", "drop-after", "html-body", "garbage-body"])
@pytest.mark.parametrize(
    "call",
    [
        "compute.disks.insert",
        "compute.instances.insert",
        "compute.images.insert",
        "compute.images.setLabels",
        "compute.images.patch",
        "compute.instances.delete",
        "compute.instances.get",
        "compute.instances.getGuestAttributes",
    ],
)
def test_a_lost_or_spoilt_answer_changes_nothing(bench: Bench, call: str, action: str) -> None:
    fault = Fault(call, action, times=2)
    bench.emulator.faults.add(fault)

    bench.bake()

    assert bench.emulator.faults.fired
    assert bench.made() == [IMAGE]


@pytest.mark.fault("B6", "B9")
@pytest.mark.parametrize(
    ("code", "kind"),
    [("QUOTA_EXCEEDED", Kind.QUOTA), ("PERMISSIONS_ERROR", Kind.DENIED)],
)
@pytest.mark.parametrize("call", ["disks", "instances", "images"])
def test_an_operation_that_fails_leaves_nothing(
    bench: Bench, call: str, code: str, kind: Kind
) -> None:
    bench.emulator.faults.add(Fault(f"compute.{call}.insert", "operation-error", code=code))

    with pytest.raises(CallError) as caught:
        bench.bake()

    assert caught.value.kind is kind
    assert bench.made() == []


@pytest.mark.fault("B10")
def test_a_stockout_moves_to_the_next_zone(bench: Bench) -> None:
    code = "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"
    bench.emulator.faults.add(Fault("compute.instances.insert", "operation-error", code=code))

    bench.bake()

    assert bench.made() == [IMAGE]
    zones = [entry.path.split("/zones/")[1].split("/")[0] for entry in _inserts(bench)]
    assert zones == ["us-central1-a", "us-central1-b", "us-central1-b"]


def _inserts(bench: Bench) -> list[Any]:
    return bench.emulator.journal("compute.instances.insert")


@pytest.mark.fault("B29")
def test_an_organization_policy_is_named(bench: Bench) -> None:
    bench.emulator.change(policies=frozenset({"compute.vmExternalIpAccess"}))
    asked = request()

    with pytest.raises(CallError) as caught:
        bench.bake(replace(asked, place=replace(asked.place, external_ip=True)))

    assert caught.value.kind is Kind.POLICY
    assert bench.made() == []
    bench.emulator.change(policies=frozenset({"compute.requireShieldedVm"}))
    bench.bake()


@pytest.mark.fault("B19")
def test_what_may_not_be_deleted_is_named(bench: Bench) -> None:
    bench.emulator.change(denied=frozenset({"compute.instances.delete"}))

    with pytest.raises(CloudError) as caught:
        bench.bake()

    left = [path.rsplit("/", 1)[1] for path in bench.made() if path != IMAGE]
    assert left
    assert [name for name in left if name not in str(caught.value)] == []
    bench.emulator.change(denied=frozenset())
    bench.bake()
    assert bench.made() == [IMAGE]


@pytest.mark.fault("B4")
def test_a_service_that_is_down_leaves_a_run_that_goes_on_later(bench: Bench) -> None:
    bench.emulator.faults.add(Fault("compute.images.insert", "status", times=0))
    with pytest.raises(CloudError, match="The run stays as it is"):
        bench.bake()
    bench.emulator.faults.clear()

    bench.bake()

    assert bench.made() == [IMAGE]


@pytest.mark.fault("B15")
def test_the_service_deletes_the_vm_and_disks_of_a_client_that_never_comes_back(
    bench: Bench,
) -> None:
    bench.restart(idle)
    bench.emulator.faults.add(Fault("getGuestAttributes", "status", times=0))
    with pytest.raises(CloudError, match="The run stays as it is"):
        bench.bake()
    assert len(bench.made()) == 3

    for _ in range(120):
        bench.cloud.clock.sleep(60)

    assert bench.made() == []


@pytest.mark.fault("B20")
def test_a_vm_that_stops_without_a_report_ends_the_bake(bench: Bench) -> None:
    bench.restart(lambda vm: vm.power_off())
    with pytest.raises(BakeError, match="stopped before it reported its result"):
        bench.bake()
    assert bench.made() == []


@pytest.mark.fault("B20")
def test_a_preempted_vm_ends_the_bake(bench: Bench) -> None:
    bench.restart(lambda vm: bench.emulator.preempt("us-central1-a", vm.ref.name))
    with pytest.raises(BakeError, match="is gone before it reported"):
        bench.bake()
    assert bench.made() == []


@pytest.mark.fault("G3", "G18")
def test_a_half_written_image_is_not_published(bench: Bench) -> None:
    """The disk lost what the guest wrote, as one does that was not unmounted."""

    def lose(vm: SimulatedVm) -> None:
        if "verify" in json.loads(vm.metadata["vfs-job"]):
            fill(vm)
            return
        fill(vm)
        with vm.disk("vfs-target").open("r+b") as file:
            file.write(bytes(len(DIGEST)))

    bench.restart(lose)
    with pytest.raises(BakeError, match="nothing was published"):
        bench.bake()
    assert bench.made() == []


@pytest.mark.fault("B15")
@pytest.mark.parametrize("kill_at", range(1, 21, 4))
def test_a_process_that_is_killed_is_gone_on_with_by_the_next(tmp_path: Path, kill_at: int) -> None:
    settings = Settings(project=PROJECT, guest_attributes_per_minute=10_000, shutdown_seconds=0)
    journal = tmp_path / "bake.journal"
    with Emulator(tmp_path / "emulator", settings=settings, guest=fill) as emulator:
        words = [sys.executable, "-m", "tests.cloud.bake_process", emulator.url, str(journal)]

        killed = run([*words, str(kill_at)], ok_codes=(-signal.SIGKILL,))
        left = emulator.inventory().paths()
        run([*words, "0"])

        assert killed.code == -signal.SIGKILL
        assert [path for path in emulator.inventory().paths() if "vllm" in path] == [IMAGE]
        assert not journal.exists()
        assert kill_at < 4 or any("vllm" in path for path in left)


@pytest.mark.fault("B30")
def test_doctor_finds_what_the_emulated_project_lacks(bench: Bench) -> None:
    config = load_config(Path("values/gemma-7b-fast/config.yaml"))
    config = config.model_copy(update={"project": PROJECT})
    bench.emulator.add_cluster("vllm-cluster", "us-central1")
    bench.emulator.change(
        denied=frozenset({"compute.disks.delete"}),
        disabled_services=frozenset({"containerfilesystem"}),
        quotas={"CPUS_ALL_REGIONS": 4.0},
    )
    zones = bench.cloud.zones("us-central1")
    bake = image_request(config, Options(owner="me"), "c", zones)

    found = examine(bench.cloud, Question(config, (bake,)))

    bad = [(check.name, check.text) for check in found if check.state is not State.OK]
    names = [name for name, _ in bad]
    assert names == ["apis", "permissions", "permissions of up", "quota", "network"]
    assert bad[1][1] == f"missing on {PROJECT}: compute.disks.delete"
    bench.emulator.change(
        denied=frozenset(),
        disabled_services=frozenset(),
        quotas={},
        nat_regions=frozenset({"us-central1"}),
    )
    found = examine(bench.cloud, Question(config, (bake,)))
    assert [check for check in found if check.state is not State.OK] == []
