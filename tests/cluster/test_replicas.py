"""Who says how many pods there are: Helm, the autoscaler, or somebody with kubectl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pylib.kube import Body, Kube
from tests.cluster.bed.bed import TOOLS
from tests.cluster.bed.wait import until
from tests.cluster.release import (
    NAME,
    SECONDS,
    Helm,
    cell,
    condition,
    deployment,
    uids,
    wait_ready,
    write_values,
)

CHANGE: dict[str, Any] = {"podLabels": {"change": "1"}}


def scaled(least: int) -> dict[str, Any]:
    """Values with an autoscaler, which raises to ``least`` without knowing any metric."""
    return {"autoscaling": {"enabled": True, "minReplicas": least}}


def fixed(replicas: int) -> dict[str, Any]:
    """Values with a fixed number of pods."""
    return {"cells": [cell(replicas=replicas)]}


def scaler(kube: Kube, namespace: str) -> Body:
    """The cell's HPA."""
    return kube.get("autoscaling/v2", "HorizontalPodAutoscaler", "v-a", namespace) or {}


def wait_for_scaler(kube: Kube, namespace: str) -> None:
    """Until the HPA has looked at the Deployment and left it as it is."""

    def able() -> bool:
        return condition(scaler(kube, namespace), "AbleToScale").get("status") == "True"

    until(able, SECONDS, "the autoscaler works", show=lambda: scaler(kube, namespace))


def test_an_upgrade_keeps_what_the_autoscaler_chose(
    each: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    # With `replicas` in the Deployment helm 3 sets it back to 1, and helm 4 fails: 'conflict with
    # "kube-controller-manager" with subresource "scale" using apps/v1: .spec.replicas'.
    each.install(NAME, namespace, write_values(tmp_path, scaled(3)))
    wait_ready(kube, namespace, replicas=3)
    before = uids(kube, namespace)
    each.upgrade(NAME, namespace, write_values(tmp_path, {**scaled(1), "server": {"port": 8001}}))
    after = wait_ready(kube, namespace, replicas=3)
    assert uids(kube, namespace) & before == set()
    assert after["metadata"]["generation"] == 3, "created, scaled, upgraded"
    each.rollback(NAME, namespace, 1)
    wait_ready(kube, namespace, replicas=3)


def test_turning_autoscaling_on_ends_no_pod(
    four: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    # With `replicas` left out at once the API server sets its default: 3 -> 1, and two GPU pods
    # end, before the autoscaler says 3 again.
    four.install(NAME, namespace, write_values(tmp_path, fixed(3)))
    wait_ready(kube, namespace, replicas=3)
    turn_on_and_lose_none(four, kube, namespace, tmp_path)


def test_a_release_of_helm_3_is_first_taken_over_and_then_ends_no_pod_either(
    four: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    # Taken over and turned on in one upgrade, two of three pods ended.
    values = write_values(tmp_path, fixed(3))
    Helm(TOOLS / "helm3", four.bed).install(NAME, namespace, values)
    wait_ready(kube, namespace, replicas=3)
    four.upgrade(NAME, namespace, values, "--server-side=true")
    turn_on_and_lose_none(four, kube, namespace, tmp_path)


def turn_on_and_lose_none(helm: Helm, kube: Kube, namespace: str, tmp_path: Path) -> None:
    """Turn autoscaling on under three pods, upgrade once more, and find the same three."""
    before = uids(kube, namespace)
    helm.upgrade(NAME, namespace, write_values(tmp_path, scaled(2)))
    wait_for_scaler(kube, namespace)
    helm.upgrade(NAME, namespace, write_values(tmp_path, {**scaled(2), "service": {"port": 80}}))
    after = wait_ready(kube, namespace, replicas=3)
    assert uids(kube, namespace) == before
    assert after["metadata"]["generation"] == 1


def test_once_the_autoscaler_has_scaled_no_upgrade_sets_it_back(
    each: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    # With the size still in helm 3's manifest after autoscaling was turned on, this upgrade took
    # it back: 3 -> 1, however many the autoscaler had chosen by then.
    each.install(NAME, namespace, write_values(tmp_path, fixed(2)))
    each.upgrade(NAME, namespace, write_values(tmp_path, scaled(3)))
    wait_ready(kube, namespace, replicas=3)
    before = uids(kube, namespace)
    each.upgrade(NAME, namespace, write_values(tmp_path, {**scaled(2), "service": {"port": 80}}))
    wait_ready(kube, namespace, replicas=3)
    assert uids(kube, namespace) == before
    assert "replicas:" not in each.get_manifest(NAME, namespace)


def test_turning_autoscaling_off_leaves_the_pods_there_are_or_takes_force(
    four: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    four.install(NAME, namespace, write_values(tmp_path, fixed(1)))
    four.upgrade(NAME, namespace, write_values(tmp_path, scaled(3)))
    wait_ready(kube, namespace, replicas=3)
    four.upgrade(NAME, namespace, write_values(tmp_path))
    wait_ready(kube, namespace, replicas=3)
    two = write_values(tmp_path, fixed(2))
    text = four.refusal("upgrade", NAME, namespace, two)
    assert (
        'conflict with "kube-controller-manager" with subresource "scale" using apps/v1: '
        ".spec.replicas"
    ) in text
    four.upgrade(NAME, namespace, two, "--force-conflicts")
    wait_ready(kube, namespace, replicas=2)


def test_a_manual_scale_outlives_an_upgrade(
    each: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    # With `replicas: 1` as the default helm 4 failed with a conflict, and helm 3 set it back.
    each.install(NAME, namespace, write_values(tmp_path))
    more = {"spec": {"replicas": 2}}
    kube.patch("apps/v1", "Deployment", "v-a", namespace, more, subresource="scale")
    each.upgrade(NAME, namespace, write_values(tmp_path, CHANGE))
    wait_ready(kube, namespace, replicas=2)
    assert deployment(kube, namespace)["spec"]["replicas"] == 2
