"""Lists on the emulator: filters, order, pages, and zones out of reach."""

from __future__ import annotations

import pytest

from pylib.emulator.filters import compile_filter
from tests.cloud.emulated import AT, GLOBAL, ZONAL, ZONE, Bench, Raw

DOC = {
    "name": "vllm-disk-1",
    "status": "READY",
    "sizeGb": "100",
    "labels": {"owner": "me", "bake-run": "abc"},
    "users": ["a", "b"],
    "autoDelete": True,
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        'labels.owner="me"',
        "labels.owner=me",
        "labels.owner:*",
        "labels:owner",
        "labels.owner!=you",
        "labels.none!=x",
        "labels.bake-run=abc",
        'name eq "vllm-.*"',
        "name eq vllm-disk-1",
        'name eq ".*(^vllm-disk-1$).*"',
        'name ne "other.*"',
        "name:vllm",
        "name:vllm*",
        "users:a",
        "sizeGb>99",
        "sizeGb>=100",
        "sizeGb<=100",
        "sizeGb<101",
        "name>vllm",
        "autoDelete=true",
        "status=READY AND labels.owner=me",
        "(status = READY) (labels.owner = me)",
        "status=FAILED OR labels.owner=me",
        "NOT status=FAILED",
        "-status=FAILED",
        "NOT (status=FAILED OR name=x)",
        "status=FAILED OR (status=READY AND name:vllm)",
        "labels.owner='me'",
    ],
)
def test_a_filter_passes_what_it_describes(text: str) -> None:
    assert compile_filter(text)(DOC)


@pytest.mark.parametrize(
    "text",
    [
        'labels.owner="m"',
        "labels.none:*",
        "labels.none:x",
        "labels.owner.deep=x",
        "labels:none",
        'name eq "vllm"',
        'name ne "vllm-.*"',
        "name:other",
        "users:c",
        "sizeGb>100",
        "sizeGb<9",
        "name<vllm",
        "autoDelete=false",
        "status=READY AND labels.owner=you",
        "status=READY AND name=x OR status=FAILED",
        "NOT status=READY",
        "-(status=READY)",
    ],
)
def test_a_filter_holds_back_what_it_does_not(text: str) -> None:
    assert not compile_filter(text)(DOC)


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name=",
        "=x",
        "name ~ x",
        "(name=x",
        "(name=x name",
        "name=x)",
        'name eq "("',
        "AND",
        "a=b !",
    ],
)
def test_what_is_no_filter_is_refused(raw: Raw, text: str) -> None:
    assert raw.send("GET", f"{ZONAL}/disks", filter=text).refusal == (
        400,
        "invalid",
        f"Invalid value for field 'filter': '{text}'. Invalid list filter expression.",
    )


def test_escaped_quotes_are_part_of_the_value() -> None:
    assert compile_filter(r'name="a\"b"')({"name": 'a"b'})


def test_pages_are_as_long_as_asked_and_no_longer_than_the_service_likes(emulated: Bench) -> None:
    raw = emulated.raw
    for name in ("c", "a", "b"):
        raw.disk(name)
    first = raw.get(f"{ZONAL}/disks", maxResults=2)
    assert [disk["name"] for disk in first["items"]] == ["a", "b"]
    token = first["nextPageToken"]
    second = raw.get(f"{ZONAL}/disks", maxResults=2, pageToken=token)
    assert [disk["name"] for disk in second["items"]] == ["c"]
    assert "nextPageToken" not in second
    emulated.emulator.change(page_size=1)
    seen: list[str] = []
    token = ""
    while True:
        page = raw.get(f"{AT}/aggregated/disks", **({"pageToken": token} if token else {}))
        seen += [d["name"] for scope in page["items"].values() for d in scope.get("disks", [])]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert seen == ["a", "b", "c"]


@pytest.mark.parametrize("token", ["x", "cGFnZTp4", "\u00e9"])
def test_a_page_token_that_nobody_gave_is_refused(raw: Raw, token: str) -> None:
    refusal = raw.send("GET", f"{ZONAL}/disks", pageToken=token).refusal
    assert (
        refusal[2] == f"Invalid value for field 'pageToken': '{token}'. The page token is invalid."
    )


@pytest.mark.parametrize("number", ["0", "501", "-1", "many"])
def test_a_page_has_one_to_five_hundred_rows(raw: Raw, number: str) -> None:
    assert raw.send("GET", f"{ZONAL}/disks", maxResults=number).refusal == (
        400,
        "invalid",
        f"Invalid value for field 'maxResults': '{number}'. Value must be between 1 and 500",
    )


def test_rows_come_by_name_or_newest_first(emulated: Bench) -> None:
    for name in ("b", "c", "a"):
        emulated.raw.disk(name)
        emulated.clock.sleep(60)

    def names(**query: str) -> list[str]:
        return [one["name"] for one in emulated.raw.get(f"{ZONAL}/disks", **query)["items"]]

    assert names() == names(orderBy="name") == ["a", "b", "c"]
    assert names(orderBy="creationTimestamp desc") == ["a", "c", "b"]
    refusal = emulated.raw.send("GET", f"{ZONAL}/disks", orderBy="sizeGb").refusal
    assert refusal[1] == "invalid"


def test_an_aggregated_list_names_empty_places(raw: Raw) -> None:
    raw.disk(labels={"run": "1"})
    raw.disk("other")
    raw.vm(labels={"run": "1"})
    scopes = raw.get(f"{AT}/aggregated/disks", filter='labels.run="1"')["items"]
    assert [disk["name"] for disk in scopes[f"zones/{ZONE}"]["disks"]] == ["data"]
    warning = scopes["zones/us-central1-b"]["warning"]
    assert warning["code"] == "NO_RESULTS_ON_PAGE"
    scopes = raw.get(f"{AT}/aggregated/instances", filter="labels.run=1")["items"]
    assert [vm["name"] for vm in scopes[f"zones/{ZONE}"]["instances"]] == ["vm"]


def test_a_zone_out_of_reach_spoils_the_list_or_is_named(emulated: Bench) -> None:
    raw = emulated.raw
    raw.disk()
    emulated.emulator.change(unreachable=frozenset({ZONE}))
    gone = (503, "backendError", f"The zone '{ZONE}' is not reachable.")
    assert raw.send("GET", f"{AT}/aggregated/disks").refusal == gone
    assert raw.send("GET", f"{ZONAL}/disks").refusal == gone
    partial = raw.get(f"{AT}/aggregated/disks", returnPartialSuccess=True)
    assert partial["items"][f"zones/{ZONE}"]["warning"]["code"] == "UNREACHABLE"
    assert partial["unreachables"] == [f"projects/demo-project/zones/{ZONE}"]
    assert raw.get(f"{AT}/zones/{ZONE}")["status"] == "DOWN"
    assert raw.get(f"{GLOBAL}/images")["kind"] == "compute#imageList"


def test_places_and_what_they_offer_can_be_read(raw: Raw) -> None:
    assert {one["name"] for one in raw.get(f"{AT}/regions")["items"]} >= {"us-central1"}
    zones = raw.get(f"{AT}/zones", filter='name eq "us-central1-.*"')["items"]
    assert [zone["name"] for zone in zones] == [f"us-central1-{one}" for one in "abc"]
    machine = raw.get(f"{ZONAL}/machineTypes/g2-standard-24")
    assert (machine["guestCpus"], machine["memoryMb"]) == (24, 98304)
    assert machine["accelerators"] == [
        {"guestAcceleratorType": "nvidia-l4", "guestAcceleratorCount": 2}
    ]
    disk_type = raw.get(f"{ZONAL}/diskTypes/pd-ssd")
    assert disk_type["validDiskSize"] == "10GB-65536GB"
    assert raw.get(f"{ZONAL}/acceleratorTypes/nvidia-l4")["maximumCardsPerInstance"] == 8
    assert raw.get(f"{ZONAL}/diskTypes")["items"]
    assert raw.send("GET", f"{ZONAL}/machineTypes/none").refusal[2] == (
        f"The resource 'projects/demo-project/zones/{ZONE}/machineTypes/none' was not found"
    )


def test_a_zone_or_region_that_is_none_is_refused(raw: Raw) -> None:
    assert raw.send("GET", f"{AT}/zones/mars-1-a/disks").refusal[2] == (
        "Invalid value for field 'zone': 'mars-1-a'. Unknown zone."
    )
    assert raw.send("GET", f"{AT}/regions/mars-1/subnetworks").refusal[2] == (
        "Invalid value for field 'region': 'mars-1'. Unknown region."
    )


def test_there_is_one_network_and_nat_where_the_settings_put_it(emulated: Bench) -> None:
    raw = emulated.raw
    network = raw.get(f"{GLOBAL}/networks/default")
    assert raw.get(f"{GLOBAL}/networks")["items"] == [network]
    assert raw.send("GET", f"{GLOBAL}/networks/other").status == 404
    region = f"{AT}/regions/us-central1"
    subnetwork = raw.get(f"{region}/subnetworks/default")
    assert raw.get(f"{region}/subnetworks")["items"] == [subnetwork]
    assert subnetwork["privateIpGoogleAccess"] is False
    assert raw.send("GET", f"{region}/subnetworks/other").status == 404
    assert "items" not in raw.get(f"{region}/routers")
    emulated.emulator.change(nat_regions=frozenset({"us-central1"}), private_google_access=True)
    router = raw.get(f"{region}/routers")["items"][0]
    assert router["nats"][0]["sourceSubnetworkIpRangesToNat"] == "ALL_SUBNETWORKS_ALL_IP_RANGES"
    assert raw.get(f"{region}/subnetworks/default")["privateIpGoogleAccess"] is True
