"""The metadata server of an emulated VM answers as Compute Engine's does."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from pylib.emulator.guest.metadata import MetadataServer
from pylib.emulator.store import Ref
from pylib.emulator.world import Response
from tests.cloud.emulated import ZONAL, ZONE, Bench, data_disk

ITEMS = [
    {"key": "enable-guest-attributes", "value": "TRUE"},
    {"key": "vfs-job", "value": '{"nonce": "n"}'},
]
EMAIL = "123456789012-compute@developer.gserviceaccount.com"


@dataclass
class Guest:
    """The guest's side of the metadata server."""

    server: MetadataServer
    bench: Bench

    def ask(self, path: str, verb: str = "GET", raw: bytes = b"") -> Response:
        """The answer to the guest."""
        headers = {"metadata-flavor": "Google"}
        answer = self.server.handle(verb, f"/computeMetadata/v1/{path}", headers, raw)
        assert answer is not None
        return answer

    def text(self, path: str) -> str:
        """What is at the path."""
        answer = self.ask(path)
        assert answer.status == 200, answer.body
        assert answer.headers["Metadata-Flavor"] == "Google"
        return answer.body.decode()


@pytest.fixture
def guest(emulated: Bench) -> Guest:
    """A VM with a service account and a data disk."""
    emulated.raw.disk()
    emulated.raw.vm(
        disks=(data_disk(),),
        metadata={"items": ITEMS},
        serviceAccounts=[{"email": "default", "scopes": ["https://scope"]}],
    )
    vm = Ref("instances", "demo-project", f"zones/{ZONE}", "vm")
    return Guest(MetadataServer(emulated.emulator.world, vm), emulated)


def test_who_and_where_the_vm_is(guest: Guest) -> None:
    doc = guest.bench.raw.get(f"{ZONAL}/instances/vm")
    assert guest.text("instance/id") == doc["id"]
    assert guest.text("instance/name") == "vm"
    assert guest.text("instance/zone") == f"projects/123456789012/zones/{ZONE}"
    assert guest.text("instance/hostname") == f"vm.{ZONE}.c.demo-project.internal"
    assert guest.text("instance/machine-type").endswith("/machineTypes/e2-standard-2")
    assert guest.text("project/project-id") == "demo-project"
    assert guest.text("project/numeric-project-id") == "123456789012"
    assert guest.text("instance/preempted") == "FALSE"


def test_attributes_are_the_vms_metadata(guest: Guest) -> None:
    assert guest.text("instance/attributes/vfs-job") == '{"nonce": "n"}'
    assert guest.text("instance/attributes/") == "enable-guest-attributes\nvfs-job\n"
    assert guest.ask("instance/attributes/none").status == 404


def test_folders_are_listed_or_told_as_a_whole(guest: Guest) -> None:
    assert guest.text("") == "instance/\nproject/\n"
    assert guest.text("instance/disks/") == "0/\n1/\n"
    assert guest.text("instance/disks/1/device-name") == "data"
    assert guest.ask("instance/disks/2/device-name").status == 404
    whole = json.loads(guest.text("instance/?recursive=true"))
    assert whole["attributes"]["vfs-job"] == '{"nonce": "n"}'
    assert whole["disks"][1] == {"deviceName": "data", "index": 1, "mode": "READ_WRITE"}
    assert whole["serviceAccounts"][EMAIL]["email"] == EMAIL


def test_a_token_comes_from_the_service_account(guest: Guest) -> None:
    token = json.loads(guest.text("instance/service-accounts/default/token"))
    assert token["token_type"] == "Bearer"
    assert guest.text(f"instance/service-accounts/{EMAIL}/email") == EMAIL
    assert guest.text("instance/service-accounts/default/scopes") == "https://scope\n"


def test_a_vm_without_a_service_account_has_no_token(emulated: Bench) -> None:
    emulated.raw.vm()
    vm = Ref("instances", "demo-project", f"zones/{ZONE}", "vm")
    guest = Guest(MetadataServer(emulated.emulator.world, vm), emulated)
    assert guest.ask("instance/service-accounts/default/token").status == 404
    attribute = guest.ask("instance/guest-attributes/vfs/report", "PUT", b"x")
    assert (attribute.status, attribute.body) == (
        403,
        b"Guest attributes endpoint access is disabled.",
    )


@pytest.mark.parametrize(
    ("flavor", "proxy"), [("", {}), ("Google", {"x-forwarded-for": "1.2.3.4"})]
)
def test_a_request_without_the_header_or_through_a_proxy_is_refused(
    guest: Guest, flavor: str, proxy: dict[str, str]
) -> None:
    headers = {"metadata-flavor": flavor, **proxy}
    answer = guest.server.handle("GET", "/computeMetadata/v1/instance/id", headers, b"")
    assert answer is not None
    assert (answer.status, answer.body) == (403, b"Missing Metadata-Flavor:Google header.")


def test_guest_attributes_are_written_read_and_erased(guest: Guest) -> None:
    path = "instance/guest-attributes/vfs/report"
    assert guest.ask(path).status == 404
    assert guest.ask(path, "PUT", b"phase one").status == 200
    assert guest.text(path) == "phase one"
    assert guest.ask(path, "DELETE").status == 200
    assert guest.ask(path).status == 404
    assert guest.ask("instance/attributes/vfs-job", "PUT", b"x").status == 405


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [("vfs", 1, 400), ("vfs/a%20b", 1, 400), ("vfs/report", 262_145, 413)],
)
def test_guest_attributes_have_names_and_a_size(
    guest: Guest, path: str, size: int, status: int
) -> None:
    answer = guest.ask(f"instance/guest-attributes/{path}", "PUT", b"x" * size)
    assert answer.status == status


def test_guest_attributes_are_written_ten_times_a_minute(guest: Guest) -> None:
    path = "instance/guest-attributes/vfs/report"
    assert [guest.ask(path, "PUT", b"x").status for _ in range(11)] == [200] * 10 + [429]
    guest.bench.clock.sleep(61)
    assert guest.ask(path, "PUT", b"x").status == 200


def test_a_vm_that_is_gone_does_not_answer(guest: Guest) -> None:
    guest.bench.raw.done("DELETE", f"{ZONAL}/instances/vm")
    assert guest.server.handle("GET", "/computeMetadata/v1/", {}, b"") is None
