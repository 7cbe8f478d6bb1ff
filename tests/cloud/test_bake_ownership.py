"""What is not the run's is left alone; what the run cannot delete, it names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pylib.cloud.faults import CallError, Kind
from pylib.cloud.records import Disk
from pylib.errors import BakeError, CloudError
from pylib.journal import JournalError
from tests.cloud.baking import Client
from tests.cloud.fake import FakeCompute
from tests.cloud.fake_parts import Fault, Killed


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A client with nothing baked yet."""
    journal = tmp_path / "bake.journal"
    return Client(FakeCompute(journal=journal), journal)


@pytest.mark.fault("B12")
def test_a_strangers_disk_of_the_same_name_is_never_touched(client: Client) -> None:
    bench_disk = Disk("vllm-v0-33-0-x", "9", "us-central1-a", "READY", 60, "pd-ssd", {"who": "bob"})

    def occupy() -> None:
        run = json.loads(client.journal.read_text().splitlines()[1])["data"]["run"]
        name = f"vllm-v0-33-0-{run}"
        found = replace(bench_disk, name=name)
        client.cloud.disks.setdefault(("us-central1-a", name), found)

    client.cloud.plan.append(Fault("image_of_family", "nothing", run=occupy))

    with pytest.raises(BakeError, match="was left alone"):
        client.bake()

    [disk] = client.cloud.disks.values()
    assert disk.labels == {"who": "bob"}
    assert client.cloud.counts["delete_disk"] == 0


def test_a_name_that_is_used_again_survives_the_cleanup(client: Client) -> None:
    """The VM was deleted by somebody, and another of its name and labels made: by id not ours."""

    def reborn() -> None:
        for key, vm in client.cloud.vms.items():
            client.cloud.vms[key].record = replace(vm.record, id="4711")

    client.cloud.guest = "fail"
    client.cloud.plan.append(Fault("serial", "nothing", run=reborn))

    with pytest.raises(BakeError):
        client.bake()

    assert [vm.record.id for vm in client.cloud.vms.values()] == ["4711"]


@pytest.mark.fault("B19")
def test_what_cannot_be_deleted_is_named_and_the_next_run_deletes_it(client: Client) -> None:
    client.cloud.guest = "fail"
    client.cloud.plan.append(Fault("delete_instance", "before", kind=Kind.DENIED))

    with pytest.raises(BakeError) as caught:
        client.bake()

    text = str(caught.value)
    assert "umount: busy" in text
    assert "and this is left; delete it by hand, or run again:" in text
    for name in client.cloud.left():
        assert f" delete {name} --project=my-project --zone=us-central1-a --quiet" in text
    client.cloud.guest = "ok"
    client.bake()
    assert client.cloud.left() == []
    assert len(client.cloud.made()) == 1


def test_an_image_that_is_published_already_survives_what_fails_after(client: Client) -> None:
    client.cloud.plan.append(Fault("set_family", "before", kind=Kind.DENIED))
    with pytest.raises(CallError):
        client.bake()
    [image] = client.cloud.made()
    assert image.labels["bake-phase"] == "published"
    assert client.cloud.left() == []


@pytest.mark.fault("B17")
@pytest.mark.parametrize(("hours", "same"), [(0, True), (2, False)])
def test_a_request_id_is_used_again_as_long_as_the_service_remembers_it(
    client: Client, hours: int, same: bool
) -> None:
    client.cloud.plan.append(Fault("insert_disk", "nothing", run=client.cloud.die))
    with pytest.raises(Killed):
        client.bake()
    client.cloud.plan.clear()
    client.cloud.revive()
    [begun] = [json.loads(line) for line in client.journal.read_text().splitlines()[-1:]]
    assert (begun["step"], begun["event"]) == ("disk", "begin")
    client.cloud.clock.sleep(hours * 3600)

    client.bake()

    assert (begun["request_id"] in client.cloud.requests) is same


@pytest.mark.fault("B34")
def test_a_resource_that_shows_only_after_the_cleanup_began_is_deleted(client: Client) -> None:
    """The insert's answer was lost on the way, and its effect came late."""

    def appear() -> None:
        data = json.loads(client.journal.read_text().splitlines()[1])["data"]
        name, labels = f"vllm-v0-33-0-{data['run']}", {"bake-run": data["run"]}
        disk = Disk(name, "9", "us-central1-a", "READY", 60, "pd-ssd", labels)
        client.cloud.disks[("us-central1-a", name)] = disk

    client.cloud.plan.append(Fault("insert_disk", "before", kind=Kind.DENIED))
    client.cloud.plan.append(Fault("disk", "nothing", nth=4, run=appear))
    with pytest.raises(CallError):
        client.bake()
    assert client.cloud.counts["delete_disk"] == 1
    assert client.cloud.left() == []


def test_a_published_image_with_leftovers_is_kept_and_they_are_named(client: Client) -> None:
    client.cloud.plan.append(Fault("delete_instance", "before", kind=Kind.DENIED, times=2))

    with pytest.raises(CloudError) as caught:
        client.bake()

    assert "image vllm-v0-33-0 is published" in str(caught.value)
    assert len(client.kept) == 1
    client.bake()
    assert client.cloud.left() == []
    assert len(client.cloud.made()) == 1


@pytest.mark.fault("B13")
def test_two_bakes_with_one_journal_exclude_each_other(client: Client) -> None:
    other = Client(client.cloud, client.journal)
    failures: list[str] = []

    def second() -> None:
        try:
            other.bake()
        except JournalError as error:
            failures.append(str(error))

    client.cloud.plan.append(Fault("insert_disk", "nothing", run=second))
    client.bake()

    assert len(failures) == 1
    assert "another run holds this journal" in failures[0]
    assert len(client.cloud.made()) == 1


@pytest.mark.fault("B13")
def test_two_bakes_on_two_machines_make_one_image(client: Client, tmp_path: Path) -> None:
    other = Client(client.cloud, tmp_path / "other.journal", numbers=iter(range(10**6, 10**7)))
    failures: list[str] = []

    def second() -> None:
        try:
            other.bake()
        except BakeError as error:
            failures.append(str(error))

    client.cloud.plan.append(Fault("guest_attribute", "nothing", run=second))
    client.bake()

    assert len(failures) == 1
    assert "bakes the same now, on VM" in failures[0]
    assert len(client.cloud.made()) == 1
    assert client.cloud.left() == []


@pytest.mark.fault("B13")
def test_of_two_bakes_that_started_together_the_later_image_gives_way(
    client: Client, tmp_path: Path
) -> None:
    other = Client(client.cloud, tmp_path / "other.journal", numbers=iter(range(10**6, 10**7)))

    def second() -> None:
        client.cloud.plan.clear()
        client.cloud.blind = True
        other.bake()

    client.cloud.plan.append(Fault("insert_image", "nothing", run=second))

    with pytest.raises(BakeError, match="is not this run's"):
        client.bake()

    [image] = client.cloud.made()
    assert image.labels["bake-phase"] == "published"
    assert client.cloud.left() == []
    assert client.bake().reused
