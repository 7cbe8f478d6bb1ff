"""A model is updated and rolled back under a steady stream of requests, and nobody notices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pylib.kube import Kube
from tests.chart.helmtool import merged
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.clients import Clients
from tests.cluster.bed.wait import until
from tests.cluster.release import NAME, Helm, claim_name, volume_name
from tests.cluster.serving import FIRST, ONE, SECOND, Stage


@pytest.fixture
def stage(bed: Bed, namespace: str, helm: Path, tmp_path: Path) -> Iterator[Stage]:
    """Nodes, disks and an agent; nothing is installed."""
    with Stage(bed, namespace, Helm(helm, bed), tmp_path) as one:
        yield one


def settled(stage: Stage, clients: Clients, revision: str) -> None:
    """Return when all pods are of one revision, and only they answer."""
    stage.wait_ready()
    until(lambda: clients.outcome.last == revision, 20, f"{revision} has answered")
    stage.served(clients, revision)


def claims(kube: Kube, namespace: str) -> set[str]:
    """Names of the claims in a namespace."""
    found = kube.list("v1", "PersistentVolumeClaim", namespace)
    return {claim["metadata"]["name"] for claim in found}


def test_update_rollback_and_dropping_a_revision_lose_no_request_and_no_pod_its_claim(
    stage: Stage, kube: Kube, namespace: str
) -> None:
    stage.install(FIRST)
    with stage.clients() as clients, stage.lookout() as watched:
        stage.served(clients, FIRST)
        stage.update(SECOND)
        settled(stage, clients, SECOND)
        stage.helm.rollback(NAME, namespace)
        settled(stage, clients, FIRST)
        stage.update(FIRST, revisions=[FIRST])
        until(
            lambda: claims(kube, namespace) == {claim_name("a", FIRST)},
            20,
            "the dropped revision's claim is gone",
        )
        stage.served(clients, FIRST)
        outcome = clients.stop()
    assert outcome.lost == []
    assert len(outcome.answered) == 6, "two pods each of r1, of r2, and of r1 again"
    assert watched.missing == []
    assert watched.looks > 50
    assert watched.least_ready == 2
    assert kube.get("v1", "PersistentVolume", volume_name(namespace, "a", SECOND)) is None


def test_a_rollback_past_the_revisions_claim_leaves_it_to_its_pods_until_they_end(
    stage: Stage, kube: Kube, namespace: str
) -> None:
    stage.helm.install(NAME, namespace, stage.values(FIRST, ONE, [FIRST]))
    stage.wait_ready()
    with stage.clients() as clients, stage.lookout() as watched:
        stage.served(clients, FIRST)
        stage.update(SECOND, ONE)
        settled(stage, clients, SECOND)
        stage.helm.rollback(NAME, namespace)
        settled(stage, clients, FIRST)
        outcome = clients.stop()
    assert outcome.lost == []
    assert watched.missing == []
    assert watched.least_ready == 1
    until(
        lambda: claims(kube, namespace) == {claim_name("a", FIRST)},
        20,
        "the claim goes after its last pod",
    )


def test_without_the_wait_before_the_stop_an_update_loses_requests(stage: Stage) -> None:
    hasty = merged(ONE, {"shutdown": {"preStopSeconds": 0}})
    stage.install(FIRST, hasty)
    with stage.clients() as clients:
        stage.served(clients, FIRST)
        stage.update(SECOND, hasty)
        settled(stage, clients, SECOND)
        outcome = clients.stop()
    ends = {"connection refused", "aborted", "connection closed without an answer"}
    assert {lost.why for lost in outcome.lost} <= ends
    assert outcome.lost, "a client that has not heard of the end yet finds nobody"
