"""VMs on the emulator follow the rules of Compute Engine."""

from __future__ import annotations

import pytest

from pylib.emulator import Fault
from tests.cloud.emulated import (
    AT,
    BOOT,
    DISK_PATH,
    VM_PATH,
    ZONAL,
    ZONE,
    Bench,
    Json,
    Raw,
    data_disk,
    vm_body,
)

VM = f"{ZONAL}/instances/vm"
OUTSIDE = [{"network": "global/networks/default", "accessConfigs": [{"name": "nat"}]}]


def _refused(raw: Raw, **body: object) -> tuple[int, str, str]:
    return raw.send("POST", f"{ZONAL}/instances", {**vm_body(), **body}).refusal


def test_a_vm_comes_with_its_boot_disk_and_holds_its_data_disk(raw: Raw) -> None:
    raw.disk()
    operation = raw.post(f"{ZONAL}/instances", vm_body(disks=(data_disk(autoDelete=True),)))
    assert raw.get(VM)["status"] == "PROVISIONING"
    assert raw.get(f"{ZONAL}/disks/vm")["status"] == "CREATING"
    raw.wait(operation)
    vm = raw.get(VM)
    assert vm["status"] == "RUNNING"
    shown = [(d["deviceName"], d["boot"], d["mode"], d["autoDelete"]) for d in vm["disks"]]
    assert shown == [
        ("persistent-disk-0", True, "READ_WRITE", True),
        ("data", False, "READ_WRITE", True),
    ]
    boot = raw.get(f"{ZONAL}/disks/vm")
    assert (boot["status"], boot["sizeGb"]) == ("READY", "10")
    assert boot["users"] == [vm["selfLink"]]


@pytest.mark.parametrize(
    ("body", "reason", "message"),
    [
        ({"name": "VM"}, "invalid", "Invalid value for field 'resource.name': 'VM'. Must be a"),
        ({"machineType": ""}, "required", "Required field 'resource.machineType' not specified"),
        (
            {"machineType": "zones/us-central1-b/machineTypes/e2-standard-2"},
            "invalid",
            "Invalid value for field 'resource.machineType': "
            "'zones/us-central1-b/machineTypes/e2-standard-2'. It must be in the zone of the",
        ),
        (
            {"machineType": f"zones/{ZONE}/machineTypes/e9-huge"},
            "notFound",
            f"The resource 'projects/demo-project/zones/{ZONE}/machineTypes/e9-huge' was not found",
        ),
        (
            {"networkInterfaces": []},
            "required",
            "Required field 'resource.networkInterfaces' not specified",
        ),
        (
            {"networkInterfaces": [{"network": "global/networks/none"}]},
            "notFound",
            "The resource 'projects/demo-project/global/networks/none' was not found",
        ),
        (
            {"networkInterfaces": [{"subnetwork": "regions/us-east4/subnetworks/default"}]},
            "invalid",
            "Invalid value for field 'resource.networkInterfaces[0].subnetwork': "
            "'regions/us-east4/subnetworks/default'. It must be in the region of the instance.",
        ),
        (
            {"networkInterfaces": [{"subnetwork": "regions/us-central1/subnetworks/none"}]},
            "notFound",
            "The resource 'projects/demo-project/regions/us-central1/subnetworks/none' was not",
        ),
        (
            {"disks": []},
            "invalid",
            "Invalid value for field 'resource.disks': ''. The first disk, and no other, must be",
        ),
        (
            {"disks": [BOOT, {"deviceName": "data"}]},
            "required",
            "Required field 'resource.disks[1].source' not specified",
        ),
        (
            {"disks": [{**BOOT, "source": "zones/us-central1-a/disks/data"}]},
            "invalid",
            "Invalid value for field 'resource.disks[0].source': 'zones/us-central1-a/disks/data'."
            " A new disk can have no source.",
        ),
        (
            {"disks": [BOOT, {"source": "zones/us-central1-b/disks/data"}]},
            "invalid",
            "Invalid value for field 'resource.disks[1].source': 'zones/us-central1-b/disks/data'."
            " Disk must be in the same zone as the instance.",
        ),
        (
            {"disks": [{**BOOT, "deviceName": "a b"}]},
            "invalid",
            "Invalid value for field 'deviceName': 'a b'. Must be a match of regex",
        ),
        (
            {"disks": [{**BOOT, "mode": "RW"}]},
            "invalid",
            "Invalid value for field 'mode': 'RW'. Acceptable values are: 'READ_WRITE', 'READ_O",
        ),
        (
            {"disks": [BOOT, *[data_disk()] * 128]},
            "invalid",
            "Invalid value for field 'resource.disks': ''. At most 128 disks can be attached.",
        ),
        (
            {"serviceAccounts": [{"email": "a@b.c"}, {"email": "d@e.f"}]},
            "invalid",
            "Invalid value for field 'resource.serviceAccounts': ''. At most one service account",
        ),
    ],
)
def test_a_vm_that_cannot_be_is_refused(raw: Raw, body: Json, reason: str, message: str) -> None:
    status, why, text = _refused(raw, **body)
    assert (status, why) == (404 if reason == "notFound" else 400, reason)
    assert text.startswith(message)
    assert "items" not in raw.get(f"{ZONAL}/instances")
    assert "items" not in raw.get(f"{ZONAL}/disks")


def test_a_device_name_is_taken_once(raw: Raw) -> None:
    raw.disk()
    raw.disk("more")
    disks = [BOOT, data_disk(), {**data_disk("more"), "deviceName": "data"}]
    assert _refused(raw, disks=disks)[2] == (
        "Invalid value for field 'deviceName': 'data'. "
        "Device name is already in use on the instance."
    )


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (
            [{"key": "a b", "value": ""}],
            "Invalid value for field 'resource.metadata.items[0].key': 'a b'. Must be a match of",
        ),
        (
            [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}],
            "Invalid value for field 'resource.metadata': ''. Metadata has duplicate keys: a",
        ),
        (
            [{"key": "a", "value": "x" * 262_145}],
            "Invalid value for field 'resource.metadata.items[0].value': ''. "
            "Metadata value size is 262145 bytes; the maximum is 262144.",
        ),
        (
            [{"key": f"k{n}", "value": "x" * 262_000} for n in range(3)],
            "Invalid value for field 'resource.metadata': ''. Metadata has a size of 786006 bytes;",
        ),
    ],
)
def test_metadata_has_limits(raw: Raw, items: list[Json], message: str) -> None:
    assert _refused(raw, metadata={"items": items})[2].startswith(message)


@pytest.mark.parametrize(
    ("scheduling", "message"),
    [
        (
            {"maxRunDuration": {"seconds": "29"}, "instanceTerminationAction": "DELETE"},
            "Invalid value for field 'resource.scheduling.maxRunDuration.seconds': '29'. "
            "Must be between 30 and 10368000 seconds.",
        ),
        (
            {"maxRunDuration": {"seconds": "3600"}},
            "Required field 'resource.scheduling.instanceTerminationAction' not specified",
        ),
        (
            {"instanceTerminationAction": "DELETE"},
            "Invalid value for field 'resource.scheduling.instanceTerminationAction': 'DELETE'. "
            "It can only be set for Spot VMs, or with a maximum run duration.",
        ),
        (
            {"maxRunDuration": {"seconds": "60"}, "instanceTerminationAction": "SUSPEND"},
            "Invalid value for field 'resource.scheduling.instanceTerminationAction': 'SUSPEND'. "
            "Acceptable values are: 'DELETE', 'STOP'",
        ),
        (
            {"provisioningModel": "SPOT", "automaticRestart": True},
            "Invalid value for field 'resource.scheduling.automaticRestart': 'true'. "
            "Preemptible instances cannot be restarted automatically.",
        ),
        (
            {"provisioningModel": "CHEAP"},
            "Invalid value for field 'resource.scheduling.provisioningModel': 'CHEAP'. "
            "Acceptable values are: 'STANDARD', 'SPOT', 'FLEX_START', 'RESERVATION_BOUND'",
        ),
        (
            {"onHostMaintenance": "WAIT"},
            "Invalid value for field 'resource.scheduling.onHostMaintenance': 'WAIT'. "
            "Acceptable values are: 'MIGRATE', 'TERMINATE'",
        ),
    ],
)
def test_scheduling_must_not_contradict_itself(raw: Raw, scheduling: Json, message: str) -> None:
    assert _refused(raw, scheduling=scheduling)[2] == message


def test_a_vm_with_gpus_cannot_migrate(raw: Raw) -> None:
    machine = f"zones/{ZONE}/machineTypes/g2-standard-4"
    assert _refused(raw, machineType=machine) == (
        400,
        "invalid",
        "Instances with guest accelerators do not support live migration.",
    )
    raw.vm(machineType=machine, scheduling={"onHostMaintenance": "TERMINATE"})


def test_a_disk_type_must_attach_to_the_machine(raw: Raw) -> None:
    machine = f"zones/{ZONE}/machineTypes/n4-standard-4"
    assert _refused(raw, machineType=machine) == (
        400,
        "invalid",
        "[pd-standard, n4-standard-4] features are not compatible for creating instance.",
    )


def test_a_name_is_taken_once(raw: Raw) -> None:
    raw.vm()
    assert _refused(raw) == (
        409,
        "alreadyExists",
        f"The resource '{VM_PATH}/vm' already exists",
    )
    again = [{**BOOT, "initializeParams": {"diskName": "vm"}}]
    assert _refused(raw, name="other", disks=again) == (
        409,
        "alreadyExists",
        f"The resource '{DISK_PATH}/vm' already exists",
    )


def test_a_vm_that_fails_takes_its_new_disks_with_it_and_lets_the_others_go(
    emulated: Bench,
) -> None:
    raw = emulated.raw
    raw.disk()
    emulated.emulator.faults.add(
        Fault("compute.instances.insert", "operation-error", code="ZONE_RESOURCE_POOL_EXHAUSTED")
    )
    body = vm_body(disks=(data_disk(autoDelete=True),))
    ended = raw.wait(raw.post(f"{ZONAL}/instances", body))
    assert ended["error"]["errors"][0]["code"] == "ZONE_RESOURCE_POOL_EXHAUSTED"
    assert "items" not in raw.get(f"{ZONAL}/instances")
    assert [disk["name"] for disk in raw.get(f"{ZONAL}/disks")["items"]] == ["data"]
    assert "users" not in raw.get(f"{ZONAL}/disks/data")


@pytest.mark.parametrize("quotas", [{"CPUS_ALL_REGIONS": 1}, {"us-central1/CPUS": 1}])
def test_quota_of_a_vm_is_refused_at_once_or_in_its_operation(
    emulated: Bench, quotas: Json
) -> None:
    emulated.emulator.change(quotas=quotas)
    metric, where = ("CPUS_ALL_REGIONS", "globally")
    if "CPUS_ALL_REGIONS" not in quotas:
        metric, where = ("CPUS", "in region us-central1")
    message = f"Quota '{metric}' exceeded.  Limit: 1.0 {where}."
    assert _refused(emulated.raw) == (403, "quotaExceeded", message)
    emulated.emulator.change(quota_level="operation")
    ended = emulated.raw.wait(emulated.raw.post(f"{ZONAL}/instances", vm_body()))
    assert ended["error"]["errors"] == [{"code": "QUOTA_EXCEEDED", "message": message}]
    assert "items" not in emulated.raw.get(f"{ZONAL}/disks")


def test_addresses_and_gpus_count(emulated: Bench) -> None:
    emulated.emulator.change(quotas={"us-central1/IN_USE_ADDRESSES": 0})
    assert "IN_USE_ADDRESSES" in _refused(emulated.raw, networkInterfaces=OUTSIDE)[2]
    emulated.emulator.change(quotas={"us-central1/NVIDIA_L4_GPUS": 1})
    body = {
        "machineType": f"zones/{ZONE}/machineTypes/g2-standard-24",
        "scheduling": {"onHostMaintenance": "TERMINATE"},
    }
    assert "NVIDIA_L4_GPUS" in _refused(emulated.raw, **body)[2]


def test_a_stopped_vm_uses_no_cpus(emulated: Bench) -> None:
    emulated.raw.vm()
    emulated.raw.done("POST", f"{VM}/stop")
    quotas = {one["metric"]: one for one in emulated.raw.get(AT)["quotas"]}
    assert quotas["CPUS_ALL_REGIONS"]["usage"] == 0
    emulated.emulator.change(quotas={"us-central1/CPUS": 1})
    assert emulated.raw.send("POST", f"{VM}/start").refusal[1] == "quotaExceeded"


def test_only_who_asks_for_it_has_an_external_address(raw: Raw) -> None:
    assert "accessConfigs" not in raw.vm()["networkInterfaces"][0]
    outside = raw.vm("outside", networkInterfaces=OUTSIDE)
    assert outside["networkInterfaces"][0]["accessConfigs"][0]["natIP"].startswith("203.0.113.")


def test_policies_forbid_addresses_plain_vms_and_places(emulated: Bench) -> None:
    emulated.emulator.change(policies=frozenset({"compute.vmExternalIpAccess"}))
    assert _refused(emulated.raw, networkInterfaces=OUTSIDE) == (
        412,
        "conditionNotMet",
        "Constraint constraints/compute.vmExternalIpAccess violated for project 123456789012. "
        f"Add instance {VM_PATH}/vm to the constraint to use external IP with it.",
    )
    emulated.emulator.change(policies=frozenset({"compute.requireShieldedVm"}))
    assert _refused(emulated.raw)[2].startswith(
        "Constraint constraints/compute.requireShieldedVm violated for project "
        "projects/demo-project. Secure Boot is not enabled"
    )
    emulated.raw.vm(shieldedInstanceConfig={"enableSecureBoot": True})
    emulated.emulator.change(
        policies=frozenset({"gcp.resourceLocations"}), locations=("europe-west4",)
    )
    assert _refused(emulated.raw, name="other")[2] == (
        f"Location ZONE:{ZONE} violates constraint constraints/gcp.resourceLocations on the "
        f"resource {VM_PATH}/other."
    )
    emulated.emulator.change(locations=("us-central1",))
    emulated.raw.vm("other")


@pytest.mark.parametrize(
    ("permission", "body"),
    [
        ("compute.instances.create", {}),
        ("compute.disks.create", {}),
        ("compute.subnetworks.use", {}),
        ("compute.subnetworks.useExternalIp", {"networkInterfaces": OUTSIDE}),
        ("compute.instances.setLabels", {"labels": {"a": "b"}}),
        ("compute.instances.setMetadata", {"metadata": {"items": [{"key": "a", "value": "b"}]}}),
        ("compute.instances.setTags", {"tags": {"items": ["a"]}}),
        ("compute.instances.setServiceAccount", {"serviceAccounts": [{"email": "default"}]}),
        ("iam.serviceAccounts.actAs", {"serviceAccounts": [{"email": "default"}]}),
        ("compute.images.useReadOnly", {}),
    ],
)
def test_each_part_of_a_vm_needs_its_permission(
    emulated: Bench, permission: str, body: Json
) -> None:
    emulated.emulator.change(denied=frozenset({permission}))
    status, reason, message = _refused(emulated.raw, **body)
    assert (status, reason) == (403, "forbidden")
    assert message.startswith(f"Required '{permission}' permission for 'projects/")
    assert "items" not in emulated.raw.get(f"{ZONAL}/disks")


def test_a_network_interface_may_name_its_subnetwork_only(raw: Raw) -> None:
    cards = [{"subnetwork": "regions/us-central1/subnetworks/default"}]
    assert raw.vm(networkInterfaces=cards)["networkInterfaces"][0]["network"].endswith(
        "/networks/default"
    )


def test_a_service_account_of_ones_own_is_kept(raw: Raw) -> None:
    account = {"email": "baker@demo-project.iam.gserviceaccount.com", "scopes": ["s"]}
    assert raw.vm(serviceAccounts=[account])["serviceAccounts"] == [account]
