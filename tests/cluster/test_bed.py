"""The control plane itself: it works, it ends, and it leaves nothing, however its owner ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pylib.errors import KubeError
from pylib.kube import Kube
from tests.cluster.bed.bed import ROOT, Bed
from tests.cluster.bed.wait import TooLateError, until


@pytest.fixture
def other(bed: Bed, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A second control plane in a process of its own, and the folder that it lives in."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.bed", "up"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        yield process, Path(line.partition("=")[2].strip()).parent
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def processes_of(folder: Path) -> list[tuple[int, str]]:
    """Number and command line of each running process that names the folder."""
    found: list[tuple[int, str]] = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended since
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(folder) in words:
                found.append((int(entry.name), words))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["asked", "killed"])
def test_nothing_is_left_when_the_owner_ends(
    other: tuple[subprocess.Popen[str], Path], number: signal.Signals
) -> None:
    process, folder = other
    assert len(processes_of(folder)) >= 5
    process.send_signal(number)
    process.wait(timeout=60)
    until(lambda: not processes_of(folder), 30, "all processes have ended")
    until(lambda: not folder.exists(), 30, "the folder is gone")


def test_nothing_is_left_when_owner_and_keeper_are_killed(
    other: tuple[subprocess.Popen[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, folder = other
    [keeper] = [number for number, words in processes_of(folder) if "keeper.py" in words]
    os.kill(keeper, signal.SIGKILL)
    process.kill()
    process.wait()
    until(lambda: not processes_of(folder), 30, "the kernel has ended all processes")
    assert folder.exists()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Bed():
        assert not folder.exists(), "the next control plane removes what the killed one left"


def test_a_restarted_api_server_keeps_its_objects_and_clients_wait_for_it(
    bed: Bed, namespace: str
) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
    bed.kube.create({**body, "metadata": {"name": "a", "namespace": namespace}})
    bed.restart("kube-apiserver")
    found = bed.kube.get("v1", "ConfigMap", "a", namespace)
    assert found is not None
    assert found["data"] == {"k": "v"}


def test_controllers_and_kwok_work_soon_after_an_outage(bed: Bed, namespace: str) -> None:
    bed.add_node("old", zone="us-central1-a", pool="l4")
    before = until(lambda: _holder(bed, "old"), 10, "kwok holds the node's lease")
    bed.stop("kube-apiserver", 0)
    time.sleep(10)
    bed.restart("kube-apiserver")
    bed.kube.delete("v1", "ServiceAccount", "default", namespace)
    until(lambda: bed.kube.get("v1", "ServiceAccount", "default", namespace), 10, "made again")
    bed.add_node("new", zone="us-central1-a", pool="l4")
    until(lambda: _holder(bed, "old") not in {None, before}, 10, "kwok plays the old node again")


def _holder(bed: Bed, node: str) -> str | None:
    lease = bed.kube.get("coordination.k8s.io/v1", "Lease", node, "kube-node-lease") or {}
    holder: str | None = lease.get("spec", {}).get("holderIdentity")
    return holder


def test_a_pod_lands_on_a_node_of_its_pool_and_becomes_ready_after_its_time(
    bed: Bed, namespace: str
) -> None:
    bed.add_node("gpu", zone="us-central1-a", pool="l4")
    bed.add_node("cpu", zone="us-central1-a", pool="default", gpus=0)
    bed.stages.ready_after("slow", 3.0)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": namespace, "labels": {"cell": "slow"}},
        "spec": {
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            "nodeSelector": {"cloud.google.com/gke-nodepool": "l4"},
            "containers": [{"name": "c", "image": "example.com/c:1"}],
        },
    }
    created = bed.kube.create(pod)
    states = []
    since: dict[str, datetime] = {}
    # Watched from its creation on: a look now and then may miss a state when the machine is busy.
    version = created["metadata"]["resourceVersion"]
    for _, found in bed.kube.watch("v1", "Pod", namespace, seconds=20, resource_version=version):
        conditions = {c["type"]: c for c in found["status"].get("conditions", [])}
        ready = conditions.get("Ready", {})
        states.append((found["spec"].get("nodeName"), ready.get("status")))
        if ready.get("status") is not None:
            since.setdefault(ready["status"], datetime.fromisoformat(ready["lastTransitionTime"]))
        if ready.get("status") == "True":
            break
    assert ("gpu", "False") in states
    assert states[-1] == ("gpu", "True")
    # The API server's times are whole seconds: one less than the delay may be seen, not two.
    assert since["True"] - since["False"] >= timedelta(seconds=2)


def test_a_claim_of_the_default_class_gets_a_volume_in_the_pods_zone_and_loses_it_with_the_claim(
    bed: Bed, namespace: str
) -> None:
    bed.add_node("n", zone="us-central1-b", pool="p", gpus=0)
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "example.com/c:1"}], "volumes": [volume]},
    }
    bed.kube.create(claim)
    bed.kube.create(pod)

    def bound() -> str:
        found = bed.kube.get("v1", "PersistentVolumeClaim", "data", namespace) or {}
        is_bound = found.get("status", {}).get("phase") == "Bound"
        return str(found["spec"]["volumeName"]) if is_bound else ""

    name = until(bound, 30, "the claim is bound")
    made = bed.kube.get("v1", "PersistentVolume", name)
    assert made is not None
    assert made["spec"]["csi"]["volumeHandle"].startswith("projects/my-project/zones/us-central1-b")
    bed.kube.delete("v1", "Pod", "p", namespace)
    bed.kube.delete("v1", "PersistentVolumeClaim", "data", namespace)
    until(lambda: bed.kube.get("v1", "PersistentVolume", name) is None, 30, "the volume is gone")


def test_custom_resources_of_gke_are_checked_by_the_server(bed: Bed, namespace: str) -> None:
    monitoring = {
        "apiVersion": "monitoring.googleapis.com/v1",
        "kind": "PodMonitoring",
        "metadata": {"name": "m", "namespace": namespace},
        "spec": {"selector": {}, "endpoints": [{"interval": "15s"}]},
    }
    with pytest.raises(KubeError, match=r"spec\.endpoints\[0\]\.port: Required value") as caught:
        bed.kube.create(monitoring)
    assert caught.value.status == 422


def test_a_wait_that_is_too_long_says_for_what_and_what_there_was() -> None:
    with pytest.raises(TooLateError, match=r"the moon is blue: not within 0 s; last: ''"):
        until(lambda: "", 0, "the moon is blue")


def test_absent_refused_and_unreachable_are_three_answers(
    bed: Bed, namespace: str, tmp_path: Path
) -> None:
    assert bed.kube.get("v1", "ConfigMap", "absent", namespace) is None
    assert bed.kube.list("example.com/v1", "Unknown", namespace) == []
    assert not bed.kube.delete("v1", "ConfigMap", "absent", namespace)
    bad = {"name": "_", "namespace": namespace}
    with pytest.raises(KubeError, match=r"create ConfigMap/_: .*Invalid value") as refused:
        bed.kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": bad})
    assert (refused.value.status, refused.value.reason) == (422, "Invalid")
    text = bed.kubeconfig.read_text(encoding="utf-8")
    elsewhere = tmp_path / "kubeconfig"
    elsewhere.write_text(text.replace(str(bed.ports.api), "1"), encoding="utf-8")
    with pytest.raises(KubeError, match=r"cannot be reached: .*refused") as away:
        Kube.connect(elsewhere).version()
    assert away.value.reason == "Unreachable"
