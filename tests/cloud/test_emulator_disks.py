"""Disks on the emulator follow the rules of Compute Engine."""

from __future__ import annotations

import pytest

from pylib.emulator import Fault, Settings, blocks
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
    vm_body,
)

TYPES = f"zones/{ZONE}/diskTypes"


def _refused(raw: Raw, **body: object) -> tuple[int, str, str]:
    asked = {"name": "data", "sizeGb": "10", "type": f"{TYPES}/pd-ssd", **body}
    return raw.send("POST", f"{ZONAL}/disks", asked).refusal


def test_a_disk_is_seen_while_it_is_made_and_ready_when_its_operation_is_done(raw: Raw) -> None:
    operation = raw.post(f"{ZONAL}/disks", {"name": "data", "sizeGb": "10"})
    assert raw.get(f"{ZONAL}/disks/data")["status"] == "CREATING"
    raw.wait(operation)
    assert raw.get(f"{ZONAL}/disks/data")["status"] == "READY"


def test_a_new_disk_has_its_defaults(emulated: Bench) -> None:
    emulated.raw.done("POST", f"{ZONAL}/disks", {"name": "plain"})
    disk = emulated.raw.get(f"{ZONAL}/disks/plain")
    assert (disk["sizeGb"], disk["type"].rsplit("/", 1)[1]) == ("500", "pd-standard")
    blocks = emulated.emulator.blocks("disks", "plain", f"zones/{ZONE}")
    assert blocks.stat().st_size == 500 << 30
    assert blocks.stat().st_blocks == 0


@pytest.mark.parametrize(
    "name", ["Data", "1data", "data-", "d.ata", "a" * 64, "daten_1", "d\u00e4ten"]
)
def test_a_name_that_compute_engine_does_not_take_is_refused(raw: Raw, name: str) -> None:
    assert _refused(raw, name=name) == (
        400,
        "invalid",
        f"Invalid value for field 'resource.name': '{name}'. "
        "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'",
    )


def test_a_name_is_required(raw: Raw) -> None:
    assert _refused(raw, name="") == (
        400,
        "required",
        "Required field 'resource.name' not specified",
    )


def test_a_name_is_taken_once(raw: Raw) -> None:
    raw.disk()
    assert _refused(raw) == (
        409,
        "alreadyExists",
        f"The resource '{DISK_PATH}/data' already exists",
    )


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"tag": "v0.5.3"}, "Label value 'v0.5.3' violates format constraints. The value can"),
        ({"tag": "Upper"}, "Label value 'Upper' violates format constraints. The value can"),
        ({"tag": "a" * 64}, f"Label value '{'a' * 64}' violates format constraints. The value"),
        ({"1tag": "a"}, "Label key '1tag' violates format constraints. The key must start"),
        ({"": "a"}, "Label key '' violates format constraints. The key must start"),
        ({"a.b": "a"}, "Label key 'a.b' violates format constraints. The key must start"),
        ({f"k{n}": "" for n in range(65)}, "Too many labels; the maximum is 64."),
    ],
)
def test_labels_follow_the_rules(raw: Raw, labels: Json, why: str) -> None:
    status, reason, message = _refused(raw, labels=labels)
    assert (status, reason) == (400, "invalid")
    assert message.startswith(f"Invalid value for field 'resource.labels': ''. {why}")


def test_labels_may_be_international_and_empty(raw: Raw) -> None:
    labels = {"gr\u00f6\u00dfe": "", "k_1-a": "\u65e5\u672c"}
    assert raw.disk(labels=labels)["labels"] == labels


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"type": "pd-ssd"},
            "Invalid value for field 'resource.type': 'pd-ssd'. The URL is malformed.",
        ),
        (
            {"type": f"zones/{ZONE}/machineTypes/n1-standard-1"},
            f"Invalid value for field 'resource.type': 'zones/{ZONE}/machineTypes/n1-standard-1'. "
            "The referenced resource is not one of diskTypes.",
        ),
        (
            {"type": "zones/us-central1-b/diskTypes/pd-ssd"},
            "Invalid value for field 'resource.type': 'zones/us-central1-b/diskTypes/pd-ssd'. "
            "Disk type must be in the same zone as the disk.",
        ),
        (
            {"sizeGb": "0"},
            "Invalid value for field 'resource.sizeGb': '0'. Must be greater than or equal to 1",
        ),
        (
            {"sizeGb": "9"},
            "Invalid value for field 'resource.sizeGb': '9'. "
            "Disk size of pd-ssd must be between 10 and 65536 GB",
        ),
        (
            {"accessMode": "READ_ONLY_MANY"},
            "Invalid value for field 'resource.accessMode': 'READ_ONLY_MANY'. "
            "It cannot be specified for pd-ssd.",
        ),
        (
            {"type": f"{TYPES}/hyperdisk-ml", "accessMode": "READ_ONLY"},
            "Invalid value for field 'resource.accessMode': 'READ_ONLY'. Acceptable values are: "
            "'READ_WRITE_SINGLE', 'READ_ONLY_MANY', 'READ_WRITE_MANY'",
        ),
        (
            {"sourceImage": "global/images/a", "sourceSnapshot": "global/snapshots/b"},
            "Invalid value for field 'resource.sourceSnapshot': 'global/snapshots/b'. "
            "Only one source may be given.",
        ),
    ],
)
def test_a_body_that_contradicts_itself_is_refused(raw: Raw, body: Json, message: str) -> None:
    assert _refused(raw, **body) == (400, "invalid", message)


def test_what_a_disk_is_made_of_must_be_there(raw: Raw) -> None:
    assert _refused(raw, type=f"{TYPES}/floppy")[2] == (
        f"The resource 'projects/demo-project/{TYPES}/floppy' was not found"
    )
    assert _refused(raw, sourceImage="global/images/none")[:2] == (404, "notFound")
    assert _refused(raw, sourceImage="global/images/family/none")[2] == (
        "The resource 'projects/demo-project/global/images/family/none' was not found"
    )


def test_a_disk_is_no_smaller_than_its_image(raw: Raw) -> None:
    image = "projects/debian-cloud/global/images/family/debian-12"
    pd = f"{TYPES}/pd-ssd"
    assert _refused(raw, sourceImage=image, sizeGb="5")[2] == (
        "Invalid value for field 'resource.sizeGb': '5'. "
        "Requested disk size cannot be smaller than the image size (10 GB)"
    )
    raw.done("POST", f"{ZONAL}/disks", {"name": "boot", "type": pd, "sourceImage": image})
    disk = raw.get(f"{ZONAL}/disks/boot")
    assert disk["sizeGb"] == "10"
    assert disk["sourceImage"].endswith("/debian-12-bookworm-v20261110")


def test_a_disk_has_the_blocks_of_its_image_and_of_its_snapshot(emulated: Bench) -> None:
    raw, emulator = emulated.raw, emulated.emulator
    raw.disk()
    with emulator.blocks("disks", "data", f"zones/{ZONE}").open("r+b") as file:
        file.write(b"weights")
    raw.image()
    body = {"name": "snap"}
    operation = raw.done("POST", f"{ZONAL}/disks/data/createSnapshot", body)
    assert operation["targetLink"].endswith("/disks/data")
    with emulator.blocks("disks", "data", f"zones/{ZONE}").open("r+b") as file:
        file.write(b"changed")
    raw.disk("one", sourceImage="global/images/image", sizeGb="20")
    raw.disk("two", sourceSnapshot="global/snapshots/snap")
    for name, gib in (("one", 20), ("two", 10)):
        blocks = emulator.blocks("disks", name, f"zones/{ZONE}")
        assert blocks.stat().st_size == gib << 30
        with blocks.open("rb") as file:
            assert file.read(7) == b"weights"


def test_a_disk_only_grows(emulated: Bench) -> None:
    raw = emulated.raw
    raw.disk()
    for size in ("10", "5"):
        refusal = raw.send("POST", f"{ZONAL}/disks/data/resize", {"sizeGb": size}).refusal
        assert refusal == (
            400,
            "invalid",
            f"Invalid value for field 'sizeGb': '{size}'. "
            f"New disk size '{size}' must be larger than existing size '10'.",
        )
    raw.done("POST", f"{ZONAL}/disks/data/resize", {"sizeGb": "20"})
    assert raw.get(f"{ZONAL}/disks/data")["sizeGb"] == "20"
    blocks = emulated.emulator.blocks("disks", "data", f"zones/{ZONE}")
    assert blocks.stat().st_size == 20 << 30


def test_labels_change_only_with_the_fingerprint_of_their_state(raw: Raw) -> None:
    first = raw.disk(labels={"a": "1"})["labelFingerprint"]
    body = {"labels": {"a": "2"}, "labelFingerprint": first}
    raw.done("POST", f"{ZONAL}/disks/data/setLabels", body)
    answer = raw.send("POST", f"{ZONAL}/disks/data/setLabels", body)
    assert answer.refusal == (
        412,
        "conditionNotMet",
        "Labels fingerprint either invalid or resource labels have changed",
    )
    assert answer.doc["error"]["errors"][0]["location"] == "If-Match"
    assert raw.get(f"{ZONAL}/disks/data")["labels"] == {"a": "2"}


def test_a_disk_goes_only_when_no_vm_has_it(raw: Raw) -> None:
    raw.disk()
    raw.vm(disks=(data_disk(),))
    refusal = raw.send("DELETE", f"{ZONAL}/disks/data").refusal
    assert refusal == (
        400,
        "resourceInUseByAnotherResource",
        f"The disk resource '{DISK_PATH}/data' is already being used by '{VM_PATH}/vm'",
    )
    raw.done("DELETE", f"{ZONAL}/instances/vm")
    raw.done("DELETE", f"{ZONAL}/disks/data")
    assert raw.send("GET", f"{ZONAL}/disks/data").refusal == (
        404,
        "notFound",
        f"The resource '{DISK_PATH}/data' was not found",
    )


def test_a_deleted_disk_leaves_no_blocks(emulated: Bench) -> None:
    emulated.raw.disk()
    blocks = emulated.emulator.blocks("disks", "data", f"zones/{ZONE}")
    assert blocks.exists()
    emulated.raw.done("DELETE", f"{ZONAL}/disks/data")
    assert not blocks.exists()


def test_a_disk_in_the_making_is_not_ready(raw: Raw) -> None:
    raw.post(f"{ZONAL}/disks", {"name": "data", "sizeGb": "10"})
    not_ready = (400, "resourceNotReady", f"The resource '{DISK_PATH}/data' is not ready")
    assert raw.send("DELETE", f"{ZONAL}/disks/data").refusal == not_ready
    body = vm_body(disks=(data_disk(),))
    assert raw.send("POST", f"{ZONAL}/instances", body).refusal == not_ready
    image = {"name": "image", "sourceDisk": f"zones/{ZONE}/disks/data"}
    assert raw.send("POST", f"{GLOBAL}/images", image).refusal == not_ready


def test_a_disk_stays_while_an_image_or_a_snapshot_is_cut_from_it(raw: Raw) -> None:
    raw.disk()
    image = {"name": "image", "sourceDisk": f"zones/{ZONE}/disks/data"}
    cutting = raw.post(f"{GLOBAL}/images", image)
    assert raw.send("DELETE", f"{ZONAL}/disks/data").refusal[2] == (
        f"The disk resource '{DISK_PATH}/data' is already being used by "
        "'projects/demo-project/global/images/image'"
    )
    raw.wait(cutting)
    cutting = raw.post(f"{ZONAL}/disks/data/createSnapshot", {"name": "snap"})
    assert raw.send("DELETE", f"{ZONAL}/disks/data").refusal[1] == "resourceInUseByAnotherResource"
    raw.wait(cutting)
    raw.done("DELETE", f"{ZONAL}/disks/data")


def test_one_vm_writes_or_several_read(raw: Raw) -> None:
    raw.disk()
    raw.vm("one", disks=(data_disk(),))
    for mode in ("READ_WRITE", "READ_ONLY"):
        body = vm_body("two", disks=(data_disk(mode=mode),))
        assert raw.send("POST", f"{ZONAL}/instances", body).refusal == (
            400,
            "resourceInUseByAnotherResource",
            f"The disk resource '{DISK_PATH}/data' is already being used by '{VM_PATH}/one'",
        )
    raw.disk("shared")
    raw.vm("three", disks=(data_disk("shared", mode="READ_ONLY"),))
    raw.vm("four", disks=(data_disk("shared", mode="READ_ONLY"),))
    users = raw.get(f"{ZONAL}/disks/shared")["users"]
    assert [user.rsplit("/", 1)[1] for user in users] == ["three", "four"]
    writer = vm_body("five", disks=(data_disk("shared"),))
    refusal = raw.send("POST", f"{ZONAL}/instances", writer).refusal
    assert refusal[1] == "resourceInUseByAnotherResource"


def test_readers_are_limited_by_the_type_of_the_disk(raw: Raw) -> None:
    raw.disk("slow", type=f"{TYPES}/pd-standard")
    for number in range(10):
        raw.vm(f"reader-{number}", disks=(data_disk("slow", mode="READ_ONLY"),))
    body = vm_body("eleventh", disks=(data_disk("slow", mode="READ_ONLY"),))
    assert raw.send("POST", f"{ZONAL}/instances", body).refusal == (
        400,
        "limitExceeded",
        f"The disk '{DISK_PATH}/slow' is attached to 10 instances; the maximum is 10.",
    )


def test_a_hyperdisk_is_shared_once_its_access_mode_says_so(raw: Raw) -> None:
    machine = f"zones/{ZONE}/machineTypes/c3-standard-4"
    raw.disk("ml", type=f"{TYPES}/hyperdisk-ml")
    reader = (data_disk("ml", mode="READ_ONLY"),)
    boot = {
        "boot": True,
        "autoDelete": True,
        "initializeParams": {"diskType": f"{TYPES}/hyperdisk-balanced", "diskSizeGb": "10"},
    }

    def body(name: str, disks: tuple[Json, ...]) -> Json:
        return {**vm_body(name, machineType=machine), "disks": [boot, *disks]}

    raw.done("POST", f"{ZONAL}/instances", body("one", reader))
    assert raw.send("POST", f"{ZONAL}/instances", body("two", reader)).refusal[1] == "limitExceeded"
    patch = {"name": "ml", "accessMode": "READ_ONLY_MANY"}
    in_use = raw.send("PATCH", f"{ZONAL}/disks/ml", patch, paths="accessMode").refusal
    assert in_use[1] == "resourceInUseByAnotherResource"
    raw.done("DELETE", f"{ZONAL}/instances/one")
    raw.done("PATCH", f"{ZONAL}/disks/ml", patch, paths="accessMode")
    raw.done("POST", f"{ZONAL}/instances", body("one", reader))
    raw.done("POST", f"{ZONAL}/instances", body("two", reader))
    writer = body("three", (data_disk("ml"),))
    raw.done("DELETE", f"{ZONAL}/instances/one")
    raw.done("DELETE", f"{ZONAL}/instances/two")
    assert raw.send("POST", f"{ZONAL}/instances", writer).refusal[2] == (
        "Invalid value for field 'mode': 'READ_WRITE'. "
        f"The access mode of '{DISK_PATH}/ml' is READ_ONLY_MANY."
    )


def test_only_some_things_of_a_disk_can_be_updated(raw: Raw) -> None:
    raw.disk()
    refusal = raw.send("PATCH", f"{ZONAL}/disks/data", {"sizeGb": "99"}).refusal
    assert refusal[2] == ("Invalid value for field 'resource.sizeGb': '99'. It cannot be updated.")


def test_disk_quota_is_refused_at_once(emulated: Bench) -> None:
    emulated.emulator.change(quotas={"us-central1/SSD_TOTAL_GB": 25})
    emulated.raw.disk()
    emulated.raw.disk("more")
    assert _refused(emulated.raw, name="most") == (
        403,
        "quotaExceeded",
        "Quota 'SSD_TOTAL_GB' exceeded.  Limit: 25.0 in region us-central1.",
    )
    region = emulated.raw.get(f"{AT}/regions/us-central1")
    quotas = {one["metric"]: one for one in region["quotas"]}
    assert quotas["SSD_TOTAL_GB"] == {"metric": "SSD_TOTAL_GB", "limit": 25, "usage": 20}
    refusal = emulated.raw.send("POST", f"{ZONAL}/disks/data/resize", {"sizeGb": "20"}).refusal
    assert refusal[1] == "quotaExceeded"


def test_disk_quota_is_refused_in_the_operation(emulated: Bench) -> None:
    quotas = {"us-central1/SSD_TOTAL_GB": 5.0}
    assert Settings(quotas=quotas).quota_level == "request"
    emulated.emulator.change(quotas=quotas, quota_level="operation")
    operation = emulated.raw.post(
        f"{ZONAL}/disks", {"name": "data", "sizeGb": "10", "type": f"{TYPES}/pd-ssd"}
    )
    ended = emulated.raw.wait(operation)
    assert ended["error"]["errors"] == [
        {
            "code": "QUOTA_EXCEEDED",
            "message": "Quota 'SSD_TOTAL_GB' exceeded.  Limit: 5.0 in region us-central1.",
        }
    ]
    assert (ended["httpErrorStatusCode"], ended["httpErrorMessage"]) == (403, "FORBIDDEN")
    assert emulated.raw.send("GET", f"{ZONAL}/disks/data").status == 404


def test_the_image_of_a_disk_may_be_in_the_query(raw: Raw) -> None:
    image = "projects/debian-cloud/global/images/family/debian-12"
    raw.done("POST", f"{ZONAL}/disks", {"name": "boot"}, sourceImage=image)
    assert raw.get(f"{ZONAL}/disks/boot")["sourceImageId"]


def test_an_image_may_be_named_as_a_family_that_a_zone_sees(raw: Raw) -> None:
    view = "projects/debian-cloud/zones/-/imageFamilyViews/debian-12"
    disk = raw.disk(sourceImage=f"https://compute.googleapis.com/compute/v1/{view}")
    assert disk["sourceImage"].endswith("/images/debian-12-bookworm-v20261110")


def test_a_disk_keeps_its_description_and_its_key(raw: Raw) -> None:
    key = {"kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}
    disk = raw.disk(description="weights", diskEncryptionKey=key)
    assert (disk["description"], disk["diskEncryptionKey"]) == ("weights", key)


def test_a_disk_whose_deletion_fails_is_ready_again(emulated: Bench) -> None:
    emulated.raw.disk()
    emulated.emulator.faults.add(Fault("compute.disks.delete", "operation-error"))
    operation = emulated.raw.send("DELETE", f"{ZONAL}/disks/data").doc
    assert emulated.raw.get(f"{ZONAL}/disks/data")["status"] == "DELETING"
    emulated.raw.wait(operation)
    assert emulated.raw.get(f"{ZONAL}/disks/data")["status"] == "READY"


def test_a_project_may_be_named_by_its_number(raw: Raw) -> None:
    disk = raw.disk()
    assert raw.get(f"/compute/v1/projects/123456789012/zones/{ZONE}/disks/data") == disk


def test_blocks_that_cannot_be_copied_end_the_operation_with_an_error(
    emulated: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blocks, "make", full)
    ended = emulated.raw.wait(emulated.raw.post(f"{ZONAL}/disks", {"name": "data"}))
    error = ended["error"]["errors"][0]
    assert error["code"] == "INTERNAL_ERROR"
    assert error["message"].endswith("No space left on device")
    assert emulated.raw.send("GET", f"{ZONAL}/disks/data").status == 404
