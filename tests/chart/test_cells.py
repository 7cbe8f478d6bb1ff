"""Cells: several zones in one release, scheduling, replicas."""

from typing import Any

import pytest

from tests.chart.helmtool import REVISION, serve

TWO: dict[str, Any] = {
    "cells": [
        {"zone": "us-central1-a", "nodePool": "pool-a", "accelerator": "nvidia-l4", "replicas": 3},
        {"name": "b", "zone": "us-central1-b", "computeClass": "gpu-class", "replicas": 0},
    ],
    "weights": {
        "disk": {
            "revisions": [
                {"name": REVISION, "disks": {"us-central1-a": "disk-a", "b": "disk-b"}},
            ]
        }
    },
}


def cell(**fields: Any) -> dict[str, Any]:
    """Values with one cell in the usual zone."""
    return {"cells": [{"zone": "us-central1-a", **fields}]}


def test_each_cell_has_its_deployment_volume_claim_and_budget_behind_one_service() -> None:
    objects = serve(TWO)
    names = ["vllm-b", "vllm-us-central1-a"]
    assert sorted(m.name for m in objects.all("Deployment")) == names
    assert sorted(m.name for m in objects.all("PodDisruptionBudget")) == names
    assert len(objects.all("PersistentVolume")) == len(objects.all("PersistentVolumeClaim")) == 2
    assert objects.one("Service").get("spec", "selector") == {"app": "vllm"}
    assert objects.one("PodMonitoring").get("spec", "selector", "matchLabels") == {"app": "vllm"}


def test_each_cell_mounts_the_disk_of_its_own_zone() -> None:
    objects = serve(TWO)
    handles = {
        pv.name: pv.get("spec", "csi", "volumeHandle") for pv in objects.all("PersistentVolume")
    }
    assert handles == {
        f"serving-vllm-us-central1-a-{REVISION}": (
            "projects/my-project/zones/us-central1-a/disks/disk-a"
        ),
        f"serving-vllm-b-{REVISION}": "projects/my-project/zones/us-central1-b/disks/disk-b",
    }
    volumes = {v["name"]: v for v in objects.pod("vllm-b")["volumes"]}
    claim = volumes["weights"]["persistentVolumeClaim"]["claimName"]
    assert claim == f"vllm-b-{REVISION}"


def test_the_selectors_of_two_cells_share_no_pod() -> None:
    deployments = serve(TWO).all("Deployment")
    selectors = [d.get("spec", "selector", "matchLabels") for d in deployments]
    assert selectors == [{"app": "vllm", "cell": "us-central1-a"}, {"app": "vllm", "cell": "b"}]
    for deployment, selector in zip(deployments, selectors, strict=True):
        labels = deployment.get("spec", "template", "metadata", "labels")
        assert selector.items() <= labels.items()


def test_replicas_of_a_cell_may_be_none_at_all() -> None:
    replicas = {d.name: d.get("spec", "replicas") for d in serve(TWO).all("Deployment")}
    assert replicas == {"vllm-us-central1-a": 3, "vllm-b": 0}


def test_replicas_that_nobody_says_are_nobodys_so_that_a_manual_scale_stays() -> None:
    assert "replicas" not in serve().one("Deployment").get("spec")


def test_a_node_pool_cell_selects_zone_pool_and_accelerator() -> None:
    assert serve(TWO).pod("vllm-us-central1-a")["nodeSelector"] == {
        "topology.kubernetes.io/zone": "us-central1-a",
        "cloud.google.com/gke-nodepool": "pool-a",
        "cloud.google.com/gke-accelerator": "nvidia-l4",
    }


def test_a_compute_class_cell_selects_nothing_that_the_class_decides() -> None:
    pod = serve(TWO).pod("vllm-b")
    assert pod["nodeSelector"] == {
        "topology.kubernetes.io/zone": "us-central1-b",
        "cloud.google.com/compute-class": "gpu-class",
    }
    toleration = {
        "key": "cloud.google.com/compute-class",
        "operator": "Equal",
        "value": "gpu-class",
        "effect": "NoSchedule",
    }
    assert toleration in pod["tolerations"]


def test_gpu_taints_are_tolerated_in_every_cell() -> None:
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    for deployment in serve(TWO).all("Deployment"):
        assert toleration in deployment.get("spec", "template", "spec", "tolerations")


@pytest.mark.parametrize("spot", [True, False])
def test_spot_selects_and_tolerates_spot_nodes(spot: bool) -> None:
    pod = serve(cell(nodePool="p", spot=spot)).pod()
    toleration = {
        "key": "cloud.google.com/gke-spot",
        "operator": "Equal",
        "value": "true",
        "effect": "NoSchedule",
    }
    assert (toleration in pod["tolerations"]) is spot
    assert pod["nodeSelector"].get("cloud.google.com/gke-spot") == ("true" if spot else None)


def test_further_node_labels_select_a_reservation() -> None:
    selector = {"cloud.google.com/reservation-name": "h100", "topology.kubernetes.io/zone": "x"}
    found = serve(cell(nodePool="p", nodeSelector=selector)).pod()["nodeSelector"]
    assert found["cloud.google.com/reservation-name"] == "h100"
    assert found["topology.kubernetes.io/zone"] == "us-central1-a"
