"""A bake on the emulator through what Google's service, and others, do to it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from pylib.cloud.faults import CallError, Kind
from pylib.cloud.gcp import compute
from pylib.cloud.records import ImageSpec, Operation
from pylib.emulator import Fault, SimulatedVm
from pylib.errors import BakeError, VfsError
from tests.cloud.baking import request
from tests.cloud.emulated import ZONAL, Raw
from tests.cloud.emulated_bake import IMAGE, PROJECT, Bench, fail, fill

CALLS = ("disks.insert", "instances.insert", "images.insert", "zoneOperations.get", "disks.get")
INSERTS = {"disks": 2, "instances": 2, "images": 1}


@pytest.mark.fault("B5")
@pytest.mark.parametrize("action", ["hang", "hang-after"])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_hangs_is_given_up_and_made_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str, action: str
) -> None:
    monkeypatch.setitem(compute.ONCE, "timeout", 0.2)
    bench.emulator.faults.add(Fault(f"compute.{call}", action))

    bench.bake()

    assert bench.made() == [IMAGE]


@pytest.mark.fault("B8")
@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "notFound"), (429, "rateLimitExceeded"), (403, "rateLimitExceeded"), (503, "backend")],
)
@pytest.mark.parametrize("place", ["zone", "global"])
def test_an_operation_that_cannot_be_asked_about_makes_nothing_twice(
    bench: Bench, place: str, status: int, reason: str
) -> None:
    call = f"compute.{place}Operations.get"
    bench.emulator.faults.add(Fault(call, "status", times=3, status=status, reason=reason))

    bench.bake()

    assert bench.made() == [IMAGE]
    for kind, count in INSERTS.items():
        assert len(bench.emulator.journal(f"compute.{kind}.insert")) == count


@pytest.mark.fault("B9")
@pytest.mark.parametrize("level", ["request", "operation"])
@pytest.mark.parametrize("quota", ["CPUS_ALL_REGIONS", "us-central1/SSD_TOTAL_GB", "IMAGES"])
def test_a_quota_that_is_used_up_is_named_and_nothing_is_left(
    bench: Bench, quota: str, level: str
) -> None:
    bench.emulator.change(quotas={quota: 0.0}, quota_level=level)

    with pytest.raises(CallError) as caught:
        bench.bake()

    assert caught.value.kind is Kind.QUOTA
    assert quota.rpartition("/")[2] in str(caught.value)
    assert "https://console.cloud.google.com/iam-admin/quotas" in str(caught.value)
    assert bench.made() == []


@pytest.mark.fault("B11")
@pytest.mark.parametrize("kind", INSERTS)
def test_what_an_earlier_try_of_ours_made_is_taken_up_though_the_name_is_taken(
    bench: Bench, kind: str
) -> None:
    """The service has forgotten the request_id, so that the repeat meets the first try's work."""
    bench.emulator.change(request_id_seconds=0.0)
    bench.emulator.faults.add(Fault(f"compute.{kind}.insert", "drop-after"))

    bench.bake()

    said = [entry.status for entry in bench.emulator.journal(f"compute.{kind}.insert")]
    assert said[:2] == [0, 409]
    assert bench.made() == [IMAGE]


@pytest.mark.fault("B18")
def test_credentials_that_are_revoked_before_the_cleanup_leave_nothing_unnamed(
    bench: Bench,
) -> None:
    bench.restart(fail)
    gone = Fault(
        "DELETE .*",
        "status",
        status=401,
        reason="authError",
        message="Invalid Credentials",
        times=0,
    )
    bench.emulator.faults.add(gone)

    with pytest.raises(BakeError) as caught:
        bench.bake()

    assert caught.value.exit_code != 0
    left = [path.rsplit("/", 1)[1] for path in bench.made()]
    assert len(left) == 3
    for name in left:
        assert f" delete {name} --project={PROJECT}" in str(caught.value)
    assert "credentials" in str(caught.value)
    bench.emulator.faults.clear()
    bench.restart(fill)
    bench.bake()
    assert bench.made() == [IMAGE]


@pytest.mark.fault("B20")
def test_a_vm_whose_host_fails_is_not_restarted_and_ends_the_bake(bench: Bench) -> None:
    bench.restart(lambda vm: bench.emulator.fail_host("us-central1-a", vm.ref.name))
    with pytest.raises(BakeError, match="stopped before it reported its result"):
        bench.bake()
    assert bench.made() == []


def _before(call: Callable[..., Operation], act: Callable[[], object]) -> Callable[..., Operation]:
    """``call``, with ``act`` done before it, once."""
    rest = [act]

    def both(*args: Any) -> Operation:
        if rest:
            rest.pop()()
        return call(*args)

    return both


def _gone(bench: Bench, name: str) -> None:
    Raw(bench.emulator.url).done("DELETE", f"{ZONAL.replace('demo-project', PROJECT)}/{name}")


@pytest.mark.fault("B21")
def test_a_vm_that_is_deleted_before_its_disk_is_imaged_ends_the_bake(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish() -> None:
        [vm] = [path for path in bench.made() if "/instances/" in path]
        _gone(bench, f"instances/{vm.rsplit('/', 1)[1]}")

    original = bench.cloud.insert_image
    monkeypatch.setattr(bench.cloud, "insert_image", _before(original, vanish))

    with pytest.raises(CallError) as caught:
        bench.bake()

    assert caught.value.kind is Kind.ABSENT
    assert bench.made() == []


@pytest.mark.fault("B21")
def test_a_vm_that_is_deleted_while_its_disk_is_imaged_costs_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = bench.cloud.insert_image

    def cut(spec: ImageSpec, request_id: str) -> Operation:
        operation = original(spec, request_id)
        [vm] = [path for path in bench.made() if "/instances/" in path]
        body = Raw(bench.emulator.url).send("DELETE", f"/compute/v1/{vm}")
        assert body.status == 200
        return operation

    monkeypatch.setattr(bench.cloud, "insert_image", cut)

    bench.bake()

    assert bench.made() == [IMAGE]


@pytest.mark.fault("B25")
@pytest.mark.parametrize(
    "fault",
    [
        Fault("compute.images.insert", "operation-error", code="RESOURCE_NOT_READY", times=2),
        Fault(
            "compute.images.insert",
            "operation-error",
            code="RESOURCE_OPERATION_RATE_EXCEEDED",
            times=4,
        ),
        Fault("compute.images.insert", "status", status=400, reason="resourceNotReady", times=3),
    ],
    ids=["not-ready", "rate-of-images", "not-ready-at-once"],
)
def test_a_disk_that_may_not_be_imaged_yet_is_waited_for(bench: Bench, fault: Fault) -> None:
    bench.emulator.faults.add(fault)
    start = bench.cloud.clock.time()

    bench.bake()

    assert bench.made() == [IMAGE]
    assert bench.cloud.clock.time() - start > 10 * (2**fault.times - 1)


@pytest.mark.fault("B26")
def test_a_zone_out_of_reach_and_short_pages_hold_up_no_bake(bench: Bench) -> None:
    bench.emulator.change(page_size=1, unreachable=frozenset({"us-east4-a"}))

    bench.bake()

    assert bench.made() == [IMAGE]


@pytest.mark.fault("B28")
def test_labels_that_change_under_way_are_refused_by_their_fingerprint_and_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, path = bench.cloud.label_image, f"/compute/v1/{IMAGE}"

    def audited() -> None:
        raw = Raw(bench.emulator.url)
        now = raw.get(path)
        labels = {**now["labels"], "audited": "yes"}
        body = {"labels": labels, "labelFingerprint": now["labelFingerprint"]}
        raw.done("POST", f"{path}/setLabels", body)

    monkeypatch.setattr(bench.cloud, "label_image", _before(original, audited))

    labels = bench.bake().image.labels

    assert (labels["audited"], labels["bake-phase"]) == ("yes", "published")
    said = [entry.status for entry in bench.emulator.journal("compute.images.setLabels")]
    assert said == [200, 412, 200]


def _violated(call: str, constraint: str) -> Fault:
    message = f"Constraint constraints/{constraint} violated for projects/{PROJECT}."
    how: dict[str, Any] = {"status": 412, "reason": "conditionNotMet", "message": message}
    return Fault(call, "status", times=0, **how)


@pytest.mark.fault("B29")
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (
            {"policies": {"gcp.resourceLocations"}, "locations": ("europe-west4",)},
            "constraints/gcp.resourceLocations",
        ),
        ({"policies": {"compute.vmExternalIpAccess"}}, "constraints/compute.vmExternalIpAccess"),
    ],
)
def test_a_policy_that_forbids_the_place_or_the_address_is_named(
    bench: Bench, settings: dict[str, Any], named: str
) -> None:
    bench.emulator.change(**{**settings, "policies": frozenset(settings["policies"])})
    asked = request()

    with pytest.raises(CallError) as caught:
        bench.bake(replace(asked, place=replace(asked.place, external_ip=True)))

    assert caught.value.kind is Kind.POLICY
    assert named in str(caught.value)
    assert "An organization policy forbids it" in str(caught.value)
    assert bench.made() == []


@pytest.mark.fault("B29")
def test_a_policy_against_guest_attributes_ends_the_bake_at_once(bench: Bench) -> None:
    constraint = "compute.disableGuestAttributesAccess"
    bench.emulator.faults.add(_violated("compute.instances.getGuestAttributes", constraint))

    with pytest.raises(CallError) as caught:
        bench.bake()

    assert caught.value.kind is Kind.POLICY
    assert constraint in str(caught.value)
    assert len(bench.emulator.journal("compute.instances.getGuestAttributes")) == 1
    assert bench.made() == []


@pytest.mark.fault("B29")
@pytest.mark.parametrize("guest", [fill, fail], ids=["succeeds", "fails"])
def test_a_bake_does_not_need_serial_output(
    bench: Bench, guest: Callable[[SimulatedVm], None]
) -> None:
    bench.restart(guest)
    constraint = "compute.disableSerialPortAccess"
    bench.emulator.faults.add(_violated("compute.instances.getSerialPortOutput", constraint))
    bake = partial(bench.bake, request(log_bucket="logs-of-bakes"))

    if guest is fill:
        bake()
        assert bench.made() == [IMAGE]
        return
    with pytest.raises(BakeError, match="umount: busy"):
        bake()
    assert bench.made() == []


@pytest.mark.fault("B17")
def test_a_run_whose_vm_has_stopped_by_itself_goes_on_a_week_later(bench: Bench) -> None:
    """A stopped VM is out of reach of its own time limit, so that the filled disk waits."""
    bench.emulator.faults.add(Fault("compute.images.insert", "status", times=0))
    with pytest.raises(VfsError, match="The run stays as it is"):
        bench.bake()
    bench.emulator.faults.clear()
    bench.cloud.clock.sleep(7 * 86400)
    assert len(bench.made()) == 3

    bench.bake()

    assert bench.made() == [IMAGE]
    assert len(bench.emulator.journal("compute.instances.insert")) == 2


def test_a_vm_that_has_stopped_is_deleted_without_waiting_for_its_guest(bench: Bench) -> None:
    start = bench.cloud.clock.time()

    bench.bake()

    shutdown = bench.emulator.settings.shutdown_seconds
    assert bench.cloud.clock.time() - start < shutdown
