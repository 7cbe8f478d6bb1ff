"""A release's life under helm 4 and helm 3: install, test, upgrade, roll back, uninstall, again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylib.kube import Body, Kube
from tests.chart.helmtool import REVISION
from tests.cluster.bed.bed import TOOLS, Bed
from tests.cluster.bed.wait import until
from tests.cluster.release import (
    NAME,
    SECONDS,
    ZONE_A,
    Helm,
    claim_name,
    deployment,
    pods,
    revision,
    uids,
    volume_name,
    wait_ready,
    write_values,
)

WAIT = ("--wait", "--timeout=60s")
NEXT = "7be000000000"
SHM: dict[str, Any] = {"server": {"shmSizeGiB": 2}}
"""A change that replaces every pod."""

_OF_EVERY_NAMESPACE = {("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")}
_KINDS = {
    "v1": ("Pod", "Service", "ConfigMap", "ServiceAccount", "PersistentVolumeClaim", "Secret"),
    "apps/v1": ("Deployment", "ReplicaSet"),
    "autoscaling/v2": ("HorizontalPodAutoscaler",),
    "batch/v1": ("Job",),
    "monitoring.googleapis.com/v1": ("PodMonitoring", "Rules"),
    "networking.k8s.io/v1": ("NetworkPolicy",),
    "policy/v1": ("PodDisruptionBudget",),
}


def left_behind(kube: Kube, namespace: str) -> set[tuple[str, str]]:
    """Kind and name of what is in a namespace."""
    found = {
        (kind, body["metadata"]["name"])
        for version, kinds in _KINDS.items()
        for kind in kinds
        for body in kube.list(version, kind, namespace)
    }
    return found - _OF_EVERY_NAMESPACE


def volume(kube: Kube, namespace: str, name: str = REVISION) -> Body | None:
    """The volume of a revision in cell ``a``."""
    return kube.get("v1", "PersistentVolume", volume_name(namespace, revision=name))


def is_bound(body: Body | None) -> bool:
    """Whether a volume has its claim."""
    return body is not None and body["status"].get("phase") == "Bound"


def held(kube: Kube, namespace: str) -> str:
    """Let a serving pod outlive its deletion, as one does that still drains; its name."""
    pod = pods(kube, namespace)[0]["metadata"]["name"]
    kube.patch("v1", "Pod", pod, namespace, {"metadata": {"finalizers": ["bed/drains"]}})
    return str(pod)


def let_go(kube: Kube, namespace: str, pod: str) -> None:
    """The pod has drained, and everything that waited for it goes."""
    kube.patch("v1", "Pod", pod, namespace, {"metadata": {"finalizers": None}})
    until(lambda: volume(kube, namespace) is None, SECONDS, "the volume is gone")


def lose_all_but_volumes(kube: Kube, namespace: str) -> None:
    """What deleting a namespace takes: all of it, Helm's own Secrets too, but no volume."""
    for version, kinds in _KINDS.items():
        for kind in kinds:
            for body in kube.list(version, kind, namespace):
                kube.delete(version, kind, body["metadata"]["name"], namespace, grace_seconds=0)


def test_install_test_upgrade_roll_back_uninstall(
    each: Helm, bed: Bed, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    bed.add_node("cpu", zone=ZONE_A, pool="default", gpus=0)
    each.install(NAME, namespace, write_values(tmp_path), *WAIT)
    first = uids(kube, namespace)
    assert "Succeeded" in each.test(NAME, namespace).stdout

    each.upgrade(NAME, namespace, write_values(tmp_path, SHM), *WAIT)
    second = uids(kube, namespace)
    assert first & second == set()

    each.rollback(NAME, namespace, 1, *WAIT)
    third = uids(kube, namespace)
    assert len(third) == 1
    assert second & third == set()
    assert each.states(NAME, namespace) == ["superseded", "superseded", "deployed"]

    each.uninstall(NAME, namespace, "--wait", "--timeout=60s")
    assert left_behind(kube, namespace) == {("Pod", "v-test-completion")}
    assert volume(kube, namespace) is None


def test_an_install_waits_until_the_old_pods_claim_is_gone_and_then_has_the_same_disk(
    each: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    # Without the rule helm takes over the claim that is going, says "deployed", and the pods are
    # pending for ever: 'persistentvolumeclaim "v-a-3f2a9c01b7de" not found'.
    values = write_values(tmp_path)
    each.install(NAME, namespace, values)
    wait_ready(kube, namespace)
    disk = (volume(kube, namespace) or {})["spec"]["csi"]
    pod = held(kube, namespace)
    each.uninstall(NAME, namespace)
    text = each.refusal("install", NAME, namespace, values)
    assert (
        'PersistentVolumeClaim "v-a-3f2a9c01b7de" is being deleted, and goes when the last pod '
        "that mounts it has ended: what is installed now would lose it.\n"
        "Please wait for that, then run the same command again:\n"
        f"kubectl -n {namespace} wait --for=delete persistentvolumeclaim/v-a-3f2a9c01b7de "
        "--timeout=10m"
    ) in text
    let_go(kube, namespace, pod)
    each.install(NAME, namespace, values)
    wait_ready(kube, namespace)
    assert (volume(kube, namespace) or {})["spec"]["csi"] == disk


def test_an_install_over_a_volume_of_a_lost_claim_says_how_to_free_it(
    four: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    # Without the rule helm takes the volume over, says "deployed", the volume stays Released and
    # the new claim Pending: a volume remembers the uid of its claim.
    values = write_values(tmp_path)
    four.install(NAME, namespace, values)
    wait_ready(kube, namespace)
    name = volume_name(namespace)
    lose_all_but_volumes(kube, namespace)

    def phase() -> object:
        return (volume(kube, namespace) or {})["status"]["phase"]

    until(lambda: phase() == "Released", SECONDS, "the volume is released")
    text = four.refusal("install", NAME, namespace, values)
    assert (
        f'PersistentVolume "{name}" is Released: it stays tied to a claim that was deleted, '
        "so a new claim would be Pending for ever.\n"
        "Please delete the volume object and run the same command again; its disk "
        '"projects/my-project/zones/us-central1-a/disks/gemma-7b-3f2a9c01b7de-a" '
        "stays as it is:\n"
        f"kubectl delete persistentvolume/{name}"
    ) in text
    kube.delete("v1", "PersistentVolume", name)
    four.install(NAME, namespace, values)
    wait_ready(kube, namespace)


CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "disk": (
        {"weights": {"disk": {"revisions": [{**revision(), "disks": {"a": "another"}}]}}},
        'is on disk "projects/my-project/zones/us-central1-a/disks/gemma-7b-3f2a9c01b7de-a", '
        "and weights.disk.revisions[0] makes that "
        '"projects/my-project/zones/us-central1-a/disks/another": a volume cannot change.',
    ),
    "size": (
        {"weights": {"disk": {"sizeGiB": 2048}}},
        'has GiB "1024", and weights.disk.revisions[0] makes that "2048": a volume cannot change.',
    ),
    "files": (
        {"weights": {"disk": {"fsType": "xfs"}}},
        'has file system "ext4", and weights.disk.revisions[0] makes that "xfs": '
        "a volume cannot change.",
    ),
}


def test_a_volume_that_would_change_in_place_is_refused_before_anything_is_touched(
    four: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    # Without the rule the API server refuses half-way: "spec.persistentvolumesource: Forbidden",
    # with a difference of Go structures, or "only dynamically provisioned pvc can be resized".
    four.install(NAME, namespace, write_values(tmp_path))
    for over, why in CHANGED.values():
        text = four.refusal("upgrade", NAME, namespace, write_values(tmp_path, over))
        assert f'PersistentVolume "{volume_name(namespace)}" {why}\n' in text
        assert "        disks: {a: <its disk>}" in text
    assert four.states(NAME, namespace) == ["deployed"]


def test_no_value_changes_a_selector_of_the_same_name(
    four: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    four.install(NAME, namespace, write_values(tmp_path))
    before = deployment(kube, namespace)["metadata"]["uid"]
    labels = {"nameOverride": "llm", "commonLabels": {"team": "x"}, "podLabels": {"tier": "gold"}}
    four.upgrade(NAME, namespace, write_values(tmp_path, labels))
    assert deployment(kube, namespace)["metadata"]["uid"] == before
    four.upgrade(NAME, namespace, write_values(tmp_path, {"fullnameOverride": "llm"}))
    assert not deployment(kube, namespace)
    wait_ready(kube, namespace, name="llm")


def test_a_new_revision_is_rolled_out_and_the_old_one_goes_with_a_later_upgrade(
    four: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    both = {"current": NEXT, "revisions": [revision(), revision(NEXT)]}
    four.install(NAME, namespace, write_values(tmp_path))
    four.upgrade(NAME, namespace, write_values(tmp_path, {"weights": {"disk": both}}))
    wait_ready(kube, namespace)
    claims = [
        source["persistentVolumeClaim"]["claimName"]
        for pod in pods(kube, namespace)
        for source in pod["spec"]["volumes"]
        if "persistentVolumeClaim" in source
    ]
    assert claims == [claim_name(revision=NEXT)]
    assert volume(kube, namespace)
    only = {"current": NEXT, "revisions": [revision(NEXT)]}
    four.upgrade(NAME, namespace, write_values(tmp_path, {"weights": {"disk": only}}))
    until(lambda: volume(kube, namespace) is None, SECONDS, "the old volume is gone")
    four.rollback(NAME, namespace, 2)
    until(lambda: is_bound(volume(kube, namespace)), SECONDS, "the old volume is back")


def env_names(kube: Kube, namespace: str) -> list[str]:
    """Names of the server's environment."""
    container = deployment(kube, namespace)["spec"]["template"]["spec"]["containers"][0]
    return [entry["name"] for entry in container["env"]]


@pytest.mark.parametrize("flag", ["--server-side=auto", "--server-side=true"])
def test_helm_4_takes_over_what_helm_3_installed(
    bed: Bed, kube: Kube, nodes: None, namespace: str, tmp_path: Path, flag: str
) -> None:
    old, new = (Helm(TOOLS / name, bed) for name in ("helm3", "helm"))
    extra = {"server": {"extraEnv": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]}}
    old.install(NAME, namespace, write_values(tmp_path, extra))
    assert "A" in env_names(kube, namespace)
    less = {"server": {"extraEnv": [{"name": "B", "value": "2"}]}}
    new.upgrade(NAME, namespace, write_values(tmp_path, less), flag)
    assert env_names(kube, namespace).count("B") == 1
    assert "A" not in env_names(kube, namespace)
    new.upgrade(NAME, namespace, write_values(tmp_path))
    assert "B" not in env_names(kube, namespace)
    old.rollback(NAME, namespace, 1)
    assert "A" in env_names(kube, namespace)
    new.uninstall(NAME, namespace, "--wait", "--timeout=60s")
    assert left_behind(kube, namespace) == set()
