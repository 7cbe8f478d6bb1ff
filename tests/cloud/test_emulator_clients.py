"""Google's own clients work with the emulator, and are refused where the service refuses."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import BadRequest, Conflict, Forbidden, NotFound, PreconditionFailed
from google.auth import credentials
from google.cloud import compute_v1, container_v1

from pylib.emulator import Fault
from tests.cloud.emulated import PROJECT, ZONE, Bench

TYPE = f"zones/{ZONE}/diskTypes/pd-ssd"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go to the emulator, whatever the machine's own settings are."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def _how(bench: Bench) -> dict[str, Any]:
    anonymous: Any = credentials.AnonymousCredentials
    options = ClientOptions(api_endpoint=bench.emulator.url)
    return {"credentials": anonymous(), "client_options": options}


@pytest.fixture
def disks(emulated: Bench) -> compute_v1.DisksClient:
    """Google's client of disks."""
    return compute_v1.DisksClient(**_how(emulated))


@pytest.fixture
def images(emulated: Bench) -> compute_v1.ImagesClient:
    """Google's client of images."""
    return compute_v1.ImagesClient(**_how(emulated))


@pytest.fixture
def operations(emulated: Bench) -> compute_v1.ZoneOperationsClient:
    """Google's client of zonal operations."""
    return compute_v1.ZoneOperationsClient(**_how(emulated))


def _insert(disks: compute_v1.DisksClient, name: str = "data", request_id: str = "") -> Any:
    body = compute_v1.Disk(name=name, size_gb=10, type_=TYPE, labels={"run": "1"})
    return disks.insert_unary(
        request=compute_v1.InsertDiskRequest(
            project=PROJECT, zone=ZONE, disk_resource=body, request_id=request_id or None
        )
    )


def test_a_disk_is_inserted_waited_for_listed_and_deleted(
    disks: compute_v1.DisksClient, operations: compute_v1.ZoneOperationsClient
) -> None:
    operation = _insert(disks)
    assert operation.status == compute_v1.Operation.Status.PENDING
    done = operations.wait(project=PROJECT, zone=ZONE, operation=operation.name)
    assert (done.status, done.target_id) == (
        compute_v1.Operation.Status.DONE,
        disks.get(project=PROJECT, zone=ZONE, disk="data").id,
    )
    request = compute_v1.AggregatedListDisksRequest(project=PROJECT, filter='labels.run="1"')
    found = {scope: [d.name for d in page.disks] for scope, page in disks.aggregated_list(request)}
    assert found[f"zones/{ZONE}"] == ["data"]
    deletion = disks.delete_unary(project=PROJECT, zone=ZONE, disk="data")
    operations.wait(project=PROJECT, zone=ZONE, operation=deletion.name)
    with pytest.raises(NotFound, match="was not found"):
        disks.get(project=PROJECT, zone=ZONE, disk="data")


def test_a_repeat_is_the_first_operation_or_a_conflict(disks: compute_v1.DisksClient) -> None:
    request_id = str(uuid.UUID(int=7))
    first = _insert(disks, request_id=request_id)
    assert _insert(disks, request_id=request_id).name == first.name
    with pytest.raises(Conflict, match="already exists"):
        _insert(disks)


def test_pages_are_followed_to_the_end(emulated: Bench, disks: compute_v1.DisksClient) -> None:
    emulated.emulator.change(page_size=1)
    for name in ("a", "b", "c"):
        _insert(disks, name)
    assert [disk.name for disk in disks.list(project=PROJECT, zone=ZONE)] == ["a", "b", "c"]
    assert len(emulated.emulator.journal("compute.disks.list")) == 3


def test_an_operations_error_is_in_the_operation_and_raises_nothing(
    emulated: Bench,
    disks: compute_v1.DisksClient,
    operations: compute_v1.ZoneOperationsClient,
) -> None:
    code = "ZONE_RESOURCE_POOL_EXHAUSTED"
    emulated.emulator.faults.add(Fault("compute.disks.insert", "operation-error", code=code))
    done = operations.wait(project=PROJECT, zone=ZONE, operation=_insert(disks).name)
    assert [error.code for error in done.error.errors] == [code]
    assert done.http_error_status_code == 503


def test_refusals_are_googles_exceptions(
    emulated: Bench, disks: compute_v1.DisksClient, images: compute_v1.ImagesClient
) -> None:
    with pytest.raises(BadRequest, match="Must be a match of regex"):
        _insert(disks, "Bad")
    emulated.emulator.change(denied=frozenset({"compute.disks.create"}))
    with pytest.raises(Forbidden, match=r"Required 'compute\.disks\.create' permission"):
        _insert(disks)
    emulated.emulator.change(denied=frozenset())
    emulated.raw.disk()
    emulated.raw.image()
    body = compute_v1.GlobalSetLabelsRequest(labels={"a": "b"}, label_fingerprint="stale")
    with pytest.raises(PreconditionFailed, match="Labels fingerprint either invalid"):
        images.set_labels_unary(
            project=PROJECT, resource="image", global_set_labels_request_resource=body
        )


def test_a_vm_is_inserted_with_a_time_limit_and_read(emulated: Bench) -> None:
    instances = compute_v1.InstancesClient(**_how(emulated))
    boot = compute_v1.AttachedDisk(
        boot=True,
        auto_delete=True,
        initialize_params=compute_v1.AttachedDiskInitializeParams(
            source_image="projects/debian-cloud/global/images/family/debian-12"
        ),
    )
    body = compute_v1.Instance(
        name="vm",
        machine_type=f"zones/{ZONE}/machineTypes/n2-standard-16",
        disks=[boot],
        network_interfaces=[compute_v1.NetworkInterface(network="global/networks/default")],
        scheduling=compute_v1.Scheduling(
            max_run_duration=compute_v1.Duration(seconds=60), instance_termination_action="DELETE"
        ),
    )
    instances.insert_unary(
        request=compute_v1.InsertInstanceRequest(project=PROJECT, zone=ZONE, instance_resource=body)
    )
    emulated.clock.sleep(1)
    vm = instances.get(project=PROJECT, zone=ZONE, instance="vm")
    assert (vm.status, vm.scheduling.max_run_duration.seconds) == ("RUNNING", 60)
    serial = instances.get_serial_port_output(project=PROJECT, zone=ZONE, instance="vm")
    assert "simulated" in serial.contents
    emulated.clock.sleep(60)
    assert [one.name for one in instances.list(project=PROJECT, zone=ZONE)] == []


def test_a_node_pool_is_created_over_rest(emulated: Bench) -> None:
    emulated.emulator.add_cluster("demo", "us-central1")
    client = container_v1.ClusterManagerClient(transport="rest", **_how(emulated))
    parent = f"projects/{PROJECT}/locations/us-central1/clusters/demo"
    pool = container_v1.NodePool(
        name="gpus",
        initial_node_count=1,
        config=container_v1.NodeConfig(machine_type="g2-standard-4", disk_type="pd-ssd"),
    )
    operation = client.create_node_pool(parent=parent, node_pool=pool)
    assert operation.operation_type == container_v1.Operation.Type.CREATE_NODE_POOL
    emulated.clock.sleep(0)
    found = client.get_node_pool(name=f"{parent}/nodePools/gpus")
    assert found.status == container_v1.NodePool.Status.RUNNING
    with pytest.raises(NotFound, match="Not found: projects/"):
        client.get_cluster(name=f"{parent}-that-is-not-there")
