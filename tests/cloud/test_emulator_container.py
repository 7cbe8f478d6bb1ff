"""Clusters and node pools on the emulator follow the rules of GKE."""

from __future__ import annotations

import pytest

from pylib.emulator import Fault
from tests.cloud.emulated import PROJECT, ZONE, Bench, Json, Raw

HERE = f"/v1/projects/{PROJECT}/locations/us-central1"
CLUSTER = f"{HERE}/clusters/demo"
POOLS = f"{CLUSTER}/nodePools"
PATH = f"projects/{PROJECT}/locations/us-central1/clusters/demo"
IMAGE = f"projects/{PROJECT}/global/images/image"
GPU: Json = {
    "machineType": "g2-standard-24",
    "diskType": "pd-ssd",
    "accelerators": [{"acceleratorType": "nvidia-l4", "acceleratorCount": "2"}],
    "gcfsConfig": {"enabled": True},
    "secondaryBootDisks": [{"diskImage": IMAGE, "mode": "CONTAINER_IMAGE_CACHE"}],
}


@pytest.fixture
def bench(emulated: Bench) -> Bench:
    """A project with a cluster and an image."""
    emulated.emulator.add_cluster("demo", "us-central1")
    emulated.raw.disk()
    emulated.raw.image()
    return emulated


def _body(**pool: object) -> Json:
    return {"nodePool": {"name": "gpus", "locations": [ZONE], "config": GPU, **pool}}


def _wait(bench: Bench, operation: Json) -> Json:
    bench.clock.sleep(0)
    return bench.raw.get(f"{HERE}/operations/{operation['name']}")


def _create(bench: Bench, **pool: object) -> Json:
    return _wait(bench, bench.raw.post(POOLS, _body(**pool)))


def _refused(bench: Bench, **pool: object) -> tuple[int, str, str]:
    return bench.raw.send("POST", POOLS, _body(**pool)).refusal


def test_a_pool_is_provisioned_and_then_runs(bench: Bench) -> None:
    operation = bench.raw.post(POOLS, _body(initialNodeCount=3))
    assert operation["operationType"] == "CREATE_NODE_POOL"
    assert bench.raw.get(f"{POOLS}/gpus")["status"] == "PROVISIONING"
    done = _wait(bench, operation)
    assert (done["status"], "error" in done) == ("DONE", False)
    assert done["startTime"] <= done["endTime"]
    pool = bench.raw.get(f"{POOLS}/gpus")
    assert pool["status"] == "RUNNING"
    assert pool["config"]["imageType"] == "COS_CONTAINERD"
    assert pool["config"]["secondaryBootDisks"] == GPU["secondaryBootDisks"]
    assert bench.raw.get(POOLS)["nodePools"] == [pool]
    assert bench.raw.get(CLUSTER)["nodePools"] == [pool]
    assert bench.raw.get(f"{HERE}/operations")["operations"] == [done]
    assert bench.raw.get(f"{HERE.replace('us-central1', '-')}/operations")["operations"] == [done]


def test_without_locations_a_pool_is_in_those_of_its_cluster(bench: Bench) -> None:
    _create(bench, locations=[])
    zones = [f"us-central1-{letter}" for letter in "abc"]
    assert bench.raw.get(f"{POOLS}/gpus")["locations"] == zones


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ({"name": "GPUs"}, "Invalid value for field \"node_pool.name\": 'GPUs'. Must be a match"),
        ({"name": "a" * 41}, 'Invalid value for field "node_pool.name"'),
        (
            {"locations": ["us-east4-a"]},
            "Location 'us-east4-a' is not a zone in the region of the cluster, 'us-central1'.",
        ),
        (
            {"autoscaling": {"enabled": True, "minNodeCount": 3, "maxNodeCount": 2}},
            "Autoscaling from 3 to 2 nodes is impossible.",
        ),
        (
            {"config": {"machineType": "g9-huge"}},
            "Machine type with name 'g9-huge' does not exist.",
        ),
        (
            {"config": {**GPU, "diskType": "floppy"}},
            "Disk type with name 'floppy' does not exist.",
        ),
        (
            {"config": {"machineType": "a4-highgpu-8g", "diskType": "pd-ssd"}},
            "[pd-ssd, a4-highgpu-8g] features are not compatible for creating instance.",
        ),
        (
            {
                "config": {
                    **GPU,
                    "accelerators": [{"acceleratorType": "nvidia-l4", "acceleratorCount": "1"}],
                }
            },
            "Machine type 'g2-standard-24' comes with 2 of 'nvidia-l4'; 1 of 'nvidia-l4' cannot be",
        ),
        (
            {"config": {"accelerators": [{"acceleratorType": "nvidia-l4"}]}},
            "Accelerators cannot be attached to machine type 'e2-medium'.",
        ),
        (
            {"config": {**GPU, "gcfsConfig": {"enabled": False}}},
            "Secondary boot disks require image streaming (gcfs_config).",
        ),
        (
            {"config": {**GPU, "secondaryBootDisks": [{"diskImage": "image"}]}},
            "Invalid secondary boot disk image 'image' in demo-project.",
        ),
        (
            {"config": {**GPU, "resourceLabels": {"tag": "v0.5.3"}}},
            "Invalid value for field 'node_pool.config.resource_labels': ''. Label value 'v0.5.3'",
        ),
    ],
)
def test_a_pool_that_cannot_be_is_refused(bench: Bench, pool: Json, message: str) -> None:
    status, _, text = _refused(bench, **pool)
    assert status == 400
    assert text.startswith(message)
    assert bench.raw.get(POOLS) == {}


def test_an_unknown_field_is_refused(bench: Bench) -> None:
    assert _refused(bench, secondaryBootDisk="x")[2].startswith(
        'Invalid JSON payload received. Unknown name "secondaryBootDisk"'
    )


def test_gpus_of_n1_are_chosen_freely(bench: Bench) -> None:
    accelerators = [{"acceleratorType": "nvidia-tesla-t4", "acceleratorCount": "1"}]
    done = _create(bench, config={"machineType": "n1-standard-4", "accelerators": accelerators})
    assert "error" not in done


def test_a_name_is_taken_once(bench: Bench) -> None:
    _create(bench)
    assert _refused(bench) == (
        409,
        "alreadyExists",
        f"Already exists: {PATH}/nodePools/gpus.",
    )


def _busy(operation: Json) -> tuple[int, str, str]:
    name = operation["name"]
    return 400, "failedPrecondition", f"Cluster is running incompatible operation {name}."


@pytest.mark.fault("B32")
def test_one_operation_at_a_time_changes_a_pool_or_the_cluster(bench: Bench) -> None:
    operation = bench.raw.post(POOLS, _body())
    for verb, path, body in (
        ("DELETE", f"{POOLS}/gpus", None),
        ("POST", f"{POOLS}/gpus:setSize", {"nodeCount": 1}),
        ("PUT", f"{POOLS}/gpus", {"imageType": "COS_CONTAINERD"}),
        ("DELETE", CLUSTER, None),
        ("PUT", CLUSTER, {"update": {"desiredMasterVersion": "-"}}),
    ):
        answer = bench.raw.send(verb, path, body)
        assert answer.refusal == _busy(operation)
        assert answer.doc["error"]["status"] == "FAILED_PRECONDITION"


@pytest.mark.fault("B32")
def test_five_pools_change_at_once_and_no_more(bench: Bench) -> None:
    for number in range(5):
        bench.raw.post(POOLS, _body(name=f"p{number}"))
    answer = bench.raw.send("POST", POOLS, _body(name="p5"))
    assert answer.refusal == (
        429,
        "rateLimitExceeded",
        'Too many operations: cluster "demo" hits the concurrent operations quota 5, please try '
        "again later.",
    )
    assert answer.doc["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert bench.raw.send("GET", f"{POOLS}/p5").status == 404
    bench.clock.sleep(0)
    assert "error" not in _create(bench, name="p5")
    assert len(bench.raw.get(POOLS)["nodePools"]) == 6


@pytest.mark.fault("B32")
def test_nothing_changes_pools_while_the_cluster_is_upgraded(bench: Bench) -> None:
    _create(bench)
    upgrade = bench.raw.send("PUT", CLUSTER, {"update": {"desiredMasterVersion": "latest"}}).doc
    assert upgrade["operationType"] == "UPGRADE_MASTER"
    assert bench.raw.get(CLUSTER)["status"] == "RECONCILING"
    assert _refused(bench, name="other") == _busy(upgrade)
    assert bench.raw.send("DELETE", f"{POOLS}/gpus").refusal == _busy(upgrade)
    assert _wait(bench, upgrade)["status"] == "DONE"
    assert bench.raw.get(CLUSTER)["status"] == "RUNNING"
    assert "error" not in _create(bench, name="other")


@pytest.mark.parametrize("update", [{}, {"desiredMasterVersion": "1.2.3"}, {"desiredImage": "x"}])
def test_what_else_a_cluster_could_change_is_refused(bench: Bench, update: Json) -> None:
    answer = bench.raw.send("PUT", CLUSTER, {"update": update})
    assert answer.status == 400
    assert "is not supported." in answer.refusal[2]


def test_a_clusters_update_scales_a_pool_or_gives_pods_identities(bench: Bench) -> None:
    _create(bench)
    scaling = {"enabled": True, "minNodeCount": 2, "maxNodeCount": 7}
    update = {"desiredNodePoolId": "gpus", "desiredNodePoolAutoscaling": scaling}
    _wait(bench, bench.raw.send("PUT", CLUSTER, {"update": update}).doc)
    assert bench.raw.get(f"{POOLS}/gpus")["autoscaling"] == scaling
    bench.raw.post(CLUSTER.rpartition("/")[0], {"cluster": {"name": "plain"}})
    bench.clock.sleep(0)
    plain = f"{CLUSTER.rpartition('/')[0]}/plain"
    assert "workloadIdentityConfig" not in bench.raw.get(plain)
    identity = {"workloadPool": f"{PROJECT}.svc.id.goog"}
    update = {"desiredWorkloadIdentityConfig": identity}
    _wait(bench, bench.raw.send("PUT", plain, {"update": update}).doc)
    assert bench.raw.get(plain)["workloadIdentityConfig"] == identity


_NAMED = {
    "consumeReservationType": "SPECIFIC_RESERVATION",
    "key": "compute.googleapis.com/reservation-name",
    "values": ["mine"],
}
_FLEX = {"flexStart": True, "reservationAffinity": {"consumeReservationType": "NO_RESERVATION"}}


@pytest.mark.parametrize(
    ("bought", "said"),
    [
        ({"reservationAffinity": {**_NAMED, "values": []}}, "A specific reservation needs key"),
        ({"reservationAffinity": _NAMED, "spot": True}, "Spot VMs cannot consume reservations"),
        ({**_FLEX, "spot": True}, "Flex-start and Spot cannot be used together"),
        ({**_FLEX, "reservationAffinity": _NAMED}, "requires reservation affinity NO_RESERVATION"),
        ({**_FLEX, "maxRunDuration": "604801s"}, "Max run duration must be at most 604800s"),
    ],
)
def test_ways_to_buy_nodes_that_exclude_each_other(bench: Bench, bought: Json, said: str) -> None:
    assert said in _refused(bench, config={**GPU, **bought})[2]


def test_flex_start_takes_no_repair(bench: Bench) -> None:
    said = _refused(bench, config={**GPU, **_FLEX}, management={"autoRepair": True})[2]
    assert "do not support node auto-repair" in said
    assert "error" not in _create(bench, config={**GPU, **_FLEX})


def test_a_missing_or_unfinished_image_ends_the_operation_with_an_error(bench: Bench) -> None:
    missing = {**GPU, "secondaryBootDisks": [{"diskImage": f"projects/{PROJECT}/global/images/no"}]}
    done = _create(bench, config=missing)
    message = f"The resource 'projects/{PROJECT}/global/images/no' was not found"
    assert done["error"] == {"code": 9, "message": message}
    assert bench.raw.get(f"{POOLS}/gpus")["status"] == "RUNNING_WITH_ERROR"
    bench.emulator.faults.add(Fault("compute.images.insert", "operation-error"))
    body = {"name": "failed", "sourceDisk": f"zones/{ZONE}/disks/data"}
    bench.raw.wait(bench.raw.post(f"/compute/v1/projects/{PROJECT}/global/images", body))
    failed = f"projects/{PROJECT}/global/images/failed"
    done = _create(
        bench, name="other", config={**GPU, "secondaryBootDisks": [{"diskImage": failed}]}
    )
    assert done["error"]["message"] == f"The resource '{failed}' is not ready"


@pytest.mark.fault("B32")
def test_a_stockout_leaves_a_pool_in_error_that_can_be_deleted(bench: Bench) -> None:
    fault = Fault(
        "container.nodePools.create", "operation-error", code="GCE_STOCKOUT", message="GCE_STOCKOUT"
    )
    bench.emulator.faults.add(fault)
    assert _create(bench)["statusMessage"] == "GCE_STOCKOUT"
    pool = bench.raw.get(f"{POOLS}/gpus")
    assert (pool["status"], pool["statusMessage"]) == ("RUNNING_WITH_ERROR", "GCE_STOCKOUT")
    _wait(bench, bench.raw.send("DELETE", f"{POOLS}/gpus").doc)
    assert bench.raw.get(POOLS) == {}


def test_nodes_count_against_the_quota_of_gpus(bench: Bench) -> None:
    bench.emulator.change(quotas={"us-central1/NVIDIA_L4_GPUS": 4})
    done = _create(bench, initialNodeCount=3)
    assert done["error"]["message"] == (
        "Quota 'NVIDIA_L4_GPUS' exceeded.  Limit: 4.0 in region us-central1."
    )
    assert "error" not in _create(bench, name="small", initialNodeCount=1)
    resized = bench.raw.post(f"{POOLS}/small:setSize", {"nodeCount": 3})
    assert "NVIDIA_L4_GPUS" in _wait(bench, resized)["error"]["message"]
    resized = bench.raw.post(f"{POOLS}/small:setSize", {"nodeCount": 2})
    assert "error" not in _wait(bench, resized)
    region = bench.raw.get(f"/compute/v1/projects/{PROJECT}/regions/us-central1")
    used = {one["metric"]: one["usage"] for one in region["quotas"]}
    assert used["NVIDIA_L4_GPUS"] == 4


def test_autoscaling_starts_with_its_least(bench: Bench) -> None:
    scaling = {"enabled": True, "minNodeCount": 2, "maxNodeCount": 5}
    _create(bench, autoscaling=scaling, initialNodeCount=1)
    region = bench.raw.get(f"/compute/v1/projects/{PROJECT}/regions/us-central1")
    used = {one["metric"]: one["usage"] for one in region["quotas"]}
    assert used["NVIDIA_L4_GPUS"] == 4


def test_what_can_change_in_place_changes(bench: Bench) -> None:
    _create(bench)
    update = {"imageType": "UBUNTU_CONTAINERD", "gcfsConfig": {"enabled": True}}
    _wait(bench, bench.raw.send("PUT", f"{POOLS}/gpus", update).doc)
    assert bench.raw.get(f"{POOLS}/gpus")["config"]["imageType"] == "UBUNTU_CONTAINERD"
    refusal = bench.raw.send("PUT", f"{POOLS}/gpus", {"secondaryBootDisks": []}).refusal
    assert 'Unknown name "secondaryBootDisks"' in refusal[2]


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("DELETE", f"{POOLS}/gpus", None),
        ("POST", f"{POOLS}/gpus:setSize", {"nodeCount": 2}),
        ("PUT", f"{POOLS}/gpus", {"imageType": "COS_CONTAINERD"}),
    ],
)
def test_a_change_that_fails_leaves_the_pool_running(
    bench: Bench, verb: str, path: str, body: Json | None
) -> None:
    _create(bench)
    bench.emulator.faults.add(Fault(f"{verb} ", "operation-error", message="Oh."))
    done = _wait(bench, bench.raw.send(verb, path, body).doc)
    assert done["error"]["message"] == "Oh."
    assert bench.raw.get(f"{POOLS}/gpus")["status"] == "RUNNING"


def test_clusters_come_and_go_with_their_pools(bench: Bench) -> None:
    raw = bench.raw
    body = {"cluster": {"name": "new", "autopilot": {"enabled": True}}}
    operation = raw.post(f"{HERE}/clusters", body)
    assert raw.get(f"{HERE}/clusters/new")["status"] == "PROVISIONING"
    _wait(bench, operation)
    cluster = raw.get(f"{HERE}/clusters/new")
    assert (cluster["status"], cluster["autopilot"]) == ("RUNNING", {"enabled": True})
    assert raw.send("POST", f"{HERE}/clusters", body).refusal[:2] == (409, "alreadyExists")
    bad = {"cluster": {"name": "New"}}
    assert (
        raw.send("POST", f"{HERE}/clusters", bad)
        .refusal[2]
        .startswith("Invalid value for field \"cluster.name\": 'New'.")
    )
    _create(bench)
    listed = raw.get(f"/v1/projects/{PROJECT}/locations/-/clusters")["clusters"]
    assert [one["name"] for one in listed] == ["demo", "new"]
    _wait(bench, raw.send("DELETE", CLUSTER).doc)
    assert raw.send("GET", POOLS).refusal == (404, "notFound", f"Not found: {PATH}.")
    bench.emulator.add_cluster("demo", "us-central1")
    assert raw.get(POOLS) == {}


def test_clusters_that_fail_are_in_error_or_run_on(bench: Bench) -> None:
    bench.emulator.faults.add(Fault("container.clusters.create", "operation-error"))
    _wait(bench, bench.raw.post(f"{HERE}/clusters", {"cluster": {"name": "new"}}))
    assert bench.raw.get(f"{HERE}/clusters/new")["status"] == "ERROR"
    bench.emulator.faults.add(Fault("container.clusters.delete", "operation-error"))
    _wait(bench, bench.raw.send("DELETE", CLUSTER).doc)
    assert bench.raw.get(CLUSTER)["status"] == "RUNNING"


def test_what_is_not_there_is_not_found(raw: Raw) -> None:
    assert raw.get(f"{HERE}/clusters") == {}
    assert raw.send("GET", CLUSTER).refusal == (404, "notFound", f"Not found: {PATH}.")
    assert raw.send("POST", POOLS, _body()).status == 404
    assert raw.send("GET", f"{POOLS}/gpus").status == 404
    assert raw.send("GET", f"{HERE}/operations/none").refusal[2].startswith("Not found: ")
    elsewhere = f"/v1/projects/{PROJECT}/locations/mars/clusters"
    assert raw.send("GET", elsewhere).refusal[2] == "Location 'mars' does not exist."


def test_a_pool_that_is_not_there_is_not_found(bench: Bench) -> None:
    where = f"Not found: {PATH}/nodePools/none."
    assert bench.raw.send("GET", f"{POOLS}/none").refusal == (404, "notFound", where)
    assert bench.raw.send("DELETE", f"{POOLS}/none").refusal[2] == where


def test_lists_name_zones_out_of_reach_and_versions_are_offered(bench: Bench) -> None:
    bench.emulator.change(unreachable=frozenset({ZONE}))
    assert bench.raw.get(f"{HERE}/clusters")["missingZones"] == [ZONE]
    config = bench.raw.get(f"{HERE}/serverConfig")
    assert config["validMasterVersions"] == ["1.35.3-gke.1389000"]


def test_a_zonal_cluster_has_its_own_zone(emulated: Bench) -> None:
    emulated.emulator.add_cluster("zonal", ZONE)
    place = f"/v1/projects/{PROJECT}/locations/{ZONE}/clusters/zonal"
    assert emulated.raw.get(place)["locations"] == [ZONE]
    emulated.raw.post(f"{place}/nodePools", {"nodePool": {"name": "p", "initialNodeCount": 1}})
    emulated.clock.sleep(0)
    assert emulated.raw.get(f"{place}/nodePools/p")["status"] == "RUNNING"
