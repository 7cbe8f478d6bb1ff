"""A small kubelet for tests: runs the pods of its nodes as real processes on loopback.

Its nodes are those labelled ``bed/run-by: agent``.  Real: processes, signals, exit codes, HTTP
probes with their periods and thresholds, preStop, grace periods, restarts with back-off, config
maps, secrets, claims, attachments, logs, exec, status, conditions, events in the kubelet's words.
Simulated: images (``vllm`` is server.py, ``python3`` this Python), mounts and users (see
agent_volumes.py), the pod network (a pod that is told 10.x.y.z listens on 127.x.y.z), GPUs.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
import threading
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from pylib.kube import Body, Kube
from pylib.proc import Completed
from tests.cluster.bed.agent_attach import Attacher, Cloud
from tests.cluster.bed.agent_container import Container
from tests.cluster.bed.agent_events import Recorder
from tests.cluster.bed.agent_exec import beside
from tests.cluster.bed.agent_logs import Logs
from tests.cluster.bed.agent_node import Network, Node, Play, cached_image
from tests.cluster.bed.agent_pod import Pod
from tests.cluster.bed.components import MADE_BY
from tests.cluster.bed.reflect import Reflector

T = TypeVar("T")
_ROOT = Path(__file__).resolve().parents[3]
_CLOSE_SECONDS = 30.0


class Agent:
    """Plays all nodes labelled for it until :meth:`close`; no process of a pod outlives it.

    ``disks`` are the folders that stand for disks, by volume handle; a test may add some later.
    With a ``cloud`` a real disk is mounted there.  ``folder`` receives logs and volumes.
    """

    def __init__(
        self,
        kubeconfig: Path,
        folder: Path,
        disks: Mapping[str, Path],
        play: Play | None = None,
        cloud: Cloud | None = None,
    ) -> None:
        self.play = play or Play()
        self.disks = disks
        self._kube = Kube.connect(kubeconfig)
        self._folder = folder
        self._programs = _programs(folder / "programs")
        self._recorder = Recorder(Kube.connect(kubeconfig))
        self._logs = Logs(folder / "pki", self._log_file, self._execute)
        self._nodes: dict[str, Node] = {}
        self._pods: dict[str, Pod] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failures: list[BaseException] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="agent", daemon=True)
        self._thread.start()
        self._reflectors = [
            Reflector(self._kube, "v1", "Node", self._on_node, labels=f"{MADE_BY}=agent")
        ]
        self._reflectors[0].wait()
        self._reflectors.append(Reflector(self._kube, "v1", "Pod", self._on_pod))
        self._attacher = Attacher(self._kube, disks, self._nodes.__contains__, cloud)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill all pods' processes and let go of the nodes; raises what went wrong in the agent."""
        for reflector in self._reflectors:
            reflector.close()
        self._attacher.close()
        self._wait_for(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_SECONDS)
        self._loop.close()
        self._recorder.close()
        self._logs.close()
        for node in self._nodes.values():
            node.network.close()
        if self._failures:
            raise self._failures[0]

    async def _end(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_default_executor()

    def pids(self) -> dict[str, int]:
        """Process of each running container, by ``pod/container``."""
        return {
            f"{pod.name}/{container.name}": container.pid
            for pod, container in self._containers()
            if container.pid is not None
        }

    def kill(self, pod: str, container: str = "vllm") -> None:
        """SIGKILL for the process of a running container, as the kernel does out of memory."""
        os.kill(self.pids()[f"{pod}/{container}"], signal.SIGKILL)

    def _containers(self) -> list[tuple[Pod, Container]]:
        pods = list(self._pods.values())
        return [(pod, container) for pod in pods for container in (*pod.inits, *pod.mains)]

    def _log_file(self, namespace: str, pod: str, container: str, previous: bool) -> Path | None:
        known = self._container(namespace, pod, container)
        return known.log(previous=previous) if known else None

    def _execute(
        self, namespace: str, pod: str, container: str, command: Sequence[str]
    ) -> Completed:
        known = self._container(namespace, pod, container)
        if known is None or known.pid is None:
            raise KeyError(container)
        return beside(known, command, self.play.files)

    def _container(self, namespace: str, pod: str, container: str) -> Container | None:
        wanted = (namespace, pod, container)
        for one, known in self._containers():
            if (one.body["metadata"]["namespace"], one.name, known.name) == wanted:
                return known
        return None

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CLOSE_SECONDS)

    # ------------------------------------------------------------------- on reflectors' threads

    def _on_node(self, uid: str, body: Body | None) -> None:
        self._loop.call_soon_threadsafe(self._node_changed, uid, body)

    def _on_pod(self, uid: str, body: Body | None) -> None:
        self._loop.call_soon_threadsafe(self._pod_changed, uid, body)

    # ------------------------------------------------------------------------ on the event loop

    def _node_changed(self, uid: str, body: Body | None) -> None:
        if body is None:
            if task := self._tasks.pop(uid, None):
                task.cancel()
            return
        if uid in self._tasks:
            return
        name = body["metadata"]["name"]
        known = self._nodes.get(name)
        self._nodes[name] = Node(
            name=name,
            kube=self._kube,
            recorder=self._recorder,
            play=self.play,
            folder=self._folder,
            programs=self._programs,
            disks=self.disks,
            network=known.network if known else Network(),
            port=self._logs.port,
            has_image_cache=cached_image(body),
        )
        self._begin(uid, self._nodes[name].beat())

    def _pod_changed(self, uid: str, body: Body | None) -> None:
        pod = self._pods.get(uid)
        if pod is not None:
            pod.gone() if body is None else pod.update(body)
        elif body is not None and (node := self._nodes.get(body["spec"].get("nodeName", ""))):
            pod = self._pods[uid] = Pod(node, body)
            pod.update(body)
            self._begin(uid, pod.run())

    def _begin(self, uid: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks[uid] = self._loop.create_task(work)
        task.add_done_callback(lambda done: self._ended(uid, done))

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(uid, None)
        if not task.cancelled() and (error := task.exception()):
            self._failures.append(error)


def _programs(folder: Path) -> Path:
    """A folder with the programs that the images have."""
    folder.mkdir(parents=True)
    python = shlex.quote(sys.executable)
    server = f"PYTHONPATH={shlex.quote(str(_ROOT))} exec {python} -P -m tests.cluster.bed.server"
    for name, command in {"vllm": server, "python3": f"exec {python}"}.items():
        file = folder / name
        file.write_text(f'#!/bin/sh\n{command} "$@"\n', encoding="utf-8")
        file.chmod(0o755)
    return folder
