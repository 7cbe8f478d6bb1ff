"""``observe`` on a real control plane: a healthy release, pods without a node, claims.

Simulated: nodes and the pods on them (kwok, or the agent with real processes).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from pylib.diagnose import diagnose
from pylib.facts import gke
from pylib.kube import Kube
from pylib.snapshot import take
from pylib.timeline import timeline
from pylib.verbs import observe
from tests.cluster.bed.bed import CONTEXT, Bed
from tests.cluster.bed.wait import until
from tests.cluster.observing import FIXED, FLAGS, NODE, Site, claimed
from tests.cluster.release import (
    NAME,
    POOL,
    SECONDS,
    ZONE_A,
    ZONE_B,
    Helm,
    cell,
    static_claim,
    wait_ready,
)
from tests.cluster.serving import FIRST, Stage


@pytest.fixture
def site(bed: Bed, helm: Path, namespace: str, tmp_path: Path) -> Site:
    """Nothing is installed yet; helm 4."""
    return Site(Helm(helm, bed), namespace, tmp_path)


def run(kubeconfig: Path, *words: str) -> tuple[int, str]:
    """Exit code and output of the verb."""
    parser = argparse.ArgumentParser()
    observe.arguments(parser)
    out = StringIO()
    args = parser.parse_args([*words, "--kubeconfig", str(kubeconfig)])
    return observe.run(args, out), out.getvalue()


# --- a healthy release ----------------------------------------------------------------------------


@pytest.fixture
def stage(bed: Bed, namespace: str, helm: Path, tmp_path: Path) -> Iterator[Stage]:
    """Nodes, disks and an agent that runs pods as processes; nothing is installed."""
    with Stage(bed, namespace, Helm(helm, bed), tmp_path) as one:
        yield one


def test_a_healthy_release_has_no_cause_and_its_timeline_adds_up(
    stage: Stage, kube: Kube, namespace: str
) -> None:
    stage.play.load = 2.0
    stage.install(FIRST, FIXED)
    found = take(kube, NAME, namespace)
    assert diagnose(found) == ()
    assert found.unread == ()
    for pod in timeline(found).pods:
        whole = [phase for phase in pod.phases if not phase.within]
        assert [phase.name for phase in whole] == [
            *("scheduling", "volumes", "image"),
            *("check-weights", "container start", "vLLM"),
        ]
        assert sum(phase.seconds or 0 for phase in whole) == pod.seconds
        inside = {phase.name: phase for phase in pod.phases}
        assert inside["pull image"].within == "image"
        loaded = inside["load weights"]
        assert loaded.within == "vLLM"
        assert loaded.seconds is not None
        assert 2.0 <= loaded.seconds < 4.0
        assert pod.prediction is not None
        assert pod.prediction.basis == (
            "16 GiB from a pd-ssd of 1024 GiB on g2-standard-24, one read at a time, "
            "4096 KiB read ahead"
        )
        assert pod.prediction.actual == loaded.seconds


def test_the_verb_says_what_is_ready_and_succeeds(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    site.install(FIXED)
    wait_ready(site.kube, site.namespace)
    named = ("--release", NAME, "--namespace", site.namespace)
    code, text = run(bed.kubeconfig, *named)
    head = text.splitlines()[0]
    assert code == 0, text
    assert head.startswith(f"v revision 1 in namespace {site.namespace} of {CONTEXT}, 20")
    assert head.endswith(": 1 of 1 pods ready")
    code, text = run(bed.kubeconfig, *named, "--output", "json")
    assert code == 0
    assert json.loads(text)["causes"] == []


# --- a pod that fits no node ----------------------------------------------------------------------


def test_a_cell_in_a_zone_where_its_node_pool_has_no_nodes(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    site.install(FIXED, {"cells": [cell("a", zone=ZONE_B)]})
    found = site.cause("zone-mismatch")
    assert found.object == site.pod()
    assert found.message == (f"wants zone {ZONE_B}; the nodes of node pool {POOL} are in {ZONE_A}")
    assert found.next == (
        f"set the cell's zone to {ZONE_A} in the values, or add nodes: gcloud container "
        f"node-pools update {POOL} {FLAGS} --node-locations={ZONE_A},{ZONE_B}"
    )
    code, text = run(bed.kubeconfig, "--release", NAME, "--namespace", site.namespace)
    assert code == 1
    assert text.splitlines()[1] == f"error zone-mismatch {found.object}: {found.message}"
    assert text.splitlines()[2] == f"    {found.next}"


def test_a_disk_in_another_zone_than_the_cell(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    static_claim(site.kube, site.namespace, "weights", ZONE_B, mode="ReadOnlyMany")
    site.install(FIXED, claimed("weights"))
    found = site.cause("zone-mismatch")
    assert found.final
    assert found.message == (
        f"wants zone {ZONE_A}, but its claim weights is bound to "
        f"PersistentVolume/{site.namespace}-weights, whose disk is in {ZONE_B}: "
        "no node is in both"
    )


def test_a_cell_out_of_gpus(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    site.install(FIXED, {"cells": [cell(replicas=4)]})
    found = site.cause("out-of-gpus")
    assert found.message.startswith(
        f"wants 1 GPU; node {NODE} has 2, 2 of them held by {site.namespace}/v-a-"
    )
    assert found.message.endswith("(and 1 more Pod)")
    assert found.next == (
        f"gcloud container node-pools update {POOL} {FLAGS} "
        "--enable-autoscaling --min-nodes=0 --max-nodes=MORE"
    )
    assert not found.final


def test_more_gpus_than_a_node_has(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    site.install(FIXED, {"gpusPerPod": 4})
    found = site.cause("no-node-fits")
    assert (found.message, found.next) == (
        f"wants 4 GPUs on one node; node {NODE} has at most 2",
        "set gpusPerPod: 2 in the values, or use a larger machine type",
    )
    assert found.final


def test_a_taint_that_nobody_tolerates(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    taint = {"key": "team", "value": "research", "effect": "NoSchedule"}
    site.kube.patch("v1", "Node", NODE, None, {"spec": {"taints": [taint]}})
    site.install(FIXED)
    found = site.cause("node-taint")
    assert found.message == f"does not tolerate the taint team=research:NoSchedule of node {NODE}"
    assert found.next == (
        'add to the values: tolerations: [{key: team, operator: Equal, value: "research", '
        "effect: NoSchedule}]"
    )


def test_the_gpu_taint_without_its_toleration(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    site.install(FIXED, {"cells": [cell(replicas=0)]})
    nobody = [{"key": "other", "operator": "Exists"}]
    patch = {"spec": {"replicas": 1, "template": {"spec": {"tolerations": nobody}}}}
    site.kube.patch("apps/v1", "Deployment", "v-a", site.namespace, patch)
    found = site.cause("gpu-taint")
    assert found.message == (
        f"does not tolerate the taint {gke.GPU}=present:NoSchedule of node {NODE}"
    )


def test_a_node_pool_without_nodes(site: Site) -> None:
    site.install(FIXED)
    found = site.cause("node-pool-absent")
    assert found.message == (
        f"wants a node of node pool {POOL}; there is none, and the cluster autoscaler has not "
        "said that it will add one"
    )
    assert not found.final, "an autoscaler thinks for a while"


def test_more_memory_than_any_node_has(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    much = {"requests": {"cpu": "1", "memory": "900Gi"}, "limits": {"memory": "900Gi"}}
    site.install(FIXED, {"resources": much})
    found = site.cause("no-node-fits")
    assert found.message == f"wants 900.0Gi of memory; node {NODE} offers 91.2Gi at most"


# --- claims ---------------------------------------------------------------------------------------


def test_a_claim_for_which_there_is_no_volume(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    site.create(
        "PersistentVolumeClaim",
        "weights",
        {
            "accessModes": ["ReadOnlyMany"],
            "storageClassName": "",
            "volumeName": "nowhere",
            "resources": {"requests": {"storage": "10Gi"}},
        },
    )
    site.install(FIXED, claimed("weights"))
    found = site.cause("claim-not-bound")
    assert found.object == "PersistentVolumeClaim/weights"
    assert found.message == "asks for PersistentVolume/nowhere, which does not exist"


def test_a_volume_that_belongs_to_a_claim_that_was_deleted(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    volume = f"{site.namespace}-weights"
    static_claim(site.kube, site.namespace, "weights", ZONE_A, mode="ReadOnlyMany")
    claim = site.kube.get("v1", "PersistentVolumeClaim", "weights", site.namespace) or {}
    until(lambda: phase(site, volume) == "Bound", SECONDS, "the volume is bound")
    site.kube.delete("v1", "PersistentVolumeClaim", "weights", site.namespace)
    until(lambda: phase(site, volume) == "Released", SECONDS, "the volume is released")
    site.create("PersistentVolumeClaim", "weights", claim["spec"])
    site.install(FIXED, claimed("weights"))
    found = site.cause("claim-bound-to-old-uid")
    assert found.message == (
        f"asks for PersistentVolume/{volume}, which still belongs to a deleted claim of the same "
        "name (phase Released, its claimRef has the old uid)"
    )
    assert found.final
    word, _, patch = found.next.partition(" -p=")
    assert word == f"kubectl patch pv {volume} --type=json"
    site.kube.patch(
        "v1", "PersistentVolume", volume, None, json.loads(patch.strip("'")), how="json"
    )
    wait_ready(site.kube, site.namespace)


def phase(site: Site, volume: str) -> str:
    """A volume's phase."""
    body = site.kube.get("v1", "PersistentVolume", volume) or {}
    return str(body.get("status", {}).get("phase"))


def test_a_claim_that_nobody_made(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    site.install(FIXED, claimed("weights"))
    found = site.cause("claim-absent")
    assert found.message == (f"does not exist in namespace {site.namespace}, and pods mount it")
