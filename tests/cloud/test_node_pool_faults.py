"""Node pools that get no nodes and clusters that are busy, as Google's own clients see them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import BadRequest, Conflict, TooManyRequests
from google.auth import credentials
from google.cloud import container_v1

from pylib.cloud.clock import SystemClock
from pylib.emulator import Emulator, Fault
from tests.cloud.emulated import PROJECT, ZONE, Bench, Raw
from tests.cloud.gcloud import Gcloud, needs_gcloud

PARENT = f"projects/{PROJECT}/locations/us-central1/clusters/demo"
STOCKOUT = "GCE_STOCKOUT: Instance 'gke-demo-gpus-1' creation failed"
RUNNING = container_v1.NodePool.Status.RUNNING
IN_ERROR = container_v1.NodePool.Status.RUNNING_WITH_ERROR
CREATE = (
    "container node-pools create gpus --cluster=demo --location=us-central1 --num-nodes=1 "
    f"--node-locations={ZONE} --machine-type=g2-standard-4 --disk-type=pd-ssd"
)


@pytest.fixture
def client(emulated: Bench, monkeypatch: pytest.MonkeyPatch) -> container_v1.ClusterManagerClient:
    """Google's client of clusters, over REST, and a cluster."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    emulated.emulator.add_cluster("demo", "us-central1")
    anonymous: Any = credentials.AnonymousCredentials
    options = ClientOptions(api_endpoint=emulated.emulator.url)
    return container_v1.ClusterManagerClient(
        transport="rest", credentials=anonymous(), client_options=options
    )


def _create(client: container_v1.ClusterManagerClient, name: str = "gpus") -> Any:
    config = container_v1.NodeConfig(machine_type="g2-standard-4", disk_type="pd-ssd")
    pool = container_v1.NodePool(name=name, initial_node_count=1, config=config)
    return client.create_node_pool(parent=PARENT, node_pool=pool)


def _ended(client: container_v1.ClusterManagerClient, bench: Bench, operation: Any) -> Any:
    bench.clock.sleep(0)
    place = f"projects/{PROJECT}/locations/us-central1"
    return client.get_operation(name=f"{place}/operations/{operation.name}")


@pytest.mark.fault("B32")
def test_a_pool_without_nodes_is_there_in_error_and_holds_its_name(
    emulated: Bench, client: container_v1.ClusterManagerClient
) -> None:
    fault = Fault("container.nodePools.create", "operation-error", message=STOCKOUT)
    emulated.emulator.faults.add(fault)

    done = _ended(client, emulated, _create(client))

    assert done.status == container_v1.Operation.Status.DONE
    assert done.error.message == STOCKOUT
    found = client.get_node_pool(name=f"{PARENT}/nodePools/gpus")
    assert (found.status, found.status_message) == (IN_ERROR, STOCKOUT)
    with pytest.raises(Conflict, match=r"Already exists: .*/nodePools/gpus\."):
        _create(client)
    _ended(client, emulated, client.delete_node_pool(name=f"{PARENT}/nodePools/gpus"))
    assert _ended(client, emulated, _create(client)).error.message == ""
    assert client.get_node_pool(name=f"{PARENT}/nodePools/gpus").status == RUNNING


@pytest.mark.fault("B32")
def test_a_sixth_operation_is_too_many_and_changes_nothing(
    emulated: Bench, client: container_v1.ClusterManagerClient
) -> None:
    for number in range(5):
        _create(client, f"p{number}")
    with pytest.raises(TooManyRequests, match="hits the concurrent operations quota 5"):
        _create(client, "p5")
    names = [pool.name for pool in client.list_node_pools(parent=PARENT).node_pools]
    assert names == ["p0", "p1", "p2", "p3", "p4"]
    emulated.clock.sleep(0)
    _create(client, "p5")


@pytest.mark.fault("B32")
def test_a_cluster_under_upgrade_takes_no_pool(
    emulated: Bench, client: container_v1.ClusterManagerClient
) -> None:
    update = container_v1.ClusterUpdate(desired_master_version="latest")
    upgrade = client.update_cluster(name=PARENT, update=update)
    with pytest.raises(BadRequest, match=f"incompatible operation {upgrade.name}"):
        _create(client)
    assert client.list_node_pools(parent=PARENT).node_pools == []
    _ended(client, emulated, upgrade)
    _create(client)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """One whose time goes by, as gcloud wants it, with a cluster."""
    with Emulator(tmp_path / "emulator", guest="simulated", clock=SystemClock()) as one:
        one.add_cluster("demo", "us-central1")
        yield one


@needs_gcloud
@pytest.mark.fault("B32")
def test_gcloud_tells_a_stockout_and_deletes_what_is_left(
    emulator: Emulator, tmp_path: Path
) -> None:
    gcloud = Gcloud(emulator, tmp_path)
    fault = Fault("container.nodePools.create", "operation-error", message=STOCKOUT)
    emulator.faults.add(fault)

    assert STOCKOUT in gcloud.refused(CREATE)

    where = "--cluster=demo --location=us-central1"
    [pool] = gcloud.json(f"container node-pools list {where}")
    assert (pool["name"], pool["status"]) == ("gpus", "RUNNING_WITH_ERROR")
    assert "Already exists" in gcloud.refused(CREATE)
    gcloud(f"container node-pools delete gpus {where}")
    assert Raw(emulator.url).get(f"/v1/{PARENT}/nodePools") == {}


@needs_gcloud
@pytest.mark.fault("B32")
def test_gcloud_is_refused_while_the_cluster_is_upgraded(
    emulator: Emulator, tmp_path: Path
) -> None:
    gcloud = Gcloud(emulator, tmp_path)
    emulator.faults.add(Fault("container.clusters.update", "operation-stuck"))
    gcloud("container clusters upgrade demo --location=us-central1 --master --async")
    [upgrade] = gcloud.json("container operations list --location=us-central1")
    assert upgrade["operationType"] == "UPGRADE_MASTER"
    assert f"running incompatible operation {upgrade['name']}" in gcloud.refused(CREATE)
