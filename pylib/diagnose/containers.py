"""Containers that end, hang or are killed: the weights check, vLLM's own failures, probes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.scene import Scene, container_statuses, has_started, is_ready, newest, server_of
from pylib.diagnose.vllm_errors import recognise
from pylib.diagnose.wording import seconds, sentence
from pylib.snapshot.bodies import Body, name_of, named, number, part, parts, ref_of, word
from pylib.snapshot.model import event_time
from pylib.snapshot.plain import plain
from pylib.snapshot.pods import DOWNLOAD, SERVER
from pylib.validate.words import count

CHECK = "check-weights"
_LAST_LINES = 4
_BUDGET = re.compile(r"Container (\S+) failed startup probe")
_LIVENESS = re.compile(r"Container (\S+) failed liveness probe")
_ADVICE = (
    (
        "differ from the manifest",
        "bake the disk again, and name the new one in weights.disk.revisions",
    ),
    (
        "holds another revision",
        "set disk and manifestSha256 of one and the same revision in weights.disk.revisions",
    ),
    ("knows no file below", "set model.directory and model.name to a folder of the manifest"),
    ("There is no weights.manifest.json", "bake the disk; or, if it is good, weights.verify: none"),
    (
        "is not a list of files",
        "bake the disk again, and name the new one in weights.disk.revisions",
    ),
)
"""What to do, by what the chart's files/check_weights.py says."""
_STARTING = ("CreateContainerError", "RunContainerError", "CreatePodSandboxError")
_DEFAULT_PERIOD, _DEFAULT_THRESHOLD = 10, 3


def causes(scene: Scene) -> Iterator[Cause]:
    """Why containers do not run, for each pod the first that stands in the way."""
    for pod in scene.pods():
        yield from _of(scene, pod)


def _of(scene: Scene, pod: Body) -> Iterator[Cause]:
    for status in container_statuses(pod):
        if word(status, "name") == DOWNLOAD:
            continue
        ended = part(status, "state", "terminated") or part(status, "lastState", "terminated")
        failed = bool(ended) and number(ended, "exitCode") != 0
        waiting = word(status, "state", "waiting", "reason")
        if waiting in _STARTING:
            yield _cannot_start(scene, pod, status)
            return
        if failed and not status.get("ready"):
            yield from _failed(scene, pod, status, ended)
            return
        if failed:
            yield _restarted(scene, pod, status, ended)
    sandbox = newest(scene.events(pod, "FailedCreatePodSandBox"))
    if sandbox and not has_started(pod):
        yield _sandbox(scene, pod, sandbox)
    elif not is_ready(pod):
        yield from _not_answering(scene, pod)


def _failed(scene: Scene, pod: Body, status: Body, ended: Body) -> Iterator[Cause]:
    container = word(status, "name")
    if container == CHECK:
        yield _weights(scene, pod, ended)
        return
    budget = _budget(scene, pod, ended)
    if budget is not None:
        yield budget
        return
    log = _last_log(scene, pod, status, ended)
    node = word(pod, "spec", "nodeName")
    known = recognise(log, node) if container == SERVER else None
    restarts = number(status, "restartCount") or 0
    times = f", {count(restarts, 'restart')}" if restarts else ""
    if known:
        yield Cause(
            known.code,
            Severity.ERROR,
            ref_of(pod),
            f"{container} ended: {known.says}{times}",
            known.next,
            final=known.final,
        )
    elif word(ended, "reason") == "OOMKilled":
        yield _oom(pod, container)
    else:
        yield _crash(scene, pod, status, ended, log)


def _weights(scene: Scene, pod: Body, ended: Body) -> Cause:
    said = word(ended, "message") or scene.snapshot.log(name_of(pod), CHECK) or ""
    advice = next((advice for words, advice in _ADVICE if words in said), None)
    return Cause(
        "weights-check-failed",
        Severity.ERROR,
        ref_of(pod),
        f"its weights are not what they should be: {sentence(said) or 'the check said nothing'}",
        advice or scene.kubectl(f"logs {name_of(pod)} -c {CHECK}"),
        final=True,
    )


def _budget(scene: Scene, pod: Body, ended: Body) -> Cause | None:
    """The kubelet killed the container because start-up took longer than the probe allows."""
    killed = [
        event
        for event in scene.events(pod, "Killing")
        if _BUDGET.search(word(event, "message")) and event_time(event) >= word(ended, "startedAt")
    ]
    if not killed:
        return None
    probe = part(server_of(pod), "startupProbe")
    period = number(probe, "periodSeconds") or _DEFAULT_PERIOD
    allowed = period * (number(probe, "failureThreshold") or _DEFAULT_THRESHOLD)
    return Cause(
        "startup-budget-exceeded",
        Severity.ERROR,
        ref_of(pod),
        f"was not ready after {seconds(allowed)}, the start-up budget, and was killed",
        f"set startup.budgetSeconds: {2 * allowed} in the values; the timeline below says what "
        "took so long",
        final=True,
    )


def _oom(pod: Body, container: str) -> Cause:
    limit = word(server_of(pod), "resources", "limits", "memory") or "not set"
    return Cause(
        "out-of-memory",
        Severity.ERROR,
        ref_of(pod),
        f"{container} was killed: it used more than its memory limit ({limit})",
        "raise resources.limits.memory and resources.requests.memory in the values",
        final=True,
    )


def _crash(scene: Scene, pod: Body, status: Body, ended: Body, log: str) -> Cause:
    container, code = word(status, "name"), number(ended, "exitCode")
    restarts = number(status, "restartCount") or 0
    lines = [plain(line, 200) for line in log.splitlines() if line.strip()][-_LAST_LINES:]
    tail = f"; its last lines: {' | '.join(lines)}" if lines else "; it left no log"
    again = f" {restarts + 1} times, last" if restarts else ""
    previous = " --previous" if part(status, "lastState", "terminated") else ""
    return Cause(
        "crash-loop",
        Severity.ERROR,
        ref_of(pod),
        f"{container} ended{again} with exit code {code}{tail}",
        scene.kubectl(f"logs {name_of(pod)} -c {container}{previous}"),
    )


def _restarted(scene: Scene, pod: Body, status: Body, ended: Body) -> Cause:
    killed = [
        event for event in scene.events(pod, "Killing") if _LIVENESS.search(word(event, "message"))
    ]
    why = "it stopped answering /health" if killed else f"exit code {number(ended, 'exitCode')}"
    times = count(number(status, "restartCount") or 0, "time")
    return Cause(
        "restarted",
        Severity.WARNING,
        ref_of(pod),
        f"{word(status, 'name')} is ready now, but was restarted {times}, last at "
        f"{plain(word(ended, 'finishedAt'), 40)}: {why}",
        scene.kubectl(f"logs {name_of(pod)} -c {word(status, 'name')} --previous"),
    )


def _last_log(scene: Scene, pod: Body, status: Body, ended: Body) -> str:
    """The log of the run that failed, else what the kubelet kept of its end."""
    name, container = name_of(pod), word(status, "name")
    running = bool(part(status, "state", "terminated"))
    logs = scene.snapshot
    found = logs.log(name, container, previous=not running) or word(ended, "message")
    return found or logs.log(name, container) or ""


def _cannot_start(scene: Scene, pod: Body, status: Body) -> Cause:
    return Cause(
        "container-start-failed",
        Severity.ERROR,
        ref_of(pod),
        f"{word(status, 'name')} cannot be started: "
        f"{plain(word(status, 'state', 'waiting', 'message'))}",
        scene.kubectl(f"describe pod {name_of(pod)}"),
    )


def _sandbox(scene: Scene, pod: Body, message: str) -> Cause:
    return Cause(
        "sandbox-failed",
        Severity.ERROR,
        ref_of(pod),
        f"the node cannot make the pod's sandbox: {plain(message)}",
        scene.kubectl(f"describe pod {name_of(pod)}"),
    )


def _not_answering(scene: Scene, pod: Body) -> Iterator[Cause]:
    """Probes that fail once the server was up; before that they are how one waits."""
    status = named(parts(pod, "status", "containerStatuses"), SERVER)
    if status.get("started") is not True or not part(status, "state", "running"):
        return
    failing = [
        word(event, "message")
        for event in scene.events(pod, "Unhealthy")
        if not word(event, "message").startswith("Startup probe")
    ]
    if failing:
        yield Cause(
            "probe-failing",
            Severity.ERROR,
            ref_of(pod),
            f"started, and does not answer any more: {plain(failing[0], 240)}",
            scene.kubectl(f"logs {name_of(pod)} -c {SERVER} --tail=50"),
        )
