"""Pods that serve: how they stop, how they come back, and what a bad disk or key does to them."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from pylib.kube import Kube
from tests.chart.helmtool import merged
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.clients import endpoints_of, request
from tests.cluster.bed.wait import until
from tests.cluster.release import NAME, Helm, claim_name, volume_name
from tests.cluster.serving import FIRST, MODEL, ONE, SECOND, Stage, handle, make_disk

LONG = {"tokens": 350}
"""Requests that take longer than the wait before the stop."""


@pytest.fixture
def stage(bed: Bed, namespace: str, helm: Path, tmp_path: Path) -> Iterator[Stage]:
    """Nodes, disks and an agent; nothing is installed."""
    with Stage(bed, namespace, Helm(helm, bed), tmp_path) as one:
        yield one


def shrink(stage: Stage, **shutdown: int) -> tuple[int, set[str]]:
    """Go from two pods to one under requests that outlast preStop: how many of them were
    answered, and why others were not."""
    over = {"shutdown": shutdown}
    stage.install(FIRST, over)
    with stage.clients(**LONG) as clients:
        stage.served(clients, FIRST)
        stage.update(FIRST, merged(over, ONE))
        stage.wait_ready()
        outcome = clients.stop()
    return outcome.answered.total(), {lost.why for lost in outcome.lost}


def test_scaling_down_under_load_loses_no_request(stage: Stage) -> None:
    answered, lost = shrink(stage)
    assert answered > 40
    assert lost == set()


def test_without_time_to_drain_requests_in_flight_are_aborted(stage: Stage) -> None:
    _, lost = shrink(stage, drainSeconds=0)
    assert lost == {"aborted"}


def test_a_kept_connection_is_answered_while_its_server_waits_and_aborted_while_it_drains(
    stage: Stage, kube: Kube, namespace: str
) -> None:
    """What the wait cannot cure: vLLM tells no client to let go of its connection."""
    stage.install(FIRST, ONE)
    [pod] = stage.names()
    with stage.clients(tokens=10**4, rate=1) as clients:
        until(clients.endpoints, 20, "the endpoint is known")
        [at] = clients.endpoints()
        kept = HTTPConnection(at.address, at.port, timeout=20)
        kube.delete("v1", "Pod", pod, namespace)
        reasons: list[str] = []
        while reasons[-1:] != ["abort"]:
            kept.request("POST", "/v1/completions", b'{"max_tokens": 20}')
            [choice] = json.load(kept.getresponse())["choices"]
            reasons.append(choice["finish_reason"])
        kept.close()
    assert reasons[:-1] == ["length"] * (len(reasons) - 1)
    assert len(reasons) > 5


def test_a_killed_server_is_started_again_and_meanwhile_the_other_pod_answers(
    stage: Stage,
) -> None:
    stage.install()
    killed, other = sorted(stage.names())
    with stage.clients() as clients:
        stage.served(clients, FIRST)
        stage.agent.kill(killed)

        def is_back() -> bool:
            found = stage.container(killed)
            return bool(found["restartCount"] == 1 and found["ready"])

        until(is_back, 30, "the killed server serves again", show=stage.describe)
        before = clients.outcome.answered.copy()

        def both_answer() -> bool:
            new = clients.outcome.answered - before
            return new[killed, FIRST] > 5 and new[other, FIRST] > 5

        until(both_answer, 30, "requests go to both again")
        lost = len(clients.outcome.lost)
        stage.served(clients, FIRST)
        outcome = clients.stop()
    assert {one.pod for one in outcome.lost} == {killed}
    assert len(outcome.lost) == lost, "once it is back, nothing is lost"
    ended = stage.container(killed)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "Error")
    assert stage.container(other)["restartCount"] == 0


def empty(stage: Stage) -> str:
    shutil.rmtree(stage.disk(SECOND))
    stage.disk(SECOND).mkdir()
    return (
        "There is no weights.manifest.json at the root of the volume. The volume is empty or was "
        "not baked by this project; if it is good nevertheless, set weights.verify: none."
    )


def stale(stage: Stage) -> str:
    wanted = make_disk(stage.folder / "same", SECOND)
    found = make_disk(stage.disk(SECOND), "r0 of another bake")
    return (
        f"The manifest's sha256 is {found}, not {wanted}: this disk holds another revision. Set "
        "the disk and manifestSha256 of the same revision in weights.disk.revisions."
    )


def cut(stage: Stage) -> str:
    (stage.disk(SECOND) / MODEL / "model.safetensors").write_bytes(b"")
    return (
        f"1 of 2 files differ from the manifest: {MODEL}/model.safetensors has 0 bytes instead of "
        "11. The disk's image was cut too early or from an unclean file system: bake it again."
    )


def held_back(stage: Stage, pod: str) -> dict[str, Any]:
    """The status of the check of a pod's weights, once it waits for its next try."""

    def found() -> dict[str, Any]:
        check = stage.container(pod, "check-weights")
        waiting = check.get("state", {}).get("waiting", {})
        return check if waiting.get("reason") == "CrashLoopBackOff" else {}

    return until(found, 30, "the check is held back", show=stage.describe)


@pytest.mark.parametrize("spoil", [empty, stale, cut])
def test_a_bad_disk_is_named_before_vllm_is_tried_and_tried_ever_less_often(
    stage: Stage, spoil: Callable[[Stage], str]
) -> None:
    message = spoil(stage)
    stage.helm.install(NAME, stage.namespace, stage.values(SECOND, ONE))
    [pod] = until(stage.names, 30, "there is a pod")
    check = held_back(stage, pod)
    ended = check["lastState"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (1, message)
    assert stage.kube.logs(pod, stage.namespace, "check-weights") == f"{message}\n"
    assert check["restartCount"] == 1
    assert check["state"]["waiting"]["message"].startswith("back-off 10s restarting failed")
    server = stage.container(pod)
    assert server["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert "containerID" not in server


def test_an_update_to_a_bad_disk_leaves_the_old_pod_serving(stage: Stage) -> None:
    stage.install(FIRST, ONE)
    [old] = stage.names()
    empty(stage)
    with stage.clients() as clients:
        stage.served(clients, FIRST)
        stage.update(SECOND, ONE)
        [new] = until(lambda: stage.names() - {old}, 30, "the update has a pod")
        held_back(stage, new)
        stage.served(clients, FIRST)
        outcome = clients.stop()
    assert outcome.lost == []
    assert {pod for pod, _ in outcome.answered} == {old}


def test_a_disk_that_does_not_exist_holds_the_pod_with_the_attachers_words_until_it_does(
    stage: Stage, namespace: str
) -> None:
    missing = handle(f"gemma-7b-{FIRST}-a")
    folder = stage.disks.pop(missing)
    stage.helm.install(NAME, namespace, stage.values(FIRST, ONE))
    [message] = until(lambda: set(stage.events("FailedAttachVolume")), 30, "it is refused")
    volume = volume_name(namespace, "a", FIRST)
    assert message.startswith(f'AttachVolume.Attach failed for volume "{volume}" : rpc error: ')
    assert f"Could not find disk {missing}" in message
    [pod] = stage.names()
    assert stage.container(pod)["state"] == {"waiting": {"reason": "PodInitializing"}}
    stage.disks[missing] = folder
    stage.wait_ready()


def test_a_claim_of_a_running_pod_outlives_its_deletion(
    stage: Stage, kube: Kube, namespace: str
) -> None:
    stage.install(FIRST, ONE)
    claim = claim_name("a", FIRST)
    with stage.clients() as clients, stage.lookout() as watched:
        kube.delete("v1", "PersistentVolumeClaim", claim, namespace)
        kube.delete("v1", "PersistentVolume", volume_name(namespace, "a", FIRST))
        stage.served(clients, FIRST, 40)
        outcome = clients.stop()
    found = kube.get("v1", "PersistentVolumeClaim", claim, namespace)
    assert found is not None
    assert found["metadata"]["deletionTimestamp"]
    assert found["status"]["phase"] == "Bound"
    assert (outcome.lost, watched.missing) == ([], [])


def secret(namespace: str, value: str | None, key: str = "api-key") -> dict[str, Any]:
    """The Secret with the API key."""
    data = {} if value is None else {key: base64.b64encode(value.encode()).decode()}
    meta = {"name": "key", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}


def keyed(form: str) -> dict[str, Any]:
    """Values of one pod with the API key of :func:`secret`."""
    return merged(ONE, {"server": {"apiKey": {"secretName": "key", "as": form}}})


def asked(stage: Stage, key: str) -> int:
    """The status of GET /v1/models with a key, from a pod of the release."""
    labels = f"kubernetes.io/service-name={NAME}"
    kind = ("discovery.k8s.io/v1", "EndpointSlice", stage.namespace)
    [one] = [e for s in stage.kube.list(*kind, labels=labels) for e in endpoints_of(s)]
    status, _ = asyncio.run(request(one.address, one.port, "GET", "/v1/models", key=key))
    return status


@pytest.mark.parametrize("form", ["file", "env"])
def test_a_missing_key_holds_the_pod_with_a_message_and_the_secret_lets_it_start(
    stage: Stage, kube: Kube, namespace: str, form: str
) -> None:
    stage.helm.install(NAME, namespace, stage.values(FIRST, keyed(form)))
    reason, message = {
        "file": (
            "FailedMount",
            'MountVolume.SetUp failed for volume "api-key" : secret "key" not found',
        ),
        "env": ("Failed", 'Error: secret "key" not found'),
    }[form]
    until(lambda: message in stage.events(reason), 30, message, show=stage.describe)
    kube.create(secret(namespace, "sesame"))
    stage.wait_ready()
    assert (asked(stage, ""), asked(stage, "wrong"), asked(stage, "sesame")) == (401, 401, 200)


def test_a_key_that_its_secret_does_not_hold_is_named(
    stage: Stage, kube: Kube, namespace: str
) -> None:
    kube.create(secret(namespace, "sesame", key="apikey"))
    stage.helm.install(NAME, namespace, stage.values(FIRST, keyed("file")))
    message = (
        'MountVolume.SetUp failed for volume "api-key" : references non-existent secret key: '
        "api-key"
    )
    until(lambda: message in stage.events("FailedMount"), 30, message, show=stage.describe)


@pytest.mark.parametrize("form", ["file", "env"])
def test_an_empty_key_stops_the_server_with_a_message(
    stage: Stage, kube: Kube, namespace: str, form: str
) -> None:
    kube.create(secret(namespace, "\n"))
    stage.helm.install(NAME, namespace, stage.values(FIRST, keyed(form)))
    [pod] = until(stage.names, 30, "there is a pod")

    def ended() -> dict[str, Any]:
        found: dict[str, Any] = stage.container(pod).get("lastState", {}).get("terminated", {})
        return found

    end = until(ended, 30, "the server has ended", show=stage.describe)
    assert end["exitCode"] == 1
    assert end["message"] == (
        "The API key is empty. Put a key into the Secret that server.apiKey.secretName names, "
        "then restart the pod.\n"
    )


@pytest.mark.parametrize("form", ["file", "env"])
def test_a_newline_after_the_key_is_not_part_of_it(
    stage: Stage, kube: Kube, namespace: str, form: str
) -> None:
    kube.create(secret(namespace, "sesame\n"))
    stage.install(FIRST, keyed(form))
    assert asked(stage, "sesame") == 200
