"""``up`` while Google Cloud refuses, runs short, loses answers or is changed by others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylib.cloud.faults import CallError, Kind
from pylib.cloud.pools import Policy
from pylib.emulator import Fault, operations
from pylib.errors import ConfigError, ProvisionError, VfsError
from pylib.lock import lock_path
from tests.cloud.emulated import Raw
from tests.cloud.upping import PROJECT, Upper, upper

POOL = "vllm-l4"
CREATE = "container.nodePools.create"
INSERT = "compute.disks.insert"
OFF = frozenset({"containerfilesystem.googleapis.com"})


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an emulated project in which both images are baked."""
    folder = tmp_path_factory.mktemp("baked")
    with upper(folder, disabled_services=OFF) as found:
        found.bake()
    return folder


@pytest.fixture
def one(baked: Path, tmp_path: Path, installed: list[Any]) -> Iterator[Upper]:
    """A copy of it."""
    shutil.copytree(baked, tmp_path, dirs_exist_ok=True, copy_function=_copy)
    with upper(tmp_path, again=True, disabled_services=OFF) as found:
        yield found


def _copy(source: str, target: str) -> None:
    """An image's blocks, which never change, are not worth a copy."""
    if Path(source).parent.name == "blocks":
        os.link(source, target)
    else:
        shutil.copy(source, target)


def _refused(one: Upper, kind: type[VfsError], **wishes: Any) -> str:
    with pytest.raises(kind) as caught:
        one.up(**wishes)
    return str(caught.value)


def _ends_well(one: Upper, **wishes: Any) -> None:
    """The same command ends, there is one of each, and nothing is left to do."""
    one.up(**wishes)
    assert one.plan(**wishes) == []
    assert one.made("nodePools") == [POOL]
    assert len(one.made("disks")) == 1
    assert _pool(one).status == "RUNNING"


def _pool(one: Upper) -> Any:
    [pool] = one.cloud.pools("us-central1", "vllm-cluster")
    return pool


@pytest.mark.fault("C14")
def test_more_nodes_than_may_read_one_disk_are_refused(one: Upper) -> None:
    one.edit("maxNodes: 5", "maxNodes: 101")
    before = one.changes()
    said = _refused(one, ConfigError)
    assert "cells[0].maxNodes: 101 nodes are more than may read one pd-ssd at a time" in said
    assert "Write at most 100" in said
    assert one.changes() == before


def test_a_zone_without_the_machine_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with upper(tmp_path) as one:
        path = r"GET .*/zones/us-central1-[ab]/machineTypes/g2-standard-24"
        fault = Fault(
            path, "status", times=0, status=404, reason="notFound", message="no such type"
        )
        one.emulator.faults.add(fault)
        before = one.changes()
        said = _refused(one, ConfigError)
        assert "cells[0].zone: zone us-central1-a has no g2-standard-24" in said
        assert "Write one of us-central1-c." in said
        assert one.changes() == before
        assert not lock_path(one.file).exists()


@pytest.mark.fault("B9", "B32")
def test_a_pool_that_quota_stops_is_made_anew_when_there_is_enough(one: Upper) -> None:
    one.emulator.change(quotas={"us-central1/NVIDIA_L4_GPUS": 1})
    said = _refused(one, ProvisionError)
    assert f"{POOL} of cluster vllm-cluster in us-central1 is RUNNING_WITH_ERROR" in said
    assert "Quota 'NVIDIA_L4_GPUS' exceeded" in said
    assert one.plan()[0].startswith(f"replace node pool {POOL}: RUNNING_WITH_ERROR: Quota")
    one.emulator.change(quotas={})
    _ends_well(one)


SHORT = "Insufficient regional quota to satisfy request: resource 'NVIDIA_L4_GPUS' is short '2.0'."


@pytest.mark.fault("B9")
def test_quota_that_is_short_at_once_is_no_missing_permission(one: Upper) -> None:
    fault = Fault(CREATE, "status", status=403, reason="forbidden", message=SHORT)
    one.emulator.faults.add(fault)
    assert "https://console.cloud.google.com/iam-admin/quotas" in _refused(one, CallError)
    assert one.made("nodePools") == []
    _ends_well(one)


STOCKOUT = "GCE_STOCKOUT: Instance 'gke-vllm-1' creation failed: the zone has not enough resources"


@pytest.mark.fault("B10", "B32")
def test_a_pool_without_nodes_is_made_anew_when_the_zone_has_some(one: Upper) -> None:
    one.emulator.faults.add(Fault(CREATE, "operation-error", message=STOCKOUT))
    said = _refused(one, ProvisionError)
    assert STOCKOUT in said
    assert "run the same command again" in said
    _ends_well(one)


def test_a_pool_that_stays_in_error_is_said_each_time(one: Upper) -> None:
    one.emulator.faults.add(Fault(CREATE, "operation-error", message=STOCKOUT, times=0))
    for _ in range(2):
        assert STOCKOUT in _refused(one, ProvisionError)
    one.emulator.faults.clear()
    fault = Fault("container.nodePools.delete", "operation-error", message="nodes do not go")
    one.emulator.faults.add(fault)
    assert "nodePools.delete vllm-l4: nodes do not go" in _refused(one, CallError)
    _ends_well(one)


@pytest.mark.fault("B7")
def test_an_operation_without_end_is_waited_for_so_long_and_taken_up(one: Upper) -> None:
    one.emulator.faults.add(Fault(CREATE, "operation-stuck"))
    start = one.cloud.clock.monotonic()
    assert f"{POOL} of cluster vllm-cluster in us-central1 is still PROVISIONING" in _refused(
        one, ProvisionError
    )
    assert one.cloud.clock.monotonic() - start < 2 * 3600
    assert "is still PROVISIONING" in _refused(one, ProvisionError)
    _let_go(one)
    _ends_well(one)
    assert len(one.emulator.journal(CREATE)) == 1


def _let_go(one: Upper) -> None:
    """What a fault held ends."""
    world = one.emulator.world
    held = [ref for ref, doc in world.store.find("operations").items() if doc.get("_stuck")]
    with world.store.transaction():
        for ref in held:
            operations.release(world, ref)
    world.clock.sleep(0)


def test_a_pool_that_is_being_deleted_is_waited_for_and_made_anew(one: Upper) -> None:
    one.up()
    one.emulator.change(delays={"container.nodePools.delete": (1, 300)})
    path = "/v1/projects/my-project/locations/us-central1/clusters/vllm-cluster/nodePools"
    Raw(one.emulator.url).send("DELETE", f"{path}/{POOL}")
    why = "the one of that name is being deleted"
    assert one.plan() == [f"create  node pool {POOL}: {why}"]
    _ends_well(one)
    assert len(one.emulator.journal(CREATE)) == 2


@pytest.mark.parametrize(
    ("permission", "left"),
    [
        ("container.clusters.update", []),
        ("compute.disks.create", [POOL]),
        ("resourcemanager.projects.setIamPolicy", []),
        ("serviceusage.services.enable", []),
    ],
)
def test_a_permission_that_is_missing_is_named_and_the_rest_goes_on_with_it(
    one: Upper, permission: str, left: list[str]
) -> None:
    one.emulator.change(denied=frozenset({permission}))
    assert permission in _refused(one, CallError)
    assert one.made("nodePools") == left
    assert one.made("disks") == []
    one.emulator.change(denied=frozenset())
    _ends_well(one)


@pytest.mark.fault("B18")
@pytest.mark.parametrize("method", [CREATE, INSERT, "container.operations.get"])
def test_credentials_that_end_on_the_way_are_said(one: Upper, method: str) -> None:
    fault = Fault(method, "status", times=0, status=401, reason="authError", message="Invalid")
    one.emulator.faults.add(fault)
    assert "gcloud auth application-default login" in _refused(one, CallError)
    one.emulator.faults.clear()
    _ends_well(one)
    assert len(one.emulator.journal(CREATE)) <= 2


CONDITION = {
    "title": "for a while",
    "expression": "request.time < timestamp('2030-01-01T00:00:00Z')",
}
BOB = {"role": "roles/viewer", "members": ["user:bob@example.com"]}
ANN = {"role": "roles/viewer", "members": ["user:ann@example.com"], "condition": CONDITION}


@pytest.mark.fault("B33")
def test_a_policy_that_somebody_else_changes_meanwhile_keeps_both(
    one: Upper, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = f"bake@{PROJECT}.iam.gserviceaccount.com"
    real, crossed = one.cloud.set_policy, set[str]()

    def cross(holder: Any, name: str, policy: Policy) -> None:
        if name not in crossed:
            crossed.add(name)
            now = one.cloud.policy(holder, name)
            real(holder, name, Policy((*now.bindings, BOB, ANN), now.etag))
        real(holder, name, policy)

    monkeypatch.setattr(one.cloud, "set_policy", cross)
    _ends_well(one, bake={"service_account": account})
    assert crossed == {PROJECT, "my-models"}
    for holder, name in (("project", PROJECT), ("bucket", "my-models")):
        bindings = one.cloud.policy(holder, name).bindings  # type: ignore[arg-type]
        assert BOB in bindings
        assert ANN in bindings
        assert len(bindings) == 3


LOST = [
    *((CREATE, action) for action in ("drop-before", "drop-after", "hang", "status-after")),
    (INSERT, "drop-after"),
    ("cloudresourcemanager.projects.setIamPolicy", "drop-after"),
    ("storage.buckets.setIamPolicy", "drop-after"),
    ("serviceusage.services.enable", "drop-after"),
    ("storage.buckets.insert", "drop-after"),
]


@pytest.mark.fault("B2", "B5")
@pytest.mark.parametrize(("method", "action"), LOST)
def test_an_answer_that_is_lost_makes_one_of_each(one: Upper, method: str, action: str) -> None:
    account = f"bake@{PROJECT}.iam.gserviceaccount.com"
    one.emulator.faults.add(Fault(method, action, seconds=0.1))
    _ends_well(one, log_bucket="bake-logs", bake={"service_account": account})
    assert one.cloud.has_bucket("bake-logs")
    assert [fault.action for fault, _ in one.emulator.faults.fired] == [action]
    for holder, name in (("project", PROJECT), ("bucket", "my-models")):
        [binding] = one.cloud.policy(holder, name).bindings  # type: ignore[arg-type]
        assert len(binding["members"]) == 1


def test_a_call_that_is_never_answered_ends_as_one_of_unknown_effect(one: Upper) -> None:
    one.emulator.faults.add(Fault(INSERT, "drop-before", times=0))
    with pytest.raises(CallError) as caught:
        one.up()
    assert caught.value.kind is Kind.UNKNOWN
    one.emulator.faults.clear()
    _ends_well(one)
