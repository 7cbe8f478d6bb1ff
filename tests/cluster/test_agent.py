"""The agent's parts that need no control plane: probes, containers, paths; and the clients'."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.bed.agent_container import Container, StartError
from tests.cluster.bed.agent_node import BackOff
from tests.cluster.bed.agent_probes import Kind, Probe, Tally, Target, attempt, follow
from tests.cluster.bed.agent_volumes import Paths, words
from tests.cluster.bed.bed import ROOT
from tests.cluster.bed.clients import Endpoint, eligible, endpoints_of
from tests.cluster.bed.wait import until

IMAGE = "example.com/c:1"


# ------------------------------------------------------------------------------------------ probes


def test_a_verdict_takes_its_threshold_of_like_results_in_a_row() -> None:
    probe = Probe(Kind.READINESS, {}, failure_threshold=3, success_threshold=2)
    tally = Tally(probe)
    results = [True, True, False, False, True, False, False, False, False]
    verdicts = [tally.add(good=good) for good in results]
    assert verdicts == [None, True, None, None, None, None, None, False, False]


def test_probes_are_read_as_the_api_server_fills_them_in() -> None:
    action = {"httpGet": {"path": "/health", "port": "http"}}
    [startup, liveness] = Probe.all_of(
        {
            "startupProbe": {**action, "periodSeconds": 2, "failureThreshold": 30},
            "livenessProbe": {**action, "timeoutSeconds": 9, "initialDelaySeconds": 4},
        }
    )
    assert (startup.kind, startup.period, startup.timeout) == (Kind.STARTUP, 2, 1)
    assert (startup.failure_threshold, startup.success_threshold) == (30, 1)
    assert (liveness.kind, liveness.period, liveness.timeout) == (Kind.LIVENESS, 10, 9)
    assert (liveness.initial_delay, liveness.failure_threshold) == (4, 3)


async def execute(command: Any, seconds: float) -> tuple[int, str]:
    return (0, "") if command == ["true"] else (3, "no such luck\n")


def target(address: str, port: int) -> Target:
    return Target(address, "10.1.2.3", {"http": port}, execute)


Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def answering(status: int | None) -> Respond:
    """A server that answers with a status, or never."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if status is None:
                await reader.read()
            else:
                writer.write(f"HTTP/1.1 {status} x\r\n\r\n".encode())
        finally:
            writer.close()

    return respond


GET = {"httpGet": {"path": "/health", "port": "http"}}
URL = 'Get "http://10.1.2.3:{port}/health"'


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (200, ""),
        (399, ""),
        (400, "HTTP probe failed with statuscode: 400"),
        (503, "HTTP probe failed with statuscode: 503"),
        (
            None,
            f"{URL}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        ),
    ],
)
def test_an_http_probe_says_what_the_kubelet_says(status: int | None, problem: str) -> None:
    async def probe() -> tuple[str, int]:
        server = await asyncio.start_server(answering(status), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await attempt(GET, target("127.0.0.1", port), 0.2), port

    said, port = asyncio.run(probe())
    assert said == problem.format(port=port)


def test_a_probe_of_nobody_is_refused_and_one_that_is_no_probe_is_an_error() -> None:
    async def probe(action: Mapping[str, Any]) -> str:
        return await attempt(action, target("127.0.0.1", 9), 1)

    url = URL.format(port=9)
    assert asyncio.run(probe(GET)) == f"{url}: dial tcp 10.1.2.3:9: connect: connection refused"
    assert asyncio.run(probe({"exec": {"command": ["true"]}})) == ""
    assert asyncio.run(probe({"exec": {"command": ["false"]}})) == "no such luck"
    refused = "dial tcp 10.1.2.3:9: connect: connection refused"
    assert asyncio.run(probe({"tcpSocket": {"port": 9}})) == refused
    with pytest.raises(ValueError, match="knows no probe or hook like"):
        asyncio.run(probe({"grpc": {"port": 9}}))


def test_readiness_is_asked_once_started_and_the_startup_probe_no_more() -> None:
    heard: list[str] = []

    async def life() -> None:
        started, ready = asyncio.Event(), asyncio.Event()
        results = iter([3, 3, 0])

        async def run(command: Any, seconds: float) -> tuple[int, str]:
            heard.append(command[0])
            return (next(results, 0) if command == ["startup"] else 0), "not yet"

        def judged(probe: Probe, good: bool) -> None:
            heard.append(f"{probe.kind} is {good}")
            (started if probe.kind is Kind.STARTUP else ready).set()

        def failed(probe: Probe, problem: str) -> None:
            heard.append(f"{probe.kind}: {problem}")

        probes = [
            Probe(kind, {"exec": {"command": [kind.lower()]}}, period=0.02)
            for kind in (Kind.STARTUP, Kind.READINESS)
        ]
        at = Target("", "", {}, run)
        tasks = [asyncio.create_task(follow(p, at, started, failed, judged)) for p in probes]
        await ready.wait()
        assert tasks[0].done()
        for task in tasks:
            task.cancel()

    asyncio.run(life())
    said = "Startup: not yet"
    assert heard == [
        *("startup", said, "startup", said, "startup", "Startup is True"),
        *("readiness", "Readiness is True"),
    ]


# -------------------------------------------------------------------------------------- containers


def test_the_first_restart_is_at_once_then_it_waits_ever_longer_up_to_a_limit() -> None:
    back_off = BackOff(first=10, most=60)
    assert [back_off.next(float(at)) for at in range(6)] == [0, 10, 20, 40, 60, 60]
    assert back_off.next(1000.0) == 0, "a container that ran for long begins anew"


SH = ["/bin/sh", "-c"]


@dataclass
class Trial:
    """A container, and the events that it had recorded."""

    folder: Path
    events: list[tuple[str, str]]

    def container(self, **spec: Any) -> Container:
        whole = {"name": "c", "image": IMAGE, **spec}
        return Container(whole, self.folder, lambda *said: self.events.append(said), lambda: None)

    async def begin(self, container: Container, *command: str) -> None:
        own = self.folder / "c"
        own.mkdir(exist_ok=True)
        (own / "log").write_bytes(b"")
        paths = Paths({"/dev/termination-log": own / "log"})
        environment = {"PATH": "/usr/bin:/bin"}
        said = words({"command": command}, paths, environment)
        await container.start(said, paths, environment, ("127.0.0.1", "10.0.0.1"))


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """A folder for a container."""
    return Trial(tmp_path, [])


def test_a_stop_runs_prestop_then_asks_then_kills(trial: Trial) -> None:
    ready = trial.folder / "ready"

    async def life() -> Container:
        hook = {"exec": {"command": [*SH, f"cat {ready} > {trial.folder}/hook"]}}
        container = trial.container(lifecycle={"preStop": hook})
        script = f"trap 'echo asked' TERM; echo here > {ready}; while :; do sleep 0.05; done"
        await trial.begin(container, *SH, script)
        while not ready.exists():
            await asyncio.sleep(0.01)
        await container.stop(0.2)
        assert container.exited.is_set()
        await container.close()
        return container

    container = asyncio.run(life())
    assert (trial.folder / "hook").read_text() == "here\n"
    assert container.log().read_text() == "asked\n"
    assert container.terminated["exitCode"] == 137
    assert [reason for reason, _ in trial.events] == ["Created", "Started", "Killing"]
    assert trial.events[-1][1] == "Stopping container c"


def test_a_stop_waits_for_a_process_that_ends_when_asked(trial: Trial) -> None:
    async def life() -> Container:
        container = trial.container(lifecycle={"preStop": {"sleep": {"seconds": 0}}})
        await trial.begin(
            container, *SH, "trap 'exit 7' TERM; echo x; while :; do sleep 0.05; done"
        )
        while not container.log().read_text():
            await asyncio.sleep(0.01)
        await container.stop(30, "Container c failed liveness probe, will be restarted")
        await container.close()
        return container

    container = asyncio.run(life())
    assert (container.terminated["exitCode"], container.terminated["reason"]) == (7, "Error")
    assert trial.events[-1] == ("Killing", "Container c failed liveness probe, will be restarted")


def test_a_failing_hook_is_told_of_and_the_stop_goes_on(trial: Trial) -> None:
    async def life() -> Container:
        container = trial.container(lifecycle={"preStop": {"exec": {"command": ["false"]}}})
        await trial.begin(container, "sleep", "60")
        await container.stop(30)
        await container.close()
        return container

    assert asyncio.run(life()).terminated["exitCode"] == 143
    assert ("FailedPreStopHook", "PreStopHook failed") in trial.events


@pytest.mark.parametrize(
    ("policy", "script", "message"),
    [
        ("File", "echo why > /dev/termination-log; echo log; exit 1", "why\n"),
        ("File", "echo log; exit 1", None),
        ("FallbackToLogsOnError", "echo log; exit 1", "log\n"),
        ("FallbackToLogsOnError", "echo why > /dev/termination-log; echo log; exit 1", "why\n"),
        ("FallbackToLogsOnError", "echo log", None),
        ("FallbackToLogsOnError", "yes | head -n 99; exit 1", "y\n" * 80),
    ],
)
def test_the_message_of_an_end_follows_its_policy(
    trial: Trial, policy: str, script: str, message: str | None
) -> None:
    async def life() -> Container:
        container = trial.container(terminationMessagePolicy=policy)
        await trial.begin(container, *SH, script)
        await container.exited.wait()
        await container.close()
        return container

    assert asyncio.run(life()).terminated.get("message") == message


def test_a_second_run_counts_and_keeps_what_the_first_left(trial: Trial) -> None:
    async def life() -> Container:
        container = trial.container()
        await trial.begin(container, *SH, "echo one; exit 3")
        await container.exited.wait()
        await trial.begin(container, *SH, "echo two; sleep 60")
        while not container.log().read_text():
            await asyncio.sleep(0.01)
        assert container.pid is not None
        status = container.status()
        assert (status["restartCount"], status["ready"], status["started"]) == (1, True, True)
        assert status["lastState"]["terminated"]["exitCode"] == 3
        await container.close()
        return container

    container = asyncio.run(life())
    assert container.pid is None
    assert container.log(previous=True).read_text() == "one\n"
    assert container.log().read_text() == "two\n"


def test_a_program_that_is_not_there_ends_as_the_runtime_ends_it(trial: Trial) -> None:
    container = trial.container()
    with pytest.raises(StartError, match=r'exec: "vllm": executable file not found in \$PATH'):
        asyncio.run(trial.begin(container, "vllm", "serve"))
    ended = container.terminated
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")


def test_what_a_process_began_ends_with_it(trial: Trial) -> None:
    async def life() -> int:
        container = trial.container()
        await trial.begin(container, *SH, "sleep 60 & echo $!; exit 0")
        await container.exited.wait()
        await container.close()
        return int(container.log().read_text())

    child = asyncio.run(life())
    until(lambda: not is_alive(child), 10, "the child has ended")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_no_process_outlives_a_killed_agent(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from tests.cluster.test_agent import Trial
async def life():
    trial = Trial(Path(sys.argv[1]), [])
    container = trial.container()
    await trial.begin(container, "/bin/sh", "-c", "echo; exec sleep 60")
    while not container.log().read_text():
        await asyncio.sleep(0.01)
    print(container.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(life())
"""
    agent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert agent.stdout is not None
    with agent.stdout:
        pid = int(agent.stdout.readline())
        assert is_alive(pid)
        os.kill(agent.pid, signal.SIGKILL)
        agent.wait()
    until(lambda: not is_alive(pid), 10, "the kernel has ended it")


# ----------------------------------------------------------------------------------- paths, clients


def test_paths_below_a_mount_are_rewritten_and_others_left(tmp_path: Path) -> None:
    paths = Paths({"/model-data": tmp_path / "m", "/tmp": tmp_path / "t", "/a": tmp_path / "a"})
    text = "--root=/model-data /model-data/x /model-data-2 /var/tmp /tmp; x/a '/a' /ab"
    assert paths.rewrite(text) == (
        f"--root={tmp_path}/m {tmp_path}/m/x /model-data-2 /var/tmp {tmp_path}/t; x/a "
        f"'{tmp_path}/a' /ab"
    )


def test_variables_in_words_are_filled_in_when_they_are_known() -> None:
    container = {"command": ["a", "$(NAME)"], "args": ["$(cat x)", "$(OTHER)", "$$(NAME)"]}
    found = words(container, Paths({}), {"NAME": "v"})
    assert found == ["a", "v", "$(cat x)", "$(OTHER)", "$$(NAME)"]


def endpoint(pod: str, **said: bool) -> dict[str, Any]:
    return {"addresses": ["10.9.8.7"], "targetRef": {"name": pod}, "conditions": said}


def test_requests_go_to_ready_endpoints_and_else_to_those_that_end_but_serve() -> None:
    ends = endpoint("ends", ready=False, serving=True, terminating=True)
    loads = endpoint("loads", ready=False, serving=False, terminating=False)
    ready = endpoint("ready")

    def pods(*endpoints: dict[str, Any]) -> list[str]:
        body = {"ports": [{"name": "http", "port": 8000}], "endpoints": list(endpoints)}
        return [one.pod for one in eligible(endpoints_of(body))]

    assert pods(ends, loads, ready) == ["ready"]
    assert pods(ends, loads) == ["ends"]
    silent = endpoint("silent", ready=False, serving=False, terminating=True)
    assert pods(loads, silent) == []
    [found] = endpoints_of({"ports": [{"port": 8000}], "endpoints": [ready]})
    wanted = Endpoint("ready", "127.9.8.7", 8000, ready=True, serving=True, terminating=False)
    assert found == wanted
