"""What Google's real clients send, and what is read from their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pylib.cloud.faults import CallError
from pylib.cloud.gcp import GoogleCloud, connect
from pylib.cloud.records import (
    AttachSpec,
    DiskSpec,
    Image,
    ImageSpec,
    InstanceSpec,
    Nat,
    Quota,
)
from tests.cloud.fake_parts import ManualClock
from tests.cloud.stub import Answer, Stub, refusal, serving

REQUEST = "00000000-0000-0000-0000-000000000001"
DISK = {
    "name": "d",
    "id": "7",
    "zone": "https://x/projects/p/zones/us-central1-a",
    "status": "READY",
    "sizeGb": "60",
    "type": "https://x/diskTypes/pd-ssd",
    "labels": {"bake-run": "r"},
    "users": ["https://x/instances/v"],
}
PENDING = {"name": "op-1", "status": "PENDING"}
DONE = {"name": "op-1", "status": "DONE", "targetId": "7"}
SPEC = DiskSpec("d", "us-central1-a", 60, "pd-ssd", {"bake-run": "r"})


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A server at the other end."""
    with serving() as found:
        yield found


@pytest.fixture
def cloud(stub: Stub) -> GoogleCloud:
    """Google's clients, pointed at it."""
    return connect("p", endpoint=stub.url, clock=ManualClock())


def _error(call: Callable[[], object]) -> CallError:
    with pytest.raises(CallError) as caught:
        call()
    return caught.value


def test_a_vm_is_asked_for_as_the_bake_means_it(stub: Stub, cloud: GoogleCloud) -> None:
    stub.answers = [Answer(DONE)]
    spec = InstanceSpec(
        name="v",
        zone="us-central1-a",
        machine_type="n2-standard-8",
        boot_image="projects/debian-cloud/global/images/b",
        boot_gib=10,
        boot_type="pd-ssd",
        disks=(AttachSpec("vfs-target", "d", read_only=True, auto_delete=True),),
        network="default",
        subnetwork="s",
        labels={"bake-run": "r"},
        metadata={"vfs-job": "{}"},
        max_run_seconds=5400,
        service_account="sa@p.iam.gserviceaccount.com",
        scopes=("scope",),
    )

    cloud.insert_instance(spec, REQUEST)

    [asked] = stub.asked
    body = asked.body
    assert asked.path == "/compute/v1/projects/p/zones/us-central1-a/instances"
    assert body["scheduling"] == {
        "automaticRestart": False,
        "instanceTerminationAction": "DELETE",
        "maxRunDuration": {"seconds": "5400"},
    }
    assert body["shieldedInstanceConfig"] == {
        "enableIntegrityMonitoring": True,
        "enableSecureBoot": True,
        "enableVtpm": True,
    }
    assert body["networkInterfaces"] == [
        {
            "network": "projects/p/global/networks/default",
            "subnetwork": "projects/p/regions/us-central1/subnetworks/s",
        }
    ]
    assert body["disks"][1] == {
        "autoDelete": True,
        "deviceName": "vfs-target",
        "mode": "READ_ONLY",
        "source": "projects/p/zones/us-central1-a/disks/d",
    }
    assert body["disks"][0]["initializeParams"]["labels"] == {"bake-run": "r"}
    assert body["serviceAccounts"][0]["email"] == "sa@p.iam.gserviceaccount.com"
    assert "vfs-job" not in repr(spec)


@pytest.mark.fault("B24", "B28")
def test_an_image_is_never_forced_and_labels_carry_their_fingerprint(
    stub: Stub, cloud: GoogleCloud
) -> None:
    stub.answers = [Answer(DONE)]
    cloud.insert_image(ImageSpec("q", "i", "d", "us-central1-a", {"a": "b"}), REQUEST)
    image = Image("q", "i", "1", "READY", {}, "Zm9v")
    cloud.label_image(image, {"c": "d"})
    cloud.set_family(image, "fam", REQUEST)
    cut, labelled, joined = stub.asked
    assert cut.path == "/compute/v1/projects/q/global/images"
    assert "forceCreate" not in cut.query
    assert cut.body["sourceDisk"] == "projects/p/zones/us-central1-a/disks/d"
    assert labelled.body == {"labelFingerprint": "Zm9v", "labels": {"c": "d"}}
    assert (joined.method, joined.body) == ("PATCH", {"family": "fam"})


def test_what_is_deleted_is_named_in_full(stub: Stub, cloud: GoogleCloud) -> None:
    stub.answers = [Answer(DONE)]
    cloud.delete_disk("us-central1-a", "d", REQUEST)
    cloud.delete_instance("us-central1-a", "v", REQUEST)
    cloud.delete_image("q", "i", REQUEST)
    assert [(asked.method, asked.path) for asked in stub.asked] == [
        ("DELETE", "/compute/v1/projects/p/zones/us-central1-a/disks/d"),
        ("DELETE", "/compute/v1/projects/p/zones/us-central1-a/instances/v"),
        ("DELETE", "/compute/v1/projects/q/global/images/i"),
    ]
    assert {asked.query["requestId"] for asked in stub.asked} == {REQUEST}


def test_guest_attributes_are_none_until_the_guest_writes(stub: Stub, cloud: GoogleCloud) -> None:
    stub.answers = [refusal(404, "notFound")]
    assert cloud.guest_attribute("z", "v", "vfs/report") is None
    items = [{"namespace": "vfs", "key": "report", "value": "{}"}]
    stub.answers = [Answer({"queryValue": {"items": items}})]
    assert cloud.guest_attribute("z", "v", "vfs/report") == "{}"
    stub.answers = [Answer({"queryValue": {"items": [{**items[0], "key": "other"}]}})]
    assert cloud.guest_attribute("z", "v", "vfs/report") is None


def test_serial_output_says_where_to_go_on(stub: Stub, cloud: GoogleCloud) -> None:
    stub.answers = [Answer({"contents": "boot", "start": "100", "next": "104"})]
    found = cloud.serial("z", "v", 0)
    assert (found.text, found.start, found.next) == ("boot", 100, 104)


@pytest.mark.fault("B26")
def test_lists_read_every_page_and_name_places_that_gave_no_answer(
    stub: Stub, cloud: GoogleCloud
) -> None:
    warning = {"code": "UNREACHABLE"}
    stub.answers = [
        Answer({"items": {"zones/a": {"disks": [DISK]}}, "nextPageToken": "2"}),
        Answer({"items": {"zones/b": {"warning": warning}, "zones/c": {"disks": [DISK]}}}),
    ]
    found = cloud.labelled_disks("bake-run", "r")
    assert len(found.items) == 2
    assert found.unreachable == ("zones/b",)
    assert not found.complete
    assert stub.asked[0].query["filter"] == 'labels.bake-run="r"'
    assert stub.asked[0].query["returnPartialSuccess"] == "true"
    stub.answers = [
        Answer(
            {
                "items": {"zones/a": {"warning": {"code": "NO_RESULTS_ON_PAGE"}}},
                "unreachables": ["zones/x"],
            }
        )
    ]
    assert cloud.labelled_instances("k", "v").unreachable == ("zones/x",)
    stub.answers = [Answer({"items": [{"name": "i", "id": "3", "status": "READY"}]})]
    assert [image.id for image in cloud.labelled_images("p", "k", "v").items] == ["3"]


def test_surroundings_are_read(stub: Stub, cloud: GoogleCloud) -> None:
    rows = [
        {"name": "us-central1-b", "status": "UP", "region": "x/regions/us-central1"},
        {"name": "us-central1-a", "status": "UP", "region": "x/regions/us-central1"},
        {"name": "us-central1-c", "status": "DOWN", "region": "x/regions/us-central1"},
        {"name": "us-east1-b", "status": "UP", "region": "x/regions/us-east1"},
    ]
    stub.answers = [Answer({"items": rows})]
    assert cloud.zones("us-central1") == ("us-central1-a", "us-central1-b")
    stub.answers = [Answer({"name": "n2-standard-8", "guestCpus": 8, "memoryMb": 32768})]
    machine = cloud.machine_type("z", "n2-standard-8")
    assert machine is not None
    assert machine.vcpus == 8
    stub.answers = [refusal(404, "notFound")]
    assert cloud.machine_type("z", "x") is None
    assert cloud.subnetwork("us-central1", "s") is None
    assert not cloud.has_disk_type("z", "x")
    stub.answers = [Answer({"quotas": [{"metric": "CPUS", "limit": 24, "usage": 4}]})]
    assert cloud.quotas("us-central1") == (
        Quota("us-central1", "CPUS", 24, 4),
        Quota("global", "CPUS", 24, 4),
    )
    stub.answers = [Answer({"name": "s", "network": "x/net", "privateIpGoogleAccess": True})]
    subnet = cloud.subnetwork("us-central1", "s")
    assert subnet is not None
    assert (subnet.network, subnet.private_access) == ("net", True)
    nats = [{"name": "n", "subnetworks": [{"name": "x/subnetworks/s"}]}]
    stub.answers = [Answer({"items": [{"name": "r", "network": "x/net", "nats": nats}]})]
    assert cloud.nats("us-central1") == (Nat("net", ("s",)),)


@pytest.mark.fault("B31")
def test_every_service_is_called_at_the_one_address_without_credentials(
    stub: Stub, cloud: GoogleCloud
) -> None:
    stub.answers = [
        Answer({"permissions": ["a.b.c"]}),
        Answer({"state": "ENABLED"}),
        Answer({"state": "DISABLED"}),
        Answer({"name": "c", "location": "l", "status": "RUNNING", "currentMasterVersion": "1.35"}),
        Answer({}),
        Answer(DISK),
    ]
    assert cloud.granted("p", ["a.b.c", "d.e.f"]) == {"a.b.c"}
    assert cloud.enabled(["one", "two"]) == {"one": True, "two": False}
    cluster = cloud.cluster("l", "c")
    assert cluster is not None
    assert (cluster.status, cluster.version, cluster.autopilot) == ("RUNNING", "1.35", False)
    cloud.put_object("logs", "a/b.log", "text")
    cloud.disk("z", "d")
    assert [asked.path for asked in stub.asked] == [
        "/v1/projects/p:testIamPermissions",
        "/v1/projects/p/services/one",
        "/v1/projects/p/services/two",
        "/v1/projects/p/locations/l/clusters/c",
        "/upload/storage/v1/b/logs/o",
        "/compute/v1/projects/p/zones/z/disks/d",
    ]
    assert not any("Authorization" in asked.headers for asked in stub.asked)
