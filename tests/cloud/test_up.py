"""``up`` on the emulator: from a config to disks, pools, roles and objects; again, and changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylib.errors import ConfigError
from pylib.lock import Lock, LockedRevision, load_lock, lock_path
from tests.cloud.emulated import Raw
from tests.cloud.fake_parts import MANIFEST
from tests.cloud.upping import PROJECT, Upper, upper

REVISION = MANIFEST[:12]
DISK = f"vllm-openai-us-central1-a-{REVISION}"
POOL = "vllm-l4"
NUMBER = "123456789012"


@pytest.fixture
def one(tmp_path: Path, installed: list[Any]) -> Iterator[Upper]:
    """An emulated project."""
    with upper(tmp_path) as found:
        yield found


def _lock(one: Upper) -> Lock:
    return load_lock(lock_path(one.file))


def _revisions(one: Upper) -> tuple[LockedRevision, ...]:
    weights = _lock(one).weights
    return weights.revisions if weights else ()


def test_up_makes_everything_that_the_config_needs(one: Upper, installed: list[Any]) -> None:
    done = one.up()

    assert one.made("disks") == [DISK]
    assert one.made("nodePools") == [POOL]
    assert len(one.made("images")) == 2
    assert {(it.verb.value, it.kind) for it in done} == {
        ("create", "image bake"),
        ("create", "weights bake"),
        ("create", "node pool"),
        ("create", "disk"),
        ("create", "role"),
        ("create", "object"),
    }
    [revision] = _revisions(one)
    assert (revision.name, revision.disks["us-central1-a"].name) == (REVISION, DISK)
    assert revision.disks["us-central1-a"].id is not None
    assert one.kube.applied[0] == "Namespace/custom-metrics"
    assert "APIService/v1beta2.custom.metrics.k8s.io" in one.kube.applied
    [values] = installed
    assert values["weights"]["disk"]["revisions"][0]["disks"] == {"us-central1-a": DISK}
    assert not list(one.file.parent.glob("*.journal"))


def test_the_adapter_may_read_metrics_by_its_pod_identity(one: Upper) -> None:
    one.up()
    policy = one.cloud.policy("project", PROJECT)
    assert policy.holds(
        "roles/monitoring.viewer",
        f"principal://iam.googleapis.com/projects/{NUMBER}/locations/global/workloadIdentityPools/"
        f"{PROJECT}.svc.id.goog/subject/ns/custom-metrics/sa/custom-metrics-stackdriver-adapter",
    )


def test_the_pool_starts_with_the_image_and_as_few_nodes_as_it_keeps(one: Upper) -> None:
    one.up()
    [pool] = one.cloud.pools("us-central1", "vllm-cluster")
    assert pool.spec.image == f"projects/{PROJECT}/global/images/vllm-openai-image"
    assert (pool.spec.least, pool.spec.most, pool.spec.zones) == (1, 5, ("us-central1-a",))
    assert pool.spec.labels == {
        "vfs-release": "vllm-openai",
        "vfs-namespace": "vllm",
        "vfs-cell": "us-central1-a",
    }
    [call] = one.emulator.journal("container.nodePools.create")
    assert call.body["nodePool"]["initialNodeCount"] == 1


def test_the_second_time_nothing_is_changed(one: Upper) -> None:
    one.up()
    before, applied = one.changes(), list(one.kube.applied)
    text = lock_path(one.file).read_text()

    assert one.plan() == []
    assert one.up() == []

    assert one.changes() == before
    assert one.kube.applied == applied
    assert lock_path(one.file).read_text() == text


def test_a_plan_changes_nothing_and_says_what_follows_from_the_bakes(one: Upper) -> None:
    before = one.changes()
    lines = one.plan()
    assert one.changes() == before
    assert not lock_path(one.file).exists()
    assert lines[1:5] == [
        "create  image bake config.lock.yaml: there is none",
        "create  weights bake config.lock.yaml: there are none",
        "create  node pool of cell us-central1-a in us-central1-a: from the image that is baked "
        "before",
        "create  disk of cell us-central1-a in us-central1-a: from the image that is baked before",
    ]


def test_other_limits_scale_the_pool_and_nothing_else(one: Upper) -> None:
    one.up()
    one.edit("maxNodes: 5", "maxNodes: 7")
    before = one.changes()

    assert one.plan() == ["change  node pool vllm-l4: 1 to 7 nodes, not 1 to 5"]
    one.up()

    assert one.changes()[len(before) :] == ["container.nodePools.setAutoscaling"]
    assert one.cloud.pools("us-central1", "vllm-cluster")[0].spec.most == 7
    assert one.plan() == []


@pytest.mark.fault("C13")
def test_another_image_is_another_pool_and_the_old_one_stays_until_it_may_go(
    one: Upper, installed: list[Any]
) -> None:
    one.up()
    one.edit("name: vllm-openai-image", "name: vllm-v0-6-0")
    one.edit("vllm-openai:v0.5.3", "vllm-openai:v0.6.0")
    one.edit('vllmVersion: "0.5.3"', 'vllmVersion: "0.6.0"')

    done = one.up()

    assert [(it.kind, it.why) for it in done] == [
        ("image bake", "it holds other images than the config names"),
        ("node pool", "vllm-l4 has another image"),
    ]
    old, new = one.made("nodePools")
    assert old == POOL
    assert new.startswith(f"{POOL}-")
    assert (_lock(one).pools or {})["us-central1-a"].name == new
    assert installed[-1]["cells"][0]["nodePool"] == new
    assert one.plan() == []
    assert one.plan(prune=True) == [f"delete  node pool {POOL}: no cell is on it"]
    one.up(prune=True)
    assert one.made("nodePools") == [new]
    assert one.plan(prune=True) == []
    assert len(one.made("images")) == 3


def _update(one: Upper) -> None:
    """Another model in the config, and in the bucket."""
    one.put_model("gemma/gemma-7b-it", 3)
    one.edit("gs://my-models/gemma/gemma-7b", "gs://my-models/gemma/gemma-7b-it")
    one.fill_with("ee" * 32)


def test_another_model_is_another_revision_whose_disks_are_there_before_pods_need_them(
    one: Upper, installed: list[Any]
) -> None:
    one.up()
    _update(one)

    one.up()

    first, second = _revisions(one)
    assert (first.name, second.name) == (REVISION, "ee" * 6)
    lock = _lock(one)
    assert lock.weights is not None
    assert lock.weights.current == second.name
    disk = installed[-1]["weights"]["disk"]
    assert disk["current"] == second.name
    assert [it["name"] for it in disk["revisions"]] == [first.name, second.name]
    assert one.made("disks") == [DISK, f"vllm-openai-us-central1-a-{second.name}"]
    assert one.plan() == []


def test_the_old_revision_leaves_the_release_before_its_disk_goes(
    one: Upper, installed: list[Any]
) -> None:
    one.up()
    _update(one)
    one.up()
    held: list[list[str]] = []
    one.on_install(lambda: held.append(one.made("disks")))

    one.up(prune=True)

    assert [it["name"] for it in installed[-1]["weights"]["disk"]["revisions"]] == ["ee" * 6]
    assert all(DISK in disks for disks in held)
    assert one.made("disks") == [f"vllm-openai-us-central1-a-{'ee' * 6}"]
    assert len(one.made("images")) == 3
    assert one.plan(prune=True) == []


def test_what_is_kept_for_the_way_back_is_said_with_its_cost(one: Upper) -> None:
    one.up()
    assert not [line for line in one.said if line.startswith("kept")]
    _update(one)
    one.edit("machineType: g2-standard-24", "machineType: g2-standard-48")
    one.edit("count: 2}", "count: 4}")
    one.up()
    pool = f"node pool {POOL} (nodes: 1 or more)"
    assert one.said[-2:] == [
        f"kept    revision {REVISION} on {DISK}: about $174.08 a month; --prune takes it away",
        f"kept    {pool}: about $1460.00 a month; --prune takes it away",
    ]
    one.said.clear()
    one.up(prune=True)
    assert not [line for line in one.said if line.startswith("kept")]


def test_a_disk_in_use_is_not_deleted(one: Upper) -> None:
    one.up()
    _update(one)
    one.up()
    one.attach(DISK)
    with pytest.raises(Exception, match=f"{DISK} in us-central1-a is attached to a-node"):
        one.up(prune=True)
    assert DISK in one.made("disks")


def test_up_with_the_old_config_and_lock_goes_back_without_a_bake(
    one: Upper, installed: list[Any]
) -> None:
    one.up()
    config, lock = one.file.read_text(), lock_path(one.file).read_text()
    _update(one)
    one.up()
    images = one.made("images")
    one.file.write_text(config)
    lock_path(one.file).write_text(lock)

    assert one.up() == []

    assert installed[-1]["weights"]["disk"]["current"] == REVISION
    assert one.made("images") == images
    assert lock_path(one.file).read_text() == lock


def test_another_disk_type_is_another_revision_of_the_same_weights(
    one: Upper, installed: list[Any]
) -> None:
    one.up()
    one.edit("type: pd-ssd\n  sizeGiB: 1024", "type: pd-balanced\n  sizeGiB: 1024")

    done = one.up()

    assert [it.kind for it in done] == ["disk"]
    first, second = _revisions(one)
    assert second.name.startswith(f"{REVISION}-")
    assert second.manifestSha256 == first.manifestSha256
    assert installed[-1]["weights"]["disk"]["current"] == second.name
    assert one.plan() == []


def test_a_disk_that_is_gone_is_made_again(one: Upper) -> None:
    one.up()
    one.remove_disk(DISK)
    assert one.plan() == [
        f"create  disk {DISK} in us-central1-a: the lock file has it, and it is gone"
    ]
    one.up()
    assert one.made("disks") == [DISK]
    assert one.plan() == []


@pytest.mark.fault("B12")
def test_strangers_resources_stop_it_before_anything_is_made(one: Upper) -> None:
    one.stranger_pool(POOL)
    before = one.changes()
    lock_path(one.file).write_text(Path("values/gemma-7b-tutorial/config.lock.yaml").read_text())
    with pytest.raises(ConfigError) as caught:
        one.up()
    said = str(caught.value)
    assert f"node pool {POOL} of cluster vllm-cluster in us-central1 is not this release's" in said
    assert one.changes() == before


def test_another_adapter_is_left_alone_and_said(one: Upper) -> None:
    one.kube.objects[("APIService", "v1beta1.custom.metrics.k8s.io", None)] = {
        "kind": "APIService",
        "metadata": {"name": "v1beta1.custom.metrics.k8s.io"},
        "spec": {"service": {"name": "prometheus-adapter", "namespace": "monitoring"}},
    }
    with pytest.raises(ConfigError) as caught:
        one.up()
    assert "v1beta1.custom.metrics.k8s.io is served by monitoring/prometheus-adapter" in str(
        caught.value
    )
    assert one.made("disks") == []


def test_googles_own_adapter_is_taken_as_it_is(one: Upper) -> None:
    one.up()
    for body in one.kube.objects.values():
        body["metadata"].pop("labels", None)
    assert one.plan() == []


@pytest.mark.parametrize(
    "name", ["containerfilesystem.googleapis.com", "monitoring.googleapis.com"]
)
def test_services_that_are_off_are_turned_on(
    name: str, tmp_path: Path, installed: list[Any]
) -> None:
    with upper(tmp_path, disabled_services=frozenset({name})) as one:
        assert one.plan()[0] == f"create  service {name}"
        one.up()
        assert one.plan() == []


@pytest.mark.parametrize(
    "name", ["container.googleapis.com", "cloudresourcemanager.googleapis.com"]
)
def test_services_that_are_looked_into_are_turned_on_first(
    name: str, tmp_path: Path, installed: list[Any]
) -> None:
    with upper(tmp_path, disabled_services=frozenset({name})) as one:
        assert one.plan() == [f"create  service {name}"]
        done = one.up()
        assert {it.kind for it in done} >= {"service", "node pool", "disk"}
        assert one.plan() == []


def test_a_log_bucket_is_made_and_the_vms_account_reads_the_models(one: Upper) -> None:
    account = f"bake@{PROJECT}.iam.gserviceaccount.com"
    one.up(log_bucket="bake-logs", bake={"service_account": account})
    assert one.cloud.has_bucket("bake-logs")
    policy = one.cloud.policy("bucket", "my-models")
    assert policy.holds("roles/storage.objectViewer", f"serviceAccount:{account}")
    assert one.plan(log_bucket="bake-logs", bake={"service_account": account}) == []


def test_a_cluster_that_is_not_there_is_said_with_the_command_that_makes_it(one: Upper) -> None:
    one.edit("cluster: {name: vllm-cluster}", "cluster: {name: other}")
    with pytest.raises(ConfigError) as caught:
        one.plan()
    assert "there is no cluster other in us-central1" in str(caught.value)
    assert "gcloud container clusters create other --project=my-project" in str(caught.value)


def _without_identity(one: Upper) -> None:
    path = "/v1/projects/my-project/locations/us-central1/clusters"
    Raw(one.emulator.url).post(path, {"cluster": {"name": "plain"}})
    one.cloud.clock.sleep(60)
    one.edit("cluster: {name: vllm-cluster}", "cluster: {name: plain, existing: false}")


def test_workload_identity_is_turned_on_where_the_cluster_is_the_releases_own(one: Upper) -> None:
    _without_identity(one)
    assert "change  cluster plain: has no Workload Identity, so that no pod may read metrics" in (
        one.plan()
    )
    one.up()
    found = one.cloud.cluster("us-central1", "plain")
    assert found is not None
    assert found.workload_pool == "my-project.svc.id.goog"
    assert one.plan() == []


def test_an_existing_cluster_without_it_is_left_as_it_is_and_said(one: Upper) -> None:
    _without_identity(one)
    one.edit(", existing: false", "")
    with pytest.raises(ConfigError, match="cluster plain has no Workload Identity"):
        one.up()
