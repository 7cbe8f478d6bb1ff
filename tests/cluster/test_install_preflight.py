"""What ``install`` finds in the way, all of it at once, before it changes anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylib.errors import InstallError
from pylib.install.install import Options, install_release
from pylib.kube import Body, Kube
from pylib.release import release_of_values
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.wait import until
from tests.cluster.installing import CONTEXT, SCALED, SHM, Installer, add_kind, codes, remove_kind
from tests.cluster.release import (
    NAME,
    TWO_CELLS,
    Helm,
    claim_name,
    deployment,
    volume_name,
    write_values,
)


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
    version = "monitoring.googleapis.com/v1"
    kept = remove_kind(bed)
    fresh = Kube.connect(bed.kubeconfig)
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
        add_kind(bed, kept)


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
