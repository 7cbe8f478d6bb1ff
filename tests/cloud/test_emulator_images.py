"""Images on the emulator follow the rules of Compute Engine."""

from __future__ import annotations

import pytest

from pylib.emulator import Fault
from tests.cloud.emulated import (
    AT,
    DISK_PATH,
    GLOBAL,
    VM_PATH,
    ZONAL,
    ZONE,
    Bench,
    Json,
    Raw,
    data_disk,
)

SOURCE = {"name": "image", "sourceDisk": f"zones/{ZONE}/disks/data"}
IMAGE_PATH = "projects/demo-project/global/images"


def _refused(raw: Raw, **body: object) -> tuple[int, str, str]:
    return raw.send("POST", f"{GLOBAL}/images", {**SOURCE, **body}).refusal


def test_an_image_is_pending_until_it_is_ready(raw: Raw) -> None:
    disk = raw.disk()
    operation = raw.post(f"{GLOBAL}/images", {**SOURCE, "family": "cache", "labels": {"a": "b"}})
    assert raw.get(f"{GLOBAL}/images/image")["status"] == "PENDING"
    assert raw.send("GET", f"{GLOBAL}/images/family/cache").status == 404
    not_ready = (400, "resourceNotReady", f"The resource '{IMAGE_PATH}/image' is not ready")
    assert raw.send("DELETE", f"{GLOBAL}/images/image").refusal == not_ready
    body = {"name": "copy", "sourceImage": "global/images/image"}
    assert raw.send("POST", f"{ZONAL}/disks", body).refusal == not_ready
    raw.wait(operation)
    image = raw.get(f"{GLOBAL}/images/image")
    assert image["status"] == "READY"
    assert (image["sourceDiskId"], image["diskSizeGb"]) == (disk["id"], "10")
    assert image["labels"] == {"a": "b"}
    assert raw.get(f"{GLOBAL}/images/family/cache")["name"] == "image"


def test_an_image_takes_the_blocks_of_the_moment_and_their_size(emulated: Bench) -> None:
    raw, emulator = emulated.raw, emulated.emulator
    raw.disk()
    blocks = emulator.blocks("disks", "data", f"zones/{ZONE}")
    with blocks.open("r+b") as file:
        file.write(b"x" * 8192)
    image = raw.image()
    assert image["archiveSizeBytes"] == "8192"
    with blocks.open("r+b") as file:
        file.write(b"later")
    with emulator.blocks("images", "image").open("rb") as file:
        assert file.read(5) == b"xxxxx"


@pytest.mark.parametrize("force", [False, True])
def test_a_disk_that_a_running_vm_writes_to_is_imaged_only_by_force(raw: Raw, force: bool) -> None:
    raw.disk()
    raw.vm(disks=(data_disk(),))
    answer = raw.send("POST", f"{GLOBAL}/images", SOURCE, forceCreate=force)
    if force:
        assert answer.status == 200
    else:
        assert answer.refusal == (
            400,
            "resourceInUseByAnotherResource",
            f"The disk resource '{DISK_PATH}/data' is already being used by '{VM_PATH}/vm'",
        )


def test_a_disk_of_a_stopped_vm_or_one_that_is_read_can_be_imaged(raw: Raw) -> None:
    raw.disk()
    raw.disk("read")
    raw.vm(disks=(data_disk(), data_disk("read", mode="READ_ONLY")))
    raw.image("of-read", "read")
    stopping = raw.post(f"{ZONAL}/instances/vm/stop")
    assert _refused(raw)[1] == "resourceInUseByAnotherResource"
    raw.wait(stopping)
    raw.image()


def test_a_source_is_required_and_a_name_taken_once(raw: Raw) -> None:
    raw.disk()
    assert _refused(raw, sourceDisk="") == (
        400,
        "required",
        "Required field 'resource.sourceDisk' not specified",
    )
    assert _refused(raw, family="A B")[2].startswith(
        "Invalid value for field 'resource.family': 'A B'. Must be a match of regex"
    )
    raw.image()
    assert _refused(raw) == (
        409,
        "alreadyExists",
        f"The resource '{IMAGE_PATH}/image' already exists",
    )


def test_an_image_that_fails_stays_failed_and_can_be_deleted(emulated: Bench) -> None:
    raw = emulated.raw
    raw.disk()
    fault = Fault("compute.images.insert", "operation-error", code="INTERNAL_ERROR", message="Oh.")
    emulated.emulator.faults.add(fault)
    ended = raw.wait(raw.post(f"{GLOBAL}/images", SOURCE))
    assert ended["error"]["errors"] == [{"code": "INTERNAL_ERROR", "message": "Oh."}]
    assert raw.get(f"{GLOBAL}/images/image")["status"] == "FAILED"
    body = {"name": "copy", "sourceImage": "global/images/image"}
    assert raw.send("POST", f"{ZONAL}/disks", body).refusal[1] == "resourceNotReady"
    raw.done("DELETE", f"{GLOBAL}/images/image")
    assert raw.send("GET", f"{GLOBAL}/images/image").status == 404


def test_an_image_whose_deletion_fails_is_as_it_was(emulated: Bench) -> None:
    raw = emulated.raw
    raw.disk()
    raw.image()
    emulated.emulator.faults.add(Fault("compute.images.delete", "operation-error"))
    operation = raw.send("DELETE", f"{GLOBAL}/images/image").doc
    assert raw.get(f"{GLOBAL}/images/image")["status"] == "DELETING"
    assert "error" in raw.wait(operation)
    assert raw.get(f"{GLOBAL}/images/image")["status"] == "READY"


def test_one_disk_is_imaged_six_times_an_hour(emulated: Bench) -> None:
    raw = emulated.raw
    raw.disk()
    for number in range(6):
        raw.image(f"image-{number}")
    ended = raw.wait(raw.post(f"{GLOBAL}/images", {**SOURCE, "name": "seventh"}))
    assert ended["error"]["errors"] == [
        {
            "code": "RESOURCE_OPERATION_RATE_EXCEEDED",
            "message": f"Operation rate exceeded for resource '{DISK_PATH}/data'. "
            "Too frequent operations from the source resource.",
        }
    ]
    emulated.clock.sleep(3601)
    raw.image("eighth")


def test_the_family_is_its_newest_image_that_is_not_deprecated(emulated: Bench) -> None:
    raw = emulated.raw
    raw.disk()
    for name in ("old", "new"):
        raw.image(name, family="cache")
        emulated.clock.sleep(60)
    assert raw.get(f"{GLOBAL}/images/family/cache")["name"] == "new"
    raw.done("POST", f"{GLOBAL}/images/new/deprecate", {"state": "DEPRECATED"})
    assert raw.get(f"{GLOBAL}/images/family/cache")["name"] == "old"
    assert raw.get(f"{GLOBAL}/images/new")["deprecated"] == {"state": "DEPRECATED"}
    raw.done("POST", f"{GLOBAL}/images/new/deprecate", {})
    assert raw.get(f"{GLOBAL}/images/family/cache")["name"] == "new"
    refusal = raw.send("POST", f"{GLOBAL}/images/new/deprecate", {"state": "OLD"}).refusal
    assert refusal[2].startswith("Invalid value for field 'state': 'OLD'. Acceptable values are:")


def test_description_and_family_can_change_and_nothing_else(raw: Raw) -> None:
    raw.disk()
    raw.image()
    raw.done("PATCH", f"{GLOBAL}/images/image", {"family": "cache", "description": "d"})
    image = raw.get(f"{GLOBAL}/images/image")
    assert (image["family"], image["description"]) == ("cache", "d")
    refusal = raw.send("PATCH", f"{GLOBAL}/images/image", {"diskSizeGb": "20"}).refusal
    assert refusal == (
        400,
        "invalid",
        "Invalid value for field 'resource.diskSizeGb': '20'. It cannot be updated.",
    )
    refusal = raw.send("PATCH", f"{GLOBAL}/images/image", {"family": "A"}).refusal
    assert refusal[1] == "invalid"


def test_labels_of_an_image_and_a_snapshot_need_their_fingerprint(raw: Raw) -> None:
    raw.disk()
    raw.image()
    raw.done("POST", f"{GLOBAL}/snapshots", {**SOURCE, "name": "snap"})
    for path in (f"{GLOBAL}/images/image", f"{GLOBAL}/snapshots/snap"):
        body: Json = {"labels": {"a": "b"}, "labelFingerprint": "stale"}
        assert raw.send("POST", f"{path}/setLabels", body).status == 412
        body["labelFingerprint"] = raw.get(path)["labelFingerprint"]
        raw.done("POST", f"{path}/setLabels", body)
        assert raw.get(path)["labels"] == {"a": "b"}


def test_public_images_are_there_to_read_for_anyone(raw: Raw) -> None:
    debian = "/compute/v1/projects/debian-cloud/global/images"
    names = [image["name"] for image in raw.get(debian)["items"]]
    assert "debian-12-bookworm-v20261110" in names
    newest = raw.get(f"{debian}/family/debian-12")
    assert newest["name"] == "debian-12-bookworm-v20261110"
    assert raw.get(f"{debian}/{newest['id']}") == newest
    assert raw.send("GET", f"{debian}/family/debian-11").status == 404
    assert "items" not in raw.get("/compute/v1/projects/windows-cloud/global/images")
    assert raw.send("GET", "/compute/v1/projects/strangers/global/images").refusal == (
        404,
        "notFound",
        "The resource 'projects/strangers' was not found",
    )


def test_snapshots_come_and_go(raw: Raw) -> None:
    raw.disk()
    assert raw.send("POST", f"{GLOBAL}/snapshots", {"name": "snap"}).refusal == (
        400,
        "required",
        "Required field 'resource.sourceDisk' not specified",
    )
    operation = raw.post(f"{GLOBAL}/snapshots", {**SOURCE, "name": "snap", "description": "d"})
    assert raw.send("DELETE", f"{GLOBAL}/snapshots/snap").refusal[1] == "resourceNotReady"
    raw.wait(operation)
    snapshot = raw.get(f"{GLOBAL}/snapshots/snap")
    assert (snapshot["status"], snapshot["description"]) == ("READY", "d")
    again = raw.send("POST", f"{GLOBAL}/snapshots", {**SOURCE, "name": "snap"})
    assert again.refusal[1] == "alreadyExists"
    assert [one["name"] for one in raw.get(f"{GLOBAL}/snapshots")["items"]] == ["snap"]
    raw.done("DELETE", f"{GLOBAL}/snapshots/snap")
    assert "items" not in raw.get(f"{GLOBAL}/snapshots")


def test_a_snapshot_whose_deletion_fails_is_ready_again(emulated: Bench) -> None:
    raw = emulated.raw
    raw.disk()
    raw.done("POST", f"{GLOBAL}/snapshots", {**SOURCE, "name": "snap"})
    emulated.emulator.faults.add(Fault("compute.snapshots.delete", "operation-error"))
    raw.wait(raw.send("DELETE", f"{GLOBAL}/snapshots/snap").doc)
    assert raw.get(f"{GLOBAL}/snapshots/snap")["status"] == "READY"


def test_quota_of_images_is_the_projects(emulated: Bench) -> None:
    emulated.raw.disk()
    emulated.emulator.change(quotas={"IMAGES": 0})
    assert _refused(emulated.raw) == (
        403,
        "quotaExceeded",
        "Quota 'IMAGES' exceeded.  Limit: 0.0 globally.",
    )
    quotas = {one["metric"]: one["limit"] for one in emulated.raw.get(AT)["quotas"]}
    assert quotas["IMAGES"] == 0
    emulated.emulator.change(quota_level="operation")
    ended = emulated.raw.wait(emulated.raw.post(f"{GLOBAL}/images", SOURCE))
    assert ended["error"]["errors"][0]["code"] == "QUOTA_EXCEEDED"
