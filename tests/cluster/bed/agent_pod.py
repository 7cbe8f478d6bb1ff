"""One pod on an agent's node, from its binding to its deletion."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from pylib.errors import KubeError
from pylib.facts.vllm import Version
from pylib.kube import Body
from tests.cluster.bed.agent_container import Container, StartError
from tests.cluster.bed.agent_events import Event, now
from tests.cluster.bed.agent_logs import ADDRESS
from tests.cluster.bed.agent_node import BackOff, Node
from tests.cluster.bed.agent_status import Conditions, phase
from tests.cluster.bed.agent_volumes import ConfigError, NotYetError, Paths, Volumes, words

_RETRY_SECONDS = 0.2
_MOUNT_RETRY_SECONDS = 1.0


class Pod:
    """Runs one pod until it is deleted; everything on the agent's event loop."""

    def __init__(self, node: Node, body: Body) -> None:
        self.body = body
        self.uid: str = body["metadata"]["uid"]
        self.name: str = body["metadata"]["name"]
        self._node = node
        self._folder = node.folder / self.uid
        spec = body["spec"]
        self.inits = [self._container(one) for one in spec.get("initContainers", [])]
        self.mains = [self._container(one) for one in spec["containers"]]
        self._volumes = Volumes(node.kube, body, self._folder, node.disks)
        self._conditions = Conditions()
        self._address = node.network.address()
        self._has_sandbox = False
        self._is_over = False
        self._start_time = now()
        self._dirty = asyncio.Event()
        self._deleted = asyncio.Event()
        self._gone = asyncio.Event()
        for container in (*self.inits, *self.mains):
            reason = "PodInitializing" if self.inits else "ContainerCreating"
            container.state = {"waiting": {"reason": reason}}

    def _container(self, spec: Mapping[str, Any]) -> Container:
        found = Container(
            spec,
            self._folder,
            lambda reason, message: self._say_of(found, reason, message),
            self._changed,
        )
        return found

    def _say(self, reason: str, message: str, place: str = "") -> None:
        self._node.recorder.record(Event(self.body, reason, message, place), self._node.name)

    def _changed(self) -> None:
        self._dirty.set()

    def update(self, body: Body) -> None:
        """The API server has a newer version; a deletion ends the pod."""
        self.body = body
        if body["metadata"].get("deletionTimestamp"):
            self._deleted.set()

    def gone(self) -> None:
        """The object is gone: whatever still runs is killed."""
        self._gone.set()

    async def run(self) -> None:
        """The pod's whole life."""
        writer = asyncio.create_task(self._write_often())
        try:
            await self._first_of(self._live(), self._deleted, self._gone)
            if not self._gone.is_set():
                await self._first_of(self._terminate(), self._gone)
        finally:
            writer.cancel()
            await asyncio.gather(
                writer, *(c.close() for c in (*self.inits, *self.mains)), return_exceptions=True
            )

    @staticmethod
    async def _first_of(work: Coroutine[Any, Any, None], *ends: asyncio.Event) -> None:
        """Do the work until one of the events; a pod that is done waits for one."""
        tasks = [asyncio.create_task(end.wait()) for end in ends]
        working = asyncio.create_task(work)
        try:
            await asyncio.wait({working, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            for task in (working, *tasks):
                task.cancel()
            await asyncio.gather(working, *tasks, return_exceptions=True)

    # ---------------------------------------------------------------------------------- a life

    async def _live(self) -> None:
        self._changed()
        await self._mount()
        self._has_sandbox = True
        for container in self.inits:
            if not await self._keep(container, until_done=True):
                break
        else:
            await asyncio.gather(*(self._keep(container) for container in self.mains))
        self._is_over = True
        self._changed()
        await self._deleted.wait()

    async def _mount(self) -> None:
        """Wait until all volumes are there."""
        while True:
            try:
                await asyncio.to_thread(self._volumes.prepare)
            except NotYetError as error:
                if error.reason:
                    self._say(error.reason, str(error))
                await asyncio.sleep(_MOUNT_RETRY_SECONDS if error.reason else _RETRY_SECONDS)
            except KubeError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _keep(self, container: Container, *, until_done: bool = False) -> bool:
        """Run a container again and again, as its pod's restart policy has it; its last success."""
        policy = "OnFailure" if until_done else self.body["spec"].get("restartPolicy", "Always")
        if until_done and self.body["spec"].get("restartPolicy") == "Never":
            policy = "Never"
        back_off = BackOff(self._node.play.back_off, self._node.play.most_back_off)
        while True:
            await self._once(container)
            done = container.terminated.get("exitCode") == 0
            if policy == "Never" or (policy == "OnFailure" and done):
                return done
            await self._back_off(container, back_off.next(time.monotonic()))

    async def _back_off(self, container: Container, seconds: float) -> None:
        if seconds <= 0:
            return
        meta = self.body["metadata"]
        place = f"{meta['name']}_{meta['namespace']}({self.uid})"
        await asyncio.sleep(_RETRY_SECONDS)
        message = (
            f"back-off {_go(seconds)} restarting failed container={container.name} pod={place}"
        )
        container.wait_for("CrashLoopBackOff", message)
        said = f"Back-off restarting failed container {container.name} in pod {place}"
        self._say_of(container, "BackOff", said)
        await asyncio.sleep(seconds - _RETRY_SECONDS)

    def _say_of(self, container: Container, reason: str, message: str) -> None:
        kind = "initContainers" if container in self.inits else "containers"
        self._say(reason, message, f"spec.{kind}{{{container.name}}}")

    async def _once(self, container: Container) -> None:
        """One run of a container, to its end."""
        await self._pull(container)
        paths, environment = await self._configure(container)
        said = words(container.spec, paths, environment)
        with suppress(StartError):
            await container.start(said, paths, environment, self._address)
            ended = asyncio.create_task(container.exited.wait())
            unhealthy = asyncio.create_task(container.unhealthy.wait())
            try:
                await asyncio.wait({ended, unhealthy}, return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    why = (
                        f"Container {container.name} {container.reason_to_kill}, will be restarted"
                    )
                    await container.stop(self._grace(), why)
            finally:
                ended.cancel()
                unhealthy.cancel()

    async def _pull(self, container: Container) -> None:
        image, policy = container.spec["image"], container.spec.get("imagePullPolicy")
        node = self._node
        if policy != "Always" and (node.has_image_cache or image in node.images):
            said = "already present on machine and can be accessed by the pod"
            self._say_of(container, "Pulled", f'Container image "{image}" {said}')
            return
        self._say_of(container, "Pulling", f'Pulling image "{image}"')
        await asyncio.sleep(node.play.pull)
        node.images.add(image)
        took = _go(node.play.pull)
        said = f"{took} ({took} including waiting). Image size: 10500000000 bytes."
        self._say_of(container, "Pulled", f'Successfully pulled image "{image}" in {said}')

    async def _configure(self, container: Container) -> tuple[Paths, dict[str, str]]:
        """Mounts and environment; waits while what they refer to is absent."""
        while True:
            paths = self._volumes.paths(container.spec)
            try:
                own = await asyncio.to_thread(self._volumes.environment, container.spec, paths)
            except ConfigError as error:
                container.wait_for("CreateContainerConfigError", str(error))
                self._say_of(container, "Failed", f"Error: {error}")
                await asyncio.sleep(_MOUNT_RETRY_SECONDS)
            except KubeError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return paths, self._stand_in(container) | own

    def _stand_in(self, container: Container) -> dict[str, str]:
        """Variables for the stand-ins of programs; see server.py."""
        play = self._node.play
        found = {
            "PATH": f"{self._node.programs}:/usr/bin:/bin",
            "HOSTNAME": self.body["metadata"]["name"],
            "BED_ADDRESS": self._address[0],
            "BED_LOAD_SECONDS": str(play.load),
            "BED_TOKEN_SECONDS": str(play.token),
            **play.environment,
        }
        tag = container.spec["image"].partition("@")[0].rpartition(":")[2]
        return found | ({"BED_VLLM_VERSION": tag} if Version.parse(tag) else {})

    # ---------------------------------------------------------------------------------- an end

    def _grace(self) -> float:
        meta = self.body["metadata"]
        given = meta.get("deletionGracePeriodSeconds")
        own = self.body["spec"].get("terminationGracePeriodSeconds", 30)
        return float(own if given is None else given)

    async def _terminate(self) -> None:
        """Stop all containers, say so, and take the object away."""
        containers = (*self.inits, *self.mains)
        for container in containers:
            container.end_probes_of_a_deleted_pod()
        await asyncio.gather(*(container.stop(self._grace()) for container in containers))
        self._is_over = True
        await self._write()
        meta = self.body["metadata"]
        while not self._gone.is_set():
            with suppress(KubeError):
                await asyncio.to_thread(
                    self._node.kube.delete,
                    "v1",
                    "Pod",
                    meta["name"],
                    meta["namespace"],
                    grace_seconds=0,
                )
                return
            await asyncio.sleep(_RETRY_SECONDS)

    # ---------------------------------------------------------------------------------- status

    async def _write_often(self) -> None:
        while True:
            await self._dirty.wait()
            await self._write()
            await asyncio.sleep(0.02)

    async def _write(self) -> None:
        self._dirty.clear()
        meta = self.body["metadata"]
        try:
            await asyncio.to_thread(
                self._node.kube.patch,
                "v1",
                "Pod",
                meta["name"],
                meta["namespace"],
                {"status": self.status()},
                subresource="status",
                how="strategic",
            )
        except KubeError as error:
            if error.reason != "NotFound":
                await asyncio.sleep(_RETRY_SECONDS)
                self._dirty.set()

    def status(self) -> dict[str, Any]:
        """What the kubelet reports of the pod."""
        found = phase(self.mains, is_over=self._is_over)
        conditions = self._conditions.of(
            self.inits, self.mains, found, has_sandbox=self._has_sandbox and not self._is_over
        )
        status: dict[str, Any] = {
            "phase": found,
            "conditions": conditions,
            "hostIP": ADDRESS,
            "hostIPs": [{"ip": ADDRESS}],
            "startTime": self._start_time,
            "containerStatuses": [c.status() for c in self.mains],
        }
        if self.inits:
            status["initContainerStatuses"] = [_of_init(c) for c in self.inits]
        if self._has_sandbox:
            shown = self._address[1]
            status |= {"podIP": shown, "podIPs": [{"ip": shown}]}
        return status


def _of_init(container: Container) -> dict[str, Any]:
    done = container.state.get("terminated", {}).get("exitCode") == 0
    return container.status() | {"ready": done, "started": False}


def _go(seconds: float) -> str:
    """Seconds as Go prints a duration: ``10s``, ``1m20s``, ``2.5s``."""
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"
