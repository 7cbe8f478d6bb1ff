"""``install`` on a real API server: ready, again, checked, interrupted, mended."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pylib.errors import InstallError
from pylib.install import recover
from pylib.install.install import Installed, Options, install_release
from pylib.kube import Body, Kube
from pylib.release import release_of_values
from tests.cluster.bed.bed import ROOT, Bed
from tests.cluster.bed.wait import until
from tests.cluster.release import (
    NAME,
    POOL,
    SECONDS,
    TWO_CELLS,
    ZONE_A,
    ZONE_B,
    Helm,
    cell,
    claim_name,
    deployment,
    pods,
    static_claim,
    volume_name,
    wait_ready,
    write_values,
)

NOTHING = "nothing to change: revision 1 is what"
CONTEXT = "gke_my-project_us-central1_vllm-cluster"
SCALED: dict[str, Any] = {"autoscaling": {"enabled": True}}
SHM: dict[str, Any] = {"server": {"shmSizeGiB": 2}}
"""A change that replaces every pod."""


@dataclass
class Installer:
    """Runs the library's install, and keeps what it said."""

    bed: Bed
    namespace: str
    folder: Path
    said: list[str] = field(default_factory=list)

    def __call__(self, over: dict[str, Any] | None = None, **options: Any) -> Installed:
        base = options.pop("base", None)
        named = {"base": base} if base else {}
        values = write_values(self.folder, over, **named)
        release = release_of_values(values, NAME, self.namespace)
        self.said.clear()
        return install_release(
            release,
            self.bed.kube,
            kubeconfig=self.bed.kubeconfig,
            options=Options(**{"timeout": SECONDS, **options}),
            say=self.said.append,
        )

    def refused(self, over: dict[str, Any] | None = None, **options: Any) -> str:
        """The message of an install that must not succeed."""
        with pytest.raises(InstallError) as caught:
            self(over, **options)
        assert caught.value.exit_code == 8
        return str(caught.value)


@pytest.fixture
def install(bed: Bed, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    """Helm 4, unless the test says another."""
    monkeypatch.setenv("VFS_HELM", str(ROOT / ".tools" / "bin" / "helm"))
    return Installer(bed, namespace, tmp_path)


@pytest.fixture
def nodes(bed: Bed) -> None:
    """Two nodes of cell ``a``."""
    for name in ("gpu-1", "gpu-2"):
        bed.add_node(name, zone=ZONE_A, pool=POOL)


def codes(message: str) -> list[str]:
    """The code of each error in a refusal."""
    return [line.split()[1] for line in message.splitlines() if line.startswith("error ")]


def test_the_release_gets_ready_and_a_second_run_changes_nothing(
    install: Installer, kube: Kube, any_helm: Path, nodes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFS_HELM", str(any_helm))
    first = install(SCALED)
    assert (first.revision, first.changed, first.ready) == (1, True, True)
    assert f"Deployment/{install.namespace}/v-a" in first.changes.create
    assert install.said[-1] == "release v is ready, revision 1"
    assert any(line.endswith("Deployment/v-a: 1 of 1 ready") for line in install.said)
    assert json.loads(json.dumps(first.notes)).startswith("vLLM")

    before = deployment(kube, install.namespace)["metadata"]["resourceVersion"]
    again = install(SCALED)
    assert (again.revision, again.changed, again.ready) == (1, False, True)
    assert again.changes.none
    assert any(line.startswith(NOTHING) for line in install.said)
    assert deployment(kube, install.namespace)["metadata"]["resourceVersion"] == before


def test_what_somebody_changed_or_deleted_in_the_cluster_is_put_right(
    install: Installer, kube: Kube, nodes: None
) -> None:
    install()
    place = install.namespace
    kube.delete("v1", "Service", NAME, place)
    kube.patch("v1", "ConfigMap", "v-scripts", place, {"data": {"check_weights.py": ""}})
    mended = install(force_conflicts=True)
    assert mended.changes.create == (f"Service/{place}/v",)
    assert mended.changes.change == (f"ConfigMap/{place}/v-scripts",)
    assert kube.get("v1", "Service", NAME, place) is not None
    assert install().changes.none


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    install: Installer, kube: Kube, nodes: None
) -> None:
    place = install.namespace
    install()
    dry = install(SHM, dry_run=True)
    assert dry.changes.change == (f"Deployment/{place}/v-a",)
    assert (dry.changed, dry.ready, dry.revision) == (False, None, 1)
    assert f"  change Deployment/{place}/v-a" in install.said
    fewer = install({"serviceAccount": {"create": False}}, dry_run=True)
    assert fewer.changes.delete == (f"ServiceAccount/{place}/v",)
    assert deployment(kube, place)["metadata"]["generation"] == 1


def test_nothing_is_changed_unless_confirmed(install: Installer, kube: Kube, nodes: None) -> None:
    release = release_of_values(write_values(install.folder), NAME, install.namespace)
    with pytest.raises(InstallError, match=r"^not confirmed; nothing was changed$"):
        install_release(release, kube, kubeconfig=install.bed.kubeconfig, confirm=lambda _: False)
    assert deployment(kube, install.namespace) == {}


# --- what is in the way -------------------------------------------------------------------------


def limits(kind: str, namespace: str, spec: dict[str, Any]) -> Body:
    """A ResourceQuota or a LimitRange called ``team``."""
    meta = {"name": "team", "namespace": namespace}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": spec}


def secret(namespace: str, name: str, **data: str) -> Body:
    """A Secret with these keys."""
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data}


def thing(namespace: str) -> Body:
    """An object of a kind that no cluster has."""
    meta = {"name": "t", "namespace": namespace}
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": meta}


def test_all_problems_are_found_at_once_and_nothing_is_changed(
    install: Installer, kube: Kube
) -> None:
    place = install.namespace
    kube.create(
        limits("LimitRange", place, {"limits": [{"type": "Container", "max": {"cpu": "9"}}]})
    )
    kube.patch(
        "v1",
        "Namespace",
        place,
        None,
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
    )
    meta = {"name": NAME, "namespace": place}
    kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    privileged = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "root", "namespace": place},
        "spec": {
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "c", "image": "example.com/c:1"}],
                }
            }
        },
    }
    said = install.refused(
        {
            "extraObjects": [thing(place), privileged],
            "server": {"apiKey": {"secretName": "key"}},
            "priorityClassName": "absent",
            **SCALED,
        }
    )
    assert said.splitlines()[0] == (
        f"the cluster of context {CONTEXT} cannot take release v in namespace {place}: "
        "5 problems. Nothing was changed."
    )
    assert sorted(codes(said)) == [
        "kind-not-served",
        "not-ours",
        "pod-security",
        "priority-class-missing",
        "secret-missing",
    ]
    assert (
        "error kind-not-served Thing/example.com/v1: the cluster has no such kind, and the release "
        "has t\n    next: take it out of the release, or install what defines example.com/v1"
    ) in said
    assert 'would be refused: violates PodSecurity "restricted:latest": allowPrivilegeEscal' in said
    assert "warning node-selector-unmatched" in said
    assert "warning metrics-api-missing" in said
    assert deployment(kube, place) == {}
    assert kube.list("v1", "Secret", place) == []


def test_no_namespace_is_a_problem_unless_it_may_be_made(
    install: Installer, kube: Kube, nodes: None
) -> None:
    install.namespace = f"{install.namespace}-2"
    try:
        said = install.refused()
        assert (
            f"error namespace-missing Namespace/{install.namespace}: does not exist\n"
            "    next: add --create-namespace, or run: "
            f"kubectl --context {CONTEXT} create namespace {install.namespace}"
        ) in said
        assert install(create_namespace=True).ready
    finally:
        kube.delete("v1", "Namespace", install.namespace)
        volume = volume_name(install.namespace)
        kube.delete("v1", "PersistentVolume", volume)


def test_a_cluster_without_managed_prometheus_is_told_with_both_ways_out(
    install: Installer, bed: Bed, nodes: None
) -> None:
    version, plural = "monitoring.googleapis.com/v1", "podmonitorings.monitoring.googleapis.com"
    kind = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    kept = bed.kube.get(*kind, plural) or {}
    bed.kube.delete(*kind, plural)
    fresh = Kube.connect(bed.kubeconfig)
    until(lambda: not Kube.connect(bed.kubeconfig).serves(version, "PodMonitoring"), 30, "it went")
    try:
        release = release_of_values(write_values(install.folder), NAME, install.namespace)
        with pytest.raises(InstallError) as caught:
            install_release(release, fresh, kubeconfig=bed.kubeconfig)
        assert (
            f"error kind-not-served PodMonitoring/{version}: the cluster has no such kind, and the "
            "release has v\n    next: set monitoring.enabled: false in the config (chart: "
            "monitoring.podMonitoring.enabled), or run: gcloud container clusters update "
            "vllm-cluster --location=us-central1 --project=my-project --enable-managed-prometheus"
        ) in str(caught.value)
        without = {"monitoring": {"podMonitoring": {"enabled": False}}}
        values = write_values(install.folder, without)
        options = Options(dry_run=True)
        release = release_of_values(values, NAME, install.namespace)
        dry = install_release(release, fresh, kubeconfig=bed.kubeconfig, options=options)
        assert dry.causes == ()
    finally:
        meta = {"name": plural, "annotations": kept["metadata"]["annotations"]}
        bed.kube.create({**kept, "metadata": meta})
        until(
            lambda: Kube.connect(bed.kubeconfig).serves(version, "PodMonitoring"), 30, "it is back"
        )


def test_a_restricted_namespace_takes_the_chart_as_it_is(
    install: Installer, kube: Kube, nodes: None
) -> None:
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    kube.patch("v1", "Namespace", install.namespace, None, {"metadata": {"labels": label}})
    assert install().ready


def test_a_limit_range_that_the_pods_break_is_told_before_any_pod_is_missed(
    install: Installer, kube: Kube
) -> None:
    most = {"type": "Container", "max": {"memory": "2Gi"}}
    kube.create(limits("LimitRange", install.namespace, {"limits": [most]}))
    said = install.refused()
    assert codes(said) == ["limit-range"]
    assert (
        f"Deployment/{install.namespace}/v-a: its pods would be refused: maximum memory usage per "
        "Container is 2Gi, but limit is 4Gi"
    ) in said


@pytest.mark.parametrize(
    ("hard", "message"),
    [
        (
            {"requests.memory": "3Gi"},
            "its pods would be refused: exceeded quota: team, requested: requests.memory=4Gi, "
            "used: requests.memory=0, limited: requests.memory=3Gi",
        ),
        (
            {"requests.nvidia.com/gpu": "1"},
            "ResourceQuota/team: allows requests.nvidia.com/gpu: 1, of which 0 is used; the least "
            "number of pods of the release needs 2 more",
        ),
    ],
    ids=["one pod", "all pods"],
)
def test_a_quota_without_room_is_told_for_one_pod_and_for_all_together(
    install: Installer, kube: Kube, hard: dict[str, str], message: str
) -> None:
    quota = limits("ResourceQuota", install.namespace, {"hard": hard})
    kube.create(quota)
    name = ("v1", "ResourceQuota", "team", install.namespace)
    until(lambda: (kube.get(*name) or {}).get("status", {}).get("used"), 30, "it is counted")
    said = install.refused(base=TWO_CELLS)
    assert codes(said) == ["quota"]
    assert message in said


def test_a_full_quota_does_not_stop_a_second_run(
    install: Installer, kube: Kube, nodes: None
) -> None:
    quota = limits("ResourceQuota", install.namespace, {"hard": {"pods": "1"}})
    kube.create(quota)
    install()
    name = ("v1", "ResourceQuota", "team", install.namespace)
    until(lambda: (kube.get(*name) or {})["status"]["used"]["pods"] == "1", 30, "it is full")
    assert not install().changed
    assert codes(install.refused(SHM)) == ["quota"]
    recreate = {"server": {"shmSizeGiB": 2}, "strategy": {"type": "Recreate"}}
    kube.delete("v1", "ResourceQuota", "team", install.namespace)
    assert install(recreate).changed


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (None, "secret-missing", "does not exist in namespace"),
        ({"other": "x"}, "secret-missing", "has no key api-key (it has: other)"),
        ({"api-key": ""}, "secret-empty", "holds nothing under api-key"),
    ],
    ids=["absent", "other key", "empty"],
)
def test_a_secret_that_pods_cannot_start_without_is_told(
    install: Installer,
    kube: Kube,
    data: dict[str, str] | None,
    code: str,
    message: str,
) -> None:
    if data is not None:
        kube.create(secret(install.namespace, "key", **data))
    said = install.refused({"server": {"apiKey": {"secretName": "key"}}})
    assert codes(said) == [code]
    assert f"Secret/key: {message}" in said


def test_a_line_end_behind_a_key_is_a_warning_and_a_release_may_bring_its_own_secret(
    install: Installer, kube: Kube, nodes: None
) -> None:
    place = install.namespace
    values = {"server": {"apiKey": {"secretName": "key"}}}
    own = install(
        {**values, "extraObjects": [secret(place, "key", **{"api-key": "k"})]}, dry_run=True
    )
    assert own.causes == ()
    kube.create(secret(place, "key", **{"api-key": "k\n"}))
    dry = install(values, dry_run=True)
    assert [cause.code for cause in dry.causes] == ["secret-newline"]


def test_an_object_of_another_release_is_not_touched(
    install: Installer, bed: Bed, kube: Kube, helm: Path, nodes: None
) -> None:
    place = install.namespace
    Helm(helm, bed).install(
        "other", place, write_values(install.folder, {"fullnameOverride": NAME})
    )
    said = install.refused()
    assert set(codes(said)) == {"not-ours"}
    assert (
        f"error not-ours NetworkPolicy/{place}/v and 8 more objects: exists and belongs to release "
        f"other in namespace {place}; helm changes only what is its release's\n"
        "    next: give the release another name (release.name), or uninstall the other release"
    ) in said


def test_a_field_that_somebody_else_keeps_is_a_problem_that_may_be_forced(
    install: Installer, kube: Kube, nodes: None
) -> None:
    place = install.namespace
    install()
    meta = {"name": "v", "namespace": place}
    other = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"type": "NodePort"}}
    kube.apply(other, manager="kubectl-edit", force=True)
    said = install.refused()
    assert (
        f"error fields-owned-by-others Service/{place}/v: Apply failed with 1 conflict: conflict "
        'with "kubectl-edit": .spec.type\n    next: undo that change, put it into the config, or '
        "add --force-conflicts"
    ) in said
    assert install(force_conflicts=True).changes.change == (f"Service/{place}/v",)
    assert (kube.get("v1", "Service", "v", place) or {})["spec"]["type"] == "ClusterIP"


def test_a_change_that_the_server_never_allows_is_told_before(
    install: Installer, nodes: None
) -> None:
    install()
    said = install.refused({"weights": {"disk": {"sizeGiB": 512}}})
    assert codes(said) == ["refused"]
    assert f"error refused PersistentVolumeClaim/{install.namespace}/{claim_name()}: " in said


# --- volumes ------------------------------------------------------------------------------------


def test_it_installs_again_over_volumes_whose_claims_went_with_their_namespace(
    install: Installer, kube: Kube, nodes: None
) -> None:
    place = install.namespace
    install()
    kube.delete("v1", "Namespace", place)
    until(lambda: kube.get("v1", "Namespace", place) is None, SECONDS, "the namespace is gone")
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}})
    kept = ("v1", "PersistentVolume", volume_name(place))
    until(lambda: (kube.get(*kept) or {})["status"]["phase"] == "Released", SECONDS, "released")
    again = install()
    assert (again.ready, again.revision) == (True, 1)
    assert (
        f"PersistentVolume/{volume_name(place)} was held for a claim that is gone; it is free again"
    ) in install.said
    assert (kube.get(*kept) or {})["status"]["phase"] == "Bound"


def test_it_waits_until_what_an_uninstall_deletes_is_gone(
    install: Installer, bed: Bed, kube: Kube, helm: Path, nodes: None
) -> None:
    place = install.namespace
    install()
    pod = pods(kube, place)[0]["metadata"]["name"]
    kube.patch("v1", "Pod", pod, place, {"metadata": {"finalizers": ["bed/drains"]}})
    Helm(helm, bed).uninstall(NAME, place)
    claim = f"PersistentVolumeClaim/{place}/{claim_name()}"
    said = install.refused(timeout=0.5)
    assert claim in said
    assert "still being deleted after 0 s. Nothing was changed." in said

    drained = threading.Timer(
        1, kube.patch, ("v1", "Pod", pod, place, {"metadata": {"finalizers": None}})
    )
    drained.start()
    try:
        assert install().ready
    finally:
        drained.join()
    assert install.said[0].startswith("waits until what was deleted is gone: ")


def test_a_volume_that_another_claim_holds_is_told(install: Installer, kube: Kube) -> None:
    place = install.namespace
    name = volume_name(place)
    static_claim(kube, place, "theirs", ZONE_A, mode="ReadOnlyMany")
    marks = {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "meta.helm.sh/release-name": NAME,
            "meta.helm.sh/release-namespace": place,
        },
    }
    theirs = kube.get("v1", "PersistentVolume", f"{place}-theirs") or {}
    spec = {**theirs["spec"], "claimRef": {"namespace": place, "name": "theirs-2"}}
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, **marks},
            "spec": spec,
        }
    )
    said = install.refused()
    assert "volume-of-another-claim" in codes(said)
    assert (
        f"PersistentVolume/{name}: is held by claim {place}/theirs-2, and the release wants it for "
        f"claim {place}/{claim_name()}"
    ) in said


# --- sizes --------------------------------------------------------------------------------------


def test_pods_are_not_lost_when_an_autoscaler_takes_over_and_give_way_to_a_fixed_number(
    install: Installer, kube: Kube, nodes: None
) -> None:
    place = install.namespace

    def size() -> int:
        return int(deployment(kube, place)["spec"]["replicas"])

    install({"cells": [cell(replicas=3)]}, wait=False)
    assert size() == 3
    install(SCALED, wait=False)
    assert size() == 3
    assert not install(SCALED, wait=False).changed
    patch = {"spec": {"replicas": 2}}
    kube.patch("apps/v1", "Deployment", "v-a", place, patch, subresource="scale")
    install({**SCALED, **SHM}, wait=False)
    assert size() == 2
    assert install({"cells": [cell(replicas=1)]}, wait=False).changes.resized
    assert size() == 1


# --- interrupted --------------------------------------------------------------------------------


def killed_upgrade(install: Installer, helm: Path, over: dict[str, Any]) -> None:
    """A helm that was killed in the middle of an upgrade."""
    tool, place = Helm(helm, install.bed), install.namespace
    values = write_values(install.folder, over)

    def pending() -> bool:
        return tool.states(NAME, place)[-1] == "pending-upgrade"

    never = "--wait", "--timeout=5m"
    install.bed.stages.never_ready("a")
    tool.killed("upgrade", NAME, place, values, *never, when=pending)
    install.bed.stages.reset()


def test_an_upgrade_whose_helm_was_killed_is_rolled_back_and_then_done(
    install: Installer, kube: Kube, any_helm: Path, nodes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFS_HELM", str(any_helm))
    place = install.namespace
    install()
    killed_upgrade(install, any_helm, {"server": {"shmSizeGiB": 2, "port": 9000}})

    busy = install.refused({"server": {"shmSizeGiB": 3}}, timeout=1)
    assert "revision 2 of release v is pending-upgrade since " in busy
    assert install.said[-1].endswith("--take-over goes on at once, if you know that none is")
    done = install({"server": {"shmSizeGiB": 3}}, take_over=True)
    assert (done.ready, done.revision) == (True, 4)
    assert (
        "revision 2 was left pending-upgrade by an interrupted run; it is rolled back to revision 1"
    ) in install.said
    states = Helm(any_helm, install.bed).states(NAME, place)
    assert states == ["superseded", "pending-upgrade", "superseded", "deployed"]


def test_an_old_pending_revision_is_completed_when_it_is_what_is_wanted(
    install: Installer, kube: Kube, helm: Path, nodes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    wanted = SHM
    killed_upgrade(install, helm, wanted)
    monkeypatch.setattr(recover, "INTERRUPTED_SECONDS", 0.0)
    done = install(wanted)
    assert (done.ready, done.revision, done.changed) == (True, 3, False)
    assert (
        "revision 2 was left pending-upgrade by an interrupted run; it is completed"
    ) in install.said


def test_a_first_install_whose_helm_was_killed_is_completed(
    install: Installer, bed: Bed, any_helm: Path, nodes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFS_HELM", str(any_helm))
    tool, values = Helm(any_helm, bed), write_values(install.folder)
    bed.stages.never_ready("a")

    def pending() -> bool:
        found = bed.kube.list("v1", "Secret", install.namespace, labels="owner=helm")
        return any(s["metadata"]["labels"]["status"] == "pending-install" for s in found)

    tool.killed("install", NAME, install.namespace, values, "--wait", when=pending)
    bed.stages.reset()
    done = install(take_over=True)
    assert (done.ready, done.revision) == (True, 2)
    assert tool.states(NAME, install.namespace)[-1] == "deployed"


def test_an_uninstall_whose_helm_was_killed_is_finished_first(
    install: Installer, bed: Bed, kube: Kube, helm: Path, nodes: None
) -> None:
    install()
    tool = Helm(helm, bed)
    pod = pods(kube, install.namespace)[0]["metadata"]["name"]
    patch = {"metadata": {"finalizers": ["bed/drains"]}}
    kube.patch("v1", "Pod", pod, install.namespace, patch)
    words = ["uninstall", NAME, "--namespace", install.namespace, "--wait", "--timeout=5m"]
    process = subprocess.Popen(
        [str(helm), *words], env={**os.environ, **tool.settings()}, stdout=subprocess.DEVNULL
    )
    try:
        until(
            lambda: tool.states(NAME, install.namespace)[-1] == "uninstalling",
            30,
            "it is under way",
        )
    finally:
        process.kill()
        process.wait()
    kube.patch("v1", "Pod", pod, install.namespace, {"metadata": {"finalizers": None}})
    done = install(take_over=True)
    assert (done.ready, done.revision) == (True, 1)
    assert "an uninstall of release v was interrupted; it is finished first" in install.said


CONFIG = """\
version: 1
project: my-project
region: us-central1
cluster: {{name: vllm-cluster}}
release: {{name: v, namespace: {namespace}}}
model: {{source: hf://google/gemma-7b, sizeGiB: 16}}
weights: {{kind: none, sizeGiB: 20}}
imageCache: {{enabled: false}}
cells:
  - name: a
    zone: us-central1-a
    nodePool: {{name: vllm-l4}}
    machineType: g2-standard-24
    accelerator: {{type: nvidia-l4, count: 2}}
serving: {{vllmVersion: "0.33.0"}}
autoscaling: {{enabled: false}}
"""


@pytest.fixture
def slow_helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A helm that, at an upgrade, waits in the middle until the file ``go`` is there, once."""
    return wrapped(
        tmp_path,
        monkeypatch,
        """
        touch "$folder/began"
        while [ ! -e "$folder/go" ]; do sleep 0.05; done
        """,
    )


def wrapped(folder: Path, monkeypatch: pytest.MonkeyPatch, before: str) -> Path:
    """Helm with a script that runs before its first upgrade; returns the folder of its marks."""
    real = ROOT / ".tools" / "bin" / "helm"
    tool = folder / "bin" / "helm"
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\n"
        f"folder={folder} real={real}\n"
        'if [ "$1" = upgrade ] && [ ! -e "$folder/began" ]; then\n'
        f"{before}\n"
        "fi\n"
        'exec "$real" "$@"\n'
    )
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VFS_HELM", str(tool))
    return folder


@pytest.fixture
def command(
    bed: Bed, namespace: str, tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``python -m pylib install`` with a config, as a process."""
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(namespace=namespace))
    started: list[subprocess.Popen[str]] = []

    def start(*flags: str) -> subprocess.Popen[str]:
        words = ["install", "-f", str(config), "--kubeconfig", str(bed.kubeconfig), *flags]
        process = subprocess.Popen(
            [sys.executable, "-m", "pylib", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_the_command_installs_and_says_where(
    command: Callable[..., subprocess.Popen[str]], bed: Bed, namespace: str, nodes: None
) -> None:
    process = command("--yes", "--timeout", "60")
    said, _ = process.communicate(timeout=90)
    assert process.returncode == 0, said
    assert (
        f"release v goes to context {CONTEXT}, {bed.kube.server}, namespace {namespace}\n" in said
    )
    assert "release v is ready, revision 1\n" in said
    unasked = command()
    said, _ = unasked.communicate(timeout=90)
    assert unasked.returncode == 2
    assert "nobody is at a terminal to confirm the cluster" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_helm_and_the_next_run_goes_on(
    command: Callable[..., subprocess.Popen[str]],
    bed: Bed,
    namespace: str,
    nodes: None,
    number: signal.Signals,
    helm: Path,
) -> None:
    bed.stages.never_ready("a")
    process = command("--yes")
    until(lambda: pods(bed.kube, namespace), SECONDS, "pods are there")
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (
        "interrupted: revision 1 of release v is deployed. Run the same command again: it goes on "
        "from there.\n"
    ) in said
    bed.stages.reset()
    again = command("--yes", "--timeout", "60")
    said, _ = again.communicate(timeout=90)
    assert again.returncode == 0, said
    wait_ready(bed.kube, namespace)


def test_a_run_that_was_killed_is_taken_up_by_the_next(
    command: Callable[..., subprocess.Popen[str]],
    bed: Bed,
    namespace: str,
    nodes: None,
    slow_helm: Path,
) -> None:
    first = command("--yes")
    until((slow_helm / "began").exists, SECONDS, "helm runs")
    first.kill()
    first.communicate(timeout=30)
    (slow_helm / "go").touch()  # the helm that it left behind ends its work
    second = command("--yes", "--timeout", "60")
    said, _ = second.communicate(timeout=90)
    assert second.returncode == 0, said
    wait_ready(bed.kube, namespace)


def test_ctrl_c_in_the_middle_of_helm_leaves_a_failed_revision_that_the_next_run_mends(
    command: Callable[..., subprocess.Popen[str]],
    bed: Bed,
    namespace: str,
    nodes: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bed.stages.never_ready("a")
    folder = wrapped(
        tmp_path, monkeypatch, 'touch "$folder/began"; exec "$real" "$@" --wait --timeout=5m'
    )
    process = command("--yes")
    until(lambda: pods(bed.kube, namespace), SECONDS, "helm has made the Deployment and waits")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: revision 1 of release v is failed. Run the same command again" in said
    assert (folder / "began").exists()
    bed.stages.reset()
    again = command("--yes", "--timeout", "60")
    said, _ = again.communicate(timeout=90)
    assert again.returncode == 0, said


# --- the server goes away -----------------------------------------------------------------------


def test_helm_runs_again_when_the_api_server_was_away_for_it(
    install: Installer,
    bed: Bed,
    nodes: None,
    slow_helm: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VFS_HELM", str(slow_helm / "bin" / "helm"))

    def away() -> None:
        until((slow_helm / "began").exists, SECONDS, "helm begins")
        bed.stop("kube-apiserver")
        (slow_helm / "go").touch()
        until((slow_helm / "failed").exists, SECONDS, "helm has failed")
        bed.restart("kube-apiserver")

    thread = threading.Thread(target=away)
    said_before = install.said

    class Said(list[str]):
        def append(self, line: str) -> None:
            super().append(line)
            if line.startswith("the API server went away"):
                (slow_helm / "failed").touch()

    install.said = Said(said_before)
    thread.start()
    try:
        done = install()
    finally:
        thread.join()
    assert done.ready
    assert any(line.startswith("the API server went away while helm") for line in install.said)


def test_what_our_own_helm_left_pending_is_mended_without_waiting(
    install: Installer, bed: Bed, nodes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    wrapped(
        tmp_path,
        monkeypatch,
        """
        touch "$folder/began"
        cat >"$folder/values"
        "$real" "$@" --wait --timeout=5m <"$folder/values" >/dev/null 2>&1 & helm=$!
        until "$real" history v -n "$4" --kubeconfig "$KUBECONFIG" | grep -q pending; do :; done
        kill -9 $helm
        echo "Error: UPGRADE FAILED: read tcp: connection reset by peer" >&2
        exit 1
        """.replace("$4", install.namespace),
    )
    monkeypatch.setenv("KUBECONFIG", str(bed.kubeconfig))
    bed.stages.ready_after("a", 3)
    done = install(SHM)
    assert (done.ready, done.revision) == (True, 4)
    assert (
        "revision 2 was left pending-upgrade by an interrupted run; it is completed"
    ) in install.said


def test_the_wait_outlives_a_restart_of_the_api_server(
    install: Installer, bed: Bed, nodes: None
) -> None:
    bed.stages.ready_after("a", 8)
    restart = threading.Timer(2, bed.restart, ("kube-apiserver",))
    restart.start()
    try:
        assert install().ready
    finally:
        restart.join()


# --- not ready ----------------------------------------------------------------------------------


def test_no_node_fits_ends_with_the_cause_at_the_deadline(install: Installer, bed: Bed) -> None:
    bed.add_node("small", zone=ZONE_A, pool=POOL, gpus=0)
    said = install.refused(timeout=4)
    assert said.splitlines()[0] == (
        f"release v in namespace {install.namespace} is not ready after 4 s (the limit is 4 s); it "
        "stays installed, and its pods go on trying:"
    )
    assert "    next: " in said


def test_what_waiting_cannot_mend_ends_the_wait_at_once(
    install: Installer, bed: Bed, kube: Kube
) -> None:
    bed.add_node("gpu-a", zone=ZONE_A, pool=POOL)
    static_claim(kube, install.namespace, "models", ZONE_B, mode="ReadOnlyMany")
    claimed = {"weights": {"kind": "claim", "claim": {"claims": {"a": "models"}}}}
    said = install.refused(claimed, timeout=SECONDS)
    assert "(waiting longer cannot help)" in said
    assert "models" in said
    assert "set the cell's zone to us-central1-b" in said
