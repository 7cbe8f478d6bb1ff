"""Disks on the emulator follow the rules of Compute Engine."""

from __future__ import annotations

import pytest

from pylib.emulator import Fault, blocks
from tests.cloud.emulated import (
    DISK_PATH,
    ZONAL,
    ZONE,
    Bench,
    Json,
    Raw,
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


@pytest.mark.fault("G19")
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
