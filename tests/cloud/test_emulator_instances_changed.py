"""VMs on the emulator once they are there: disks, labels, limits, the end."""

from __future__ import annotations

import pytest

from pylib.emulator import Fault
from pylib.emulator.compute import attach
from tests.cloud.emulated import (
    DISK_PATH,
    VM_PATH,
    ZONAL,
    Bench,
    Raw,
    data_disk,
    vm_body,
)

VM = f"{ZONAL}/instances/vm"
OUTSIDE = [{"network": "global/networks/default", "accessConfigs": [{"name": "nat"}]}]


def _refused(raw: Raw, **body: object) -> tuple[int, str, str]:
    return raw.send("POST", f"{ZONAL}/instances", {**vm_body(), **body}).refusal


def test_disks_are_attached_and_detached_by_their_device_name(raw: Raw) -> None:
    raw.vm()
    raw.disk()
    raw.done("POST", f"{VM}/attachDisk", {**data_disk(), "deviceName": "target"})
    assert [one["deviceName"] for one in raw.get(VM)["disks"]] == ["persistent-disk-0", "target"]
    assert raw.send("POST", f"{VM}/attachDisk", data_disk()).refusal == (
        400,
        "resourceInUseByAnotherResource",
        f"The disk resource '{DISK_PATH}/data' is already being used by '{VM_PATH}/vm'",
    )
    assert raw.send("POST", f"{VM}/detachDisk", deviceName="data").refusal == (
        400,
        "badRequest",
        "No attached disk found with device name 'data'",
    )
    raw.done("POST", f"{VM}/detachDisk", deviceName="target")
    assert "users" not in raw.get(f"{ZONAL}/disks/data")
    assert raw.send("POST", f"{VM}/detachDisk", deviceName="persistent-disk-0").refusal[2] == (
        "The boot disk of a running instance cannot be detached."
    )
    assert raw.send("POST", f"{VM}/attachDisk", {**data_disk(), "boot": True}).refusal[2] == (
        "Invalid value for field 'boot': 'true'. The instance has a boot disk already."
    )


def test_an_attach_that_fails_leaves_the_disk_free(emulated: Bench) -> None:
    emulated.raw.vm()
    emulated.raw.disk()
    emulated.emulator.faults.add(Fault("compute.instances.attachDisk", "operation-error"))
    emulated.raw.wait(emulated.raw.post(f"{VM}/attachDisk", data_disk()))
    assert "users" not in emulated.raw.get(f"{ZONAL}/disks/data")
    assert len(emulated.raw.get(VM)["disks"]) == 1


def test_nothing_is_attached_to_a_vm_in_the_making(raw: Raw) -> None:
    raw.disk()
    raw.post(f"{ZONAL}/instances", vm_body())
    assert raw.send("POST", f"{VM}/attachDisk", data_disk()).refusal == (
        400,
        "resourceNotReady",
        f"The resource '{VM_PATH}/vm' is not ready",
    )


def test_auto_delete_decides_what_goes_with_the_vm(raw: Raw) -> None:
    for name in ("goes", "stays", "changed"):
        raw.disk(name)
    raw.vm(disks=(data_disk("goes", autoDelete=True), data_disk("stays"), data_disk("changed")))
    path = f"{VM}/setDiskAutoDelete"
    assert raw.send("POST", path, deviceName="none", autoDelete="true").refusal[1] == "badRequest"
    assert raw.send("POST", path, deviceName="changed", autoDelete="so").refusal[1] == "invalid"
    raw.done("POST", path, deviceName="changed", autoDelete="true")
    raw.done("DELETE", VM)
    assert [disk["name"] for disk in raw.get(f"{ZONAL}/disks")["items"]] == ["stays"]
    assert "users" not in raw.get(f"{ZONAL}/disks/stays")


def test_labels_and_metadata_change_with_their_fingerprints(raw: Raw) -> None:
    vm = raw.vm(labels={"a": "b"}, metadata={"items": [{"key": "a", "value": "1"}]})
    labels = {"labels": {"a": "c"}, "labelFingerprint": vm["labelFingerprint"]}
    raw.done("POST", f"{VM}/setLabels", labels)
    assert raw.send("POST", f"{VM}/setLabels", labels).status == 412
    items = [{"key": "a", "value": "2"}]
    metadata = {"items": items, "fingerprint": vm["metadata"]["fingerprint"]}
    raw.done("POST", f"{VM}/setMetadata", metadata)
    assert raw.send("POST", f"{VM}/setMetadata", metadata).refusal == (
        412,
        "conditionNotMet",
        "Supplied fingerprint does not match current metadata fingerprint.",
    )
    vm = raw.get(VM)
    assert (vm["labels"], vm["metadata"]["items"]) == ({"a": "c"}, items)


def test_the_time_limit_changes_only_while_the_vm_is_stopped(raw: Raw) -> None:
    raw.vm()
    body = {"maxRunDuration": {"seconds": "60"}, "instanceTerminationAction": "STOP"}
    assert raw.send("POST", f"{VM}/setScheduling", body).refusal == (
        400,
        "invalid",
        f"Instance '{VM_PATH}/vm' must be stopped for this change of scheduling.",
    )
    raw.done("POST", f"{VM}/setScheduling", {"automaticRestart": False})
    assert raw.get(VM)["scheduling"]["automaticRestart"] is False
    raw.done("POST", f"{VM}/stop")
    raw.done("POST", f"{VM}/setScheduling", body)
    assert raw.get(VM)["scheduling"]["maxRunDuration"] == {"seconds": "60"}


def test_a_protected_vm_is_not_deleted(raw: Raw) -> None:
    raw.vm(deletionProtection=True, description="keep")
    assert raw.get(VM)["description"] == "keep"
    assert raw.send("DELETE", VM).refusal == (
        400,
        "badRequest",
        f"Resource cannot be deleted if it's protected against deletion. '{VM_PATH}/vm'",
    )


def test_disks_of_a_stopped_vm_are_changed_without_a_guest(
    raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.vm()
    raw.disk()
    raw.done("POST", f"{VM}/stop")
    raw.done("POST", f"{VM}/attachDisk", data_disk())
    raw.done("POST", f"{VM}/detachDisk", deviceName="data")
    raw.done("POST", f"{VM}/detachDisk", deviceName="persistent-disk-0")
    monkeypatch.setattr(attach, "_MOST_DISKS", 0)
    assert raw.send("POST", f"{VM}/attachDisk", data_disk()).refusal == (
        400,
        "limitExceeded",
        "At most 0 disks can be attached.",
    )
