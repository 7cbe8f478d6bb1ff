"""Servers that end, probes that fail, nodes that go."""

from __future__ import annotations

import pytest

from pylib.diagnose import Cause, Severity
from pylib.facts import gke
from pylib.snapshot.model import Log, Unread
from tests.unit.cluster_objects import (
    Json,
    causes,
    crashed,
    created,
    event,
    node,
    one,
    pod,
    ready,
    running,
    servers,
)

# --- ends of other kinds --------------------------------------------------------------------------


def test_a_crash_that_nobody_knows_shows_the_last_lines() -> None:
    log = "one\ntwo\n\nthree\nfour\n\x1b[31mfive\n"
    mine = pod(servers(crashed(3, restarts=2)))
    assert one(mine, node(), logs=(Log("v-a-1", "vllm", log, previous=True),)) == Cause(
        "crash-loop",
        Severity.ERROR,
        "Pod/v-a-1",
        "vllm ended 3 times, last with exit code 3; its last lines: two | three | four | "
        "\\x1b[31mfive",
        "kubectl -n inference logs v-a-1 -c vllm --previous",
    )


def test_a_crash_without_a_log_is_told_by_what_the_kubelet_kept() -> None:
    found = one(pod(servers(crashed(1, message="Traceback\nValueError: bad"))), node())
    assert found.message.endswith("its last lines: Traceback | ValueError: bad")
    assert one(pod(servers(crashed())), node()).message.endswith("; it left no log")


def test_a_crash_that_was_not_started_again_yet() -> None:
    ended = {"terminated": {"exitCode": 1}}
    mine = pod(servers({"name": "vllm", "ready": False, "restartCount": 0, "state": ended}))
    found = one(mine, node(), logs=(Log("v-a-1", "vllm", "boom\n"),))
    assert (found.message, found.next) == (
        "vllm ended with exit code 1; its last lines: boom",
        "kubectl -n inference logs v-a-1 -c vllm",
    )


def test_a_sidecars_failure_is_not_read_as_vllms() -> None:
    ended = {**crashed(), "name": "proxy"}
    found = one(
        pod(servers(ended)),
        node(),
        logs=(Log("v-a-1", "proxy", "CUDA out of memory", previous=True),),
    )
    assert found.code == "crash-loop"


def test_a_container_that_took_more_memory_than_it_may() -> None:
    limits = {"name": "vllm", "resources": {"limits": {"memory": "25Gi"}}}
    mine = pod(servers(crashed(137, reason="OOMKilled")), {"spec": {"containers": [limits]}})
    found = one(mine, node())
    assert (found.code, found.message) == (
        "out-of-memory",
        "vllm was killed: it used more than its memory limit (25Gi)",
    )
    assert "(not set)" in one(pod(servers(crashed(137, reason="OOMKilled"))), node()).message


def test_a_start_that_took_longer_than_its_budget() -> None:
    probe = {"startupProbe": {"periodSeconds": 5, "failureThreshold": 60}}
    mine = pod(servers(crashed(137)), {"spec": {"containers": [{"name": "vllm", **probe}]}})
    killed = event(mine, "Killing", "Container vllm failed startup probe, will be restarted")
    log = Log("v-a-1", "vllm", "CUDA out of memory", previous=True)
    assert one(mine, node(), killed, logs=(log,)) == Cause(
        "startup-budget-exceeded",
        Severity.ERROR,
        "Pod/v-a-1",
        "was not ready after 5 min, the start-up budget, and was killed",
        "set startup.budgetSeconds: 600 in the values; the timeline below says what took so long",
        final=True,
    )
    defaults = pod(servers(crashed(137)))
    assert "after 30 s," in one(defaults, node(), killed).message


def test_a_kill_of_an_earlier_run_says_nothing_of_this_one() -> None:
    mine = pod(servers(crashed(1, startedAt="2026-03-01T12:04:00Z")))
    killed = event(mine, "Killing", "Container vllm failed startup probe, will be restarted")
    assert one(mine, node(), killed).code == "crash-loop"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ([], "exit code 137"),
        (
            ["Container vllm failed liveness probe, will be restarted"],
            "it stopped answering /health",
        ),
    ],
)
def test_a_server_that_is_ready_again(more: list[str], why: str) -> None:
    status = {**running(), "ready": True, "restartCount": 2}
    status["lastState"] = {"terminated": {"exitCode": 137, "finishedAt": "2026-03-01T11:00:00Z"}}
    mine = ready(servers(status))
    found = one(mine, node(), *(event(mine, "Killing", text) for text in more))
    assert (found.code, found.severity) == ("restarted", Severity.WARNING)
    assert found.message == (
        f"vllm is ready now, but was restarted 2 times, last at 2026-03-01T11:00:00Z: {why}"
    )


def test_containers_that_cannot_be_started() -> None:
    waits = {"reason": "CreateContainerError", "message": "no such device"}
    found = one(pod(servers({"name": "vllm", "state": {"waiting": waits}})), node())
    assert (found.code, found.message) == (
        "container-start-failed",
        "vllm cannot be started: no such device",
    )


def test_a_sandbox_that_cannot_be_made() -> None:
    mine = created()
    said = event(mine, "FailedCreatePodSandBox", "Failed to create pod sandbox: no addresses")
    found = one(mine, node(), said)
    assert (found.code, found.message) == (
        "sandbox-failed",
        "the node cannot make the pod's sandbox: Failed to create pod sandbox: no addresses",
    )
    assert causes(ready(), node(), said) == []


def test_a_server_that_stopped_answering() -> None:
    status = {**running(), "started": True, "ready": False}
    mine = pod(servers(status))
    text = "Readiness probe failed: HTTP probe failed with statuscode: 503"
    probe = event(mine, "Unhealthy", text)
    found = one(mine, node(), probe)
    assert (found.code, found.message) == (
        "probe-failing",
        f"started, and does not answer any more: {text}",
    )


def test_probes_that_fail_while_the_server_starts_are_how_one_waits() -> None:
    mine = pod(servers({**running(), "started": False}))
    assert causes(mine, node(), event(mine, "Unhealthy", "Startup probe failed: refused")) == []
    started = pod(servers({**running(), "started": True}))
    assert causes(started, node(), event(started, "Unhealthy", "Startup probe failed: x")) == []


# --- nodes ----------------------------------------------------------------------------------------


def test_a_pod_on_a_node_that_is_gone() -> None:
    found = one(ready())
    assert (found.code, found.message) == (
        "node-lost",
        "runs on node n1, which is gone; Kubernetes removes the pod within minutes",
    )
    assert causes(ready(), unread=(Unread("Node", "no"),)) == []


def test_a_pod_on_a_node_that_does_not_answer() -> None:
    silent = {
        "type": "Ready",
        "status": "Unknown",
        "message": "Kubelet stopped posting node status.",
    }
    found = one(ready(), node("n1", {"status": {"conditions": [silent]}}))
    assert (found.code, found.object, found.message) == (
        "node-lost",
        "Node/n1",
        "is not ready, with v-a-1 on it: Kubelet stopped posting node status",
    )
    mute = one(ready(), node("n1", {"status": {"conditions": []}}))
    assert mute.message.endswith("it does not say why")


def ended(reason: str, message: str, *over: Json) -> Json:
    """A pod that failed as a whole."""
    return pod({"status": {"phase": "Failed", "reason": reason, "message": message}}, *over)


def disrupted(reason: str, message: str = "") -> Json:
    """The condition of a pod that something ended."""
    said = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
    return {"status": {"conditions": [said]}}


SPOT: Json = {"spec": {"nodeSelector": {gke.SPOT: "true"}}}


@pytest.mark.parametrize(
    ("mine", "code", "message"),
    [
        (
            ended("Evicted", "The node was low on resource: memory."),
            "preempted",
            "was ended (Evicted): The node was low on resource: memory",
        ),
        (
            ended("Terminated", "Imminent node shutdown.", disrupted("TerminationByKubelet")),
            "preempted",
            "was ended: its node ended it (Imminent node shutdown)",
        ),
        (
            ended("", "", disrupted("DeletionByPodGC"), SPOT),
            "preempted",
            "was ended: its node is gone. Its node was a Spot VM",
        ),
        (ended("", "", disrupted("Other", "Something.")), "preempted", "was ended: Something"),
        (
            ended("OutOfnvidia.com/gpu", "Node didn't have enough resource."),
            "refused-by-node",
            "node n1 refused it (OutOfnvidia.com/gpu): Node didn't have enough resource",
        ),
        (
            ended("UnexpectedAdmissionError", "Allocate failed"),
            "refused-by-node",
            "node n1 refused it (UnexpectedAdmissionError): Allocate failed",
        ),
    ],
    ids=["evicted", "node shutdown", "preempted", "another", "no GPU left", "device plugin"],
)  # fmt: skip
def test_pods_that_were_ended(mine: Json, code: str, message: str) -> None:
    found = one(mine, node())
    assert (found.code, found.severity, found.message) == (code, Severity.WARNING, message)
