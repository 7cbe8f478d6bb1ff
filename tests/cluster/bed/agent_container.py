"""One container as a real process: started, probed, stopped as a kubelet stops it, and told of.

Follows pkg/kubelet/kuberuntime of Kubernetes 1.36.  Simulated: no image, no root file system, no
user, no cgroup, and the process is not number 1 of a namespace of its own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.cluster.bed.agent_events import now
from tests.cluster.bed.agent_probes import Kind, Probe, Target, attempt, follow
from tests.cluster.bed.agent_volumes import TERMINATION_LOG, Paths

# Python ignores SIGPIPE, which the program would inherit.
_LAUNCH = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); "
    "signal.signal(signal.SIGPIPE, signal.SIG_DFL); "
    "os.getppid() == int(sys.argv[1]) or os.kill(os.getpid(), signal.SIGKILL); "
    "os.execvp(sys.argv[2], sys.argv[2:])"
)
_LEAST_GRACE = 2.0
_MESSAGE_BYTES = 4096
_LOG_BYTES = 2048
_LOG_LINES = 80
_NOT_FOUND = 128

Say = Callable[[str, str], None]
"""Records an event of the container: its reason and its message."""


def tied(words: Sequence[str]) -> list[str]:
    """A command that ends, by the kernel's hand, with the thread that starts it."""
    return [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *words]


class StartError(Exception):
    """The runtime could not start the process."""


class Container:
    """One container of a pod over all its runs; ``changed`` hears when its status does."""

    def __init__(
        self, spec: Mapping[str, Any], folder: Path, say: Say, changed: Callable[[], None]
    ) -> None:
        self.spec = spec
        self.name = str(spec["name"])
        self.state: dict[str, Any] = {}
        self.last_state: dict[str, Any] = {}
        self.restarts = 0
        self.ready = False
        self.container_id = ""
        self.started = asyncio.Event()
        self.exited = asyncio.Event()
        self.unhealthy = asyncio.Event()
        self.reason_to_kill = ""
        self._folder = folder / self.name
        self._say = say
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: dict[Kind | str, asyncio.Task[None]] = {}
        self._environment: Mapping[str, str] = {}
        self._paths = Paths({})
        self._target: Target | None = None

    @property
    def pid(self) -> int | None:
        """Number of the running process."""
        running = self._process is not None and "running" in self.state
        return self._process.pid if self._process is not None and running else None

    @property
    def place(self) -> tuple[Path, Paths, Mapping[str, str], Target | None]:
        """Where a command beside its process runs: folder, paths, variables, address."""
        return self._folder, self._paths, self._environment, self._target

    @property
    def terminated(self) -> dict[str, Any]:
        """How the last run ended; empty before one did."""
        found: dict[str, Any] = self.state.get("terminated") or self.last_state.get(
            "terminated", {}
        )
        return found

    def wait_for(self, reason: str, message: str = "") -> None:
        """It is not running, and that is why."""
        if "terminated" in self.state:
            self.last_state = self.state
        waiting = {"reason": reason} | ({"message": message} if message else {})
        self.state = {"waiting": waiting}
        self._changed()

    async def start(
        self,
        words: Sequence[str],
        paths: Paths,
        environment: Mapping[str, str],
        address: tuple[str, str],
    ) -> None:
        """Run the process and its probes; ``address`` is what it listens on and what it is told.

        Raises :class:`StartError` when its program does not exist.
        """
        if self.container_id:
            self.restarts += 1
        if "terminated" in self.state:
            self.last_state = self.state
        self._environment, self._paths = environment, paths
        self.container_id = f"containerd://{os.urandom(32).hex()}"
        self.ready = False
        for event in (self.started, self.exited, self.unhealthy):
            event.clear()
        if not shutil.which(words[0], path=environment["PATH"]):
            self._record_exit(_NOT_FOUND, now(), "StartError", _no_program(words[0]))
            raise StartError(_no_program(words[0]))
        await self._run(words)
        self._say("Created", "Container created")
        self._say("Started", "Container started")
        ports = {p["name"]: p["containerPort"] for p in self.spec.get("ports", []) if "name" in p}
        self._target = Target(*address, ports, self._execute)
        self._begin_probes()
        self._changed()

    async def _run(self, words: Sequence[str]) -> None:
        with self.log().open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tied(words),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )
        began = now()
        self.state = {"running": {"startedAt": began}}
        self._tasks["reap"] = asyncio.create_task(self._reap(self._process, began))

    def log(self, *, previous: bool = False) -> Path:
        """The file with what this run, or the one before, wrote."""
        return self._folder / f"{self.restarts - previous}.log"

    def _begin_probes(self) -> None:
        probes = {probe.kind: probe for probe in Probe.all_of(self.spec)}
        if Kind.STARTUP not in probes:
            self.started.set()
        if Kind.READINESS not in probes and self.started.is_set():
            self.ready = True
        for kind, probe in probes.items():
            assert self._target is not None
            probing = follow(probe, self._target, self.started, self._failed, self._judged)
            self._tasks[kind] = asyncio.create_task(probing)

    def _failed(self, probe: Probe, problem: str) -> None:
        self._say("Unhealthy", f"{probe.kind} probe failed: {problem}")

    def _judged(self, probe: Probe, good: bool) -> None:
        if probe.kind is Kind.READINESS:
            self.ready = good
        elif not good:
            self.reason_to_kill = f"failed {probe.kind.lower()} probe"
            self.unhealthy.set()
        elif probe.kind is Kind.STARTUP:
            self.started.set()
            if not self.spec.get("readinessProbe"):
                self.ready = True
        self._changed()

    async def _reap(self, process: asyncio.subprocess.Process, began: str) -> None:
        code = await process.wait()
        with suppress(ProcessLookupError):  # what it began ends with it, as in a container
            os.killpg(process.pid, signal.SIGKILL)
        self._end_probes(*Kind)
        number = code if code >= 0 else 128 - code
        self._record_exit(number, began, "Completed" if number == 0 else "Error")

    def _record_exit(self, code: int, began: str, reason: str, message: str = "") -> None:
        text = message or self._message(code)
        ended = {"exitCode": code, "reason": reason, "startedAt": began, "finishedAt": now()}
        said = {"message": text} if text else {}
        self.state = {"terminated": {**ended, **said, "containerID": self.container_id}}
        self.ready = False
        self.exited.set()
        self._changed()

    def _message(self, code: int) -> str:
        path = self.spec.get("terminationMessagePath", TERMINATION_LOG)
        said = self._paths.folders[path].read_bytes()[:_MESSAGE_BYTES].decode("utf-8", "replace")
        policy = self.spec.get("terminationMessagePolicy", "File")
        if said or code == 0 or policy != "FallbackToLogsOnError":
            return said
        tail = self.log().read_bytes()[-_LOG_BYTES:].decode("utf-8", "replace")
        return "".join(tail.splitlines(keepends=True)[-_LOG_LINES:])

    def end_probes_of_a_deleted_pod(self) -> None:
        """Only readiness is still asked while a pod ends."""
        self._end_probes(Kind.STARTUP, Kind.LIVENESS)

    def _end_probes(self, *kinds: Kind) -> None:
        for kind in kinds:
            if task := self._tasks.pop(kind, None):
                task.cancel()

    async def stop(self, grace: float, message: str = "") -> None:
        """preStop, SIGTERM, what is left of ``grace`` seconds, SIGKILL."""
        process = self._process
        if process is None or "running" not in self.state:
            return
        self._say("Killing", message or f"Stopping container {self.name}")
        hook = self.spec.get("lifecycle", {}).get("preStop")
        if hook and grace > 0:
            began = time.monotonic()
            await self._pre_stop(hook, grace)
            grace -= int(time.monotonic() - began)
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(self.exited.wait(), max(grace, _LEAST_GRACE))
        except TimeoutError:
            await self.kill()

    async def _pre_stop(self, hook: Mapping[str, Any], grace: float) -> None:
        try:
            async with asyncio.timeout(grace):
                if "sleep" in hook:
                    await asyncio.sleep(hook["sleep"]["seconds"])
                    return
                assert self._target is not None
                problem = await attempt(hook, self._target, grace)
        except TimeoutError:
            return
        if problem:
            self._say("FailedPreStopHook", "PreStopHook failed")

    async def _execute(self, command: Sequence[str], timeout: float) -> tuple[int, str]:
        """A command beside the running process: exit code and output."""
        process = await asyncio.create_subprocess_exec(
            *tied([self._paths.rewrite(word) for word in command]),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
            cwd=self._folder,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), timeout)
        except TimeoutError:
            process.kill()
            await process.wait()
            return 1, f"command timed out after {timeout:g}s"
        return process.returncode or 0, output.decode("utf-8", "replace")

    async def kill(self) -> None:
        """SIGKILL at once; returns when it has ended."""
        if self._process is not None and "running" in self.state:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self.exited.wait()

    async def close(self) -> None:
        """Kill it and leave no task."""
        await self.kill()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def status(self) -> dict[str, Any]:
        """Its ContainerStatus."""
        image = self.spec["image"]
        return {
            "name": self.name,
            "image": image,
            "imageID": image if self.container_id else "",
            "containerID": self.container_id,
            "restartCount": self.restarts,
            "ready": self.ready,
            "started": self.started.is_set() and "running" in self.state,
            "state": self.state,
            "lastState": self.last_state,
        }


def _no_program(word: str) -> str:
    return (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        "runc create failed: unable to start container process: error during container init: "
        f'exec: "{word}": executable file not found in $PATH'
    )
