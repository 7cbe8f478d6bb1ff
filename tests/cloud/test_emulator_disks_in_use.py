"""Disks on the emulator once they are there: labels, size, readers and writers, quota, the end."""

from __future__ import annotations

from pylib.emulator import Settings
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
