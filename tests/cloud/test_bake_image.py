"""The bake's state machine against a strict service in memory, fault by fault."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pylib.bake.watch import Report
from pylib.cloud.faults import CallError, Kind
from pylib.cloud.records import Image
from pylib.errors import BakeError, CloudError
from pylib.journal import Entry, Journal, JournalError
from tests.cloud.baking import IMAGE, Client, request
from tests.cloud.fake import FakeCompute
from tests.cloud.fake_parts import DIGEST, Fault, Killed


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A client with nothing baked yet."""
    journal = tmp_path / "bake.journal"
    return Client(FakeCompute(journal=journal), journal)


def test_a_bake_publishes_one_image_and_leaves_nothing_else(client: Client) -> None:
    baked = client.bake()

    [image] = client.cloud.made()
    assert baked.image == image
    assert image.family == "vllm-cache"
    assert image.labels["bake-phase"] == "published"
    assert image.labels["team"] == "search"
    assert image.labels["image-0"] == "vllm-openai-v0-33-0"
    assert image.labels["digest-0"] == "abababababab"
    assert "bake-expires" not in image.labels
    assert json.loads(image.description)["images"] == [[IMAGE, DIGEST]]
    assert client.cloud.left() == []
    assert not client.journal.exists()
    assert [kept.image.id for kept in client.kept] == [image.id]


def test_the_number_of_calls_is_bounded(client: Client) -> None:
    client.bake()

    assert sum(client.cloud.counts.values()) <= 62, client.cloud.counts


def test_vms_are_shielded_from_leaks_and_have_no_address(client: Client) -> None:
    client.cloud.plan.append(Fault("guest_attribute", "before", kind=Kind.UNKNOWN))
    with pytest.raises(CloudError):
        client.bake()

    [vm] = client.cloud.vms.values()
    assert vm.spec.max_run_seconds == 3600 + 1800
    assert not vm.spec.external_ip
    assert vm.spec.service_account is None
    assert vm.spec.boot_image == "projects/debian-cloud/global/images/debian-12-bookworm-v20261110"
    assert all(disk.auto_delete for disk in vm.spec.disks)
    assert set(vm.spec.labels) >= {"bake-run", "bake-owner", "bake-expires", "bake-phase"}


@pytest.mark.fault("B23")
def test_a_second_bake_of_the_same_inputs_reuses_the_image(client: Client) -> None:
    first = client.bake()
    before = sum(client.cloud.counts.values())

    second = client.bake()

    assert second.reused
    assert second.image == first.image
    assert second.content.parts["images"] == [[IMAGE, DIGEST]]
    assert sum(client.cloud.counts.values()) - before == 1


def _occupied(cloud: FakeCompute, status: str, labels: dict[str, str]) -> Image:
    image = Image("my-project", "vllm-v0-33-0", "5", status, labels, "f")
    cloud.images[("my-project", "vllm-v0-33-0")] = image
    return image


@pytest.mark.fault("B12", "B23")
@pytest.mark.parametrize(
    ("labels", "status", "why"),
    [
        ({}, "READY", "no bake made it."),
        ({"bake-run": "x", "bake-inputs": "y"}, "READY", "from other inputs or settings."),
        ({"bake-run": "x"}, "PENDING", "run x is making it, or died (phase candidate, until 1970"),
        ({"bake-run": "x", "bake-phase": "published"}, "FAILED", "it is FAILED."),
    ],
)
def test_an_image_of_that_name_which_cannot_be_reused_is_left_alone(
    client: Client, labels: dict[str, str], status: str, why: str
) -> None:
    inputs = {"bake-inputs": request().inputs, "bake-phase": "candidate"}
    labels = {**inputs, "bake-expires": "60", **labels} if labels else {}
    image = _occupied(client.cloud, status, labels)

    with pytest.raises(BakeError) as caught:
        client.bake()

    assert why in str(caught.value)
    assert "gcloud compute images delete vllm-v0-33-0 --project=my-project --quiet" in str(
        caught.value
    )
    assert client.cloud.made() == [image]
    assert client.cloud.left() == []


@pytest.mark.fault("B2")
@pytest.mark.parametrize("call", ["insert_disk", "insert_instance", "insert_image"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_lost_reply_makes_no_second_resource(client: Client, call: str, nth: int) -> None:
    client.cloud.plan.append(Fault(call, "after", nth=nth))

    client.bake()

    assert len(client.cloud.made()) == 1
    assert client.cloud.left() == []
    assert client.cloud.counts[call] <= 2


@pytest.mark.fault("B25")
@pytest.mark.parametrize("call", ["insert_disk", "insert_instance", "insert_image"])
def test_an_operation_that_ends_in_a_passing_error_gets_a_new_request(
    client: Client, call: str
) -> None:
    client.cloud.plan.append(
        Fault(call, "operation", code="RESOURCE_OPERATION_RATE_EXCEEDED", times=3)
    )

    client.bake()

    assert len(client.cloud.made()) == 1
    assert client.cloud.left() == []


@pytest.mark.fault("B9")
@pytest.mark.parametrize("call", ["insert_disk", "insert_instance", "insert_image"])
def test_quota_ends_the_bake_and_leaves_nothing(client: Client, call: str) -> None:
    client.cloud.plan.append(Fault(call, "operation", code="QUOTA_EXCEEDED"))

    with pytest.raises(CallError) as caught:
        client.bake()

    assert caught.value.kind is Kind.QUOTA
    assert client.cloud.left() == []
    assert client.cloud.made() == []
    assert not client.journal.exists()


@pytest.mark.fault("B10")
@pytest.mark.parametrize("code", ["ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "STOCKOUT"])
def test_a_stockout_goes_on_in_the_next_zone(client: Client, code: str) -> None:
    client.cloud.plan.append(Fault("insert_instance", "operation", code=code))

    client.bake()

    assert len(client.cloud.made()) == 1
    assert client.cloud.left() == []
    assert client.cloud.counts["insert_disk"] == 3
    assert client.cloud.made()[0].labels["bake-phase"] == "published"


@pytest.mark.fault("B10")
def test_with_all_zones_out_each_is_named(client: Client) -> None:
    code = "ZONE_RESOURCE_POOL_EXHAUSTED"
    client.cloud.plan.append(Fault("insert_instance", "operation", code=code, times=0))

    with pytest.raises(BakeError) as caught:
        client.bake()

    assert "us-central1-a: injected" in str(caught.value)
    assert "us-central1-b: injected" in str(caught.value)
    assert client.cloud.left() == []
    assert not client.journal.exists()


def test_a_resumed_run_that_meets_a_stockout_goes_on_in_the_other_zone(client: Client) -> None:
    client.cloud.kill_at = 4
    with pytest.raises(Killed):
        client.bake()
    client.cloud.revive()
    client.cloud.plan.append(Fault("insert_instance", "operation", code="STOCKOUT"))

    client.bake()

    assert len(client.cloud.made()) == 1
    assert client.cloud.left() == []


def test_the_check_reads_a_disk_from_the_image_read_only(client: Client) -> None:
    client.cloud.check = "fail"
    with pytest.raises(BakeError):
        client.bake()

    fill, check = client.cloud.specs
    assert not fill.disks[0].read_only
    assert check.disks[0].read_only
    assert check.disks[0].disk.endswith("-check")


@pytest.mark.fault("B28")
def test_labels_that_somebody_changes_meanwhile_are_kept(client: Client) -> None:
    def change() -> None:
        key = ("my-project", "vllm-v0-33-0")
        image = client.cloud.images[key]
        labels = {**image.labels, "audited": "yes"}
        client.cloud.images[key] = replace(image, labels=labels, fingerprint="other")

    client.cloud.plan.append(Fault("label_image", "nothing", run=change))

    image = client.bake().image

    assert image.labels["audited"] == "yes"
    assert image.labels["bake-phase"] == "published"


@pytest.mark.fault("B22")
def test_a_disk_that_took_the_name_is_not_imaged(client: Client) -> None:
    def swap() -> None:
        if len(client.cloud.vms) == 1 and not client.cloud.made():
            [vm] = client.cloud.vms.values()
            if vm.record.status == "TERMINATED":
                key = (vm.record.zone, vm.record.disks[1].disk)
                client.cloud.disks[key] = replace(client.cloud.disks[key], id="4711")

    client.cloud.plan.append(Fault("disk", "nothing", run=swap, times=0))

    with pytest.raises(BakeError, match="is not the one that was filled"):
        client.bake()

    assert client.cloud.made() == []


def _status(client: Client, *statuses: str) -> None:
    """The image has these statuses, one look after another, once it is cut."""
    waiting = list(statuses)

    def look() -> None:
        for key, image in client.cloud.images.items():
            if image in client.cloud.made() and waiting:
                client.cloud.images[key] = replace(image, status=waiting.pop(0))

    client.cloud.plan.append(Fault("image", "nothing", run=look, times=0))


@pytest.mark.fault("B23")
def test_an_image_that_is_still_pending_is_waited_for(client: Client) -> None:
    _status(client, "PENDING", "PENDING", "READY")
    assert client.bake().image.status == "READY"
    assert client.cloud.left() == []


@pytest.mark.fault("B23")
def test_an_image_that_failed_is_deleted(client: Client) -> None:
    _status(client, "PENDING", "FAILED")
    with pytest.raises(BakeError, match="has status FAILED; it will not be ready"):
        client.bake()
    assert client.cloud.made() == []
    assert client.cloud.left() == []


@pytest.mark.fault("B7")
def test_an_image_that_stays_pending_leaves_a_run_to_go_on_with(client: Client) -> None:
    _status(client, *["PENDING"] * 2000)
    with pytest.raises(CloudError, match="is PENDING after 7200 s"):
        client.bake()
    assert client.journal.exists()


def test_a_guest_that_never_ends_is_given_up_after_the_timeout(client: Client) -> None:
    client.cloud.guest = "works"
    with pytest.raises(BakeError, match=r"is not done after 3600 s \(phase pull\)"):
        client.bake()
    assert client.cloud.left() == []


@pytest.mark.fault("B16")
def test_a_full_disk_while_cleaning_up_still_names_what_is_left(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Journal.append

    def full(journal: Journal, entry: Entry) -> None:
        if entry.event == "abandoned":
            raise JournalError("No space left on device")
        append(journal, entry)

    client.cloud.guest = "fail"
    monkeypatch.setattr(Journal, "append", full)
    said = client.error()
    assert "umount: busy" in said
    assert [name for name in client.cloud.left() if name not in said] == []
    assert client.cloud.left() != []


def test_an_image_that_is_not_of_the_filled_disk_is_not_published(client: Client) -> None:
    def swap() -> None:
        for key, image in client.cloud.images.items():
            if image in client.cloud.made():
                client.cloud.images[key] = replace(image, source_disk_id="1")

    client.cloud.plan.append(Fault("image", "nothing", run=swap, times=0))
    with pytest.raises(BakeError, match="was not cut from this run's disk"):
        client.bake()
    assert client.cloud.made() == []


@pytest.mark.parametrize("facts", [{}, {"images": [{"reference": IMAGE}]}, {"images": []}])
def test_a_report_of_success_without_what_was_asked_for_is_none(facts: dict[str, object]) -> None:
    report = Report("done", 0, 0, "ok", "", 0, DIGEST, facts)
    with pytest.raises(BakeError, match="the guest reported success without"):
        request().recipe.content(report)


@pytest.mark.fault("B18")
@pytest.mark.parametrize("kind", [Kind.CREDENTIALS, Kind.UNKNOWN])
@pytest.mark.parametrize("call", ["guest_attribute", "image", "insert_image", "disk"])
def test_a_run_outlives_lost_credentials_and_an_unreachable_service(
    client: Client, kind: Kind, call: str
) -> None:
    client.cloud.plan.append(Fault(call, "before", nth=2, kind=kind))
    said = client.error()
    if said:
        assert [name for name in client.cloud.left() if name not in said] == []
        client.bake()

    assert len(client.cloud.made()) == 1
    assert client.cloud.left() == []


@pytest.mark.fault("B7")
def test_an_image_that_appears_after_its_operation_timed_out_is_adopted(client: Client) -> None:
    client.cloud.plan.append(Fault("insert_image", "stuck"))

    client.bake()

    assert len(client.cloud.made()) == 1
    assert client.cloud.left() == []
    assert client.cloud.counts["insert_image"] == 1


@pytest.mark.fault("B21")
def test_a_run_whose_vm_the_service_has_deleted_since_starts_anew(client: Client) -> None:
    client.cloud.plan.append(Fault("guest_attribute", "before", nth=3, kind=Kind.UNKNOWN))
    with pytest.raises(CloudError, match="The run stays as it is"):
        client.bake()
    client.cloud.clock.sleep(6000)

    client.bake()

    assert client.cloud.left() == []
    assert len(client.cloud.made()) == 1
    assert client.cloud.counts["insert_instance"] == 3
