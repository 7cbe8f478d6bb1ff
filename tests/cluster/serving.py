"""A release whose pods are real processes, and what the tests of serving ask about it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pylib.kube import Body, Kube
from tests.chart.helmtool import Values, merged
from tests.cluster.bed.agent import Agent
from tests.cluster.bed.agent_node import Play
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.clients import Clients
from tests.cluster.bed.gke import PROJECT
from tests.cluster.bed.wait import until
from tests.cluster.release import (
    NAME,
    POOL,
    SMALL,
    ZONE_A,
    Helm,
    is_ready,
    pods,
    revision,
    write_values,
)

FIRST, SECOND = "r1", "r2"
"""Names of two revisions; the weights of each begin with its name, and so do its completions."""

MODEL = "gemma/gemma-7b"
SERVING: Values = merged(
    SMALL,
    {
        "cells": [{**SMALL["cells"][0], "replicas": 2}],
        "image": {"tag": "v0.33.0"},
        "startup": {"periodSeconds": 1, "budgetSeconds": 30},
        "shutdown": {"preStopSeconds": 3, "drainSeconds": 4, "bufferSeconds": 1},
    },
)
"""Two replicas, with the times of a stop shortened in the proportions of the chart's defaults."""

ONE: Values = {"cells": [{**SMALL["cells"][0], "replicas": 1}]}
"""One replica instead: an update takes half the time."""


def make_disk(folder: Path, text: str) -> str:
    """A baked disk in ``folder``: a model, its manifest; the manifest's sha256."""
    files = {f"{MODEL}/config.json": "{}\n", f"{MODEL}/model.safetensors": f"{text}\nweights\n"}
    entries = []
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        digest = hashlib.sha256(content.encode()).hexdigest()
        entries.append({"path": path, "size": len(content), "sha256": digest})
    manifest = json.dumps(entries).encode()
    (folder / "weights.manifest.json").write_bytes(manifest)
    return hashlib.sha256(manifest).hexdigest()


def handle(name: str, zone: str = ZONE_A) -> str:
    """The volume handle of a disk."""
    return f"projects/{PROJECT}/zones/{zone}/disks/{name}"


@dataclass
class Stage:
    """A namespace with two nodes that the agent plays, two baked disks and one release."""

    bed: Bed
    namespace: str
    helm: Helm
    folder: Path
    play: Play = field(default_factory=Play)
    disks: dict[str, Path] = field(default_factory=dict)
    _hashes: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        for name in (FIRST, SECOND):
            folder = self.folder / "disks" / name
            self._hashes[name] = make_disk(folder, name)
            self.disks[handle(f"gemma-7b-{name}-a")] = folder
        for name in ("gpu-1", "gpu-2"):
            self.bed.add_node(name, zone=ZONE_A, pool=POOL, run_by="agent")
        self.agent = Agent(self.bed.kubeconfig, self.folder / "agent", self.disks, self.play)
        return self

    def __exit__(self, *_: object) -> None:
        self.agent.close()

    @property
    def kube(self) -> Kube:
        """The API."""
        return self.bed.kube

    def disk(self, name: str) -> Path:
        """The folder that stands for a revision's disk."""
        return self.disks[handle(f"gemma-7b-{name}-a")]

    def values(
        self,
        current: str = FIRST,
        over: Mapping[str, Any] | None = None,
        revisions: Sequence[str] = (FIRST, SECOND),
    ) -> Path:
        """A values file that lists ``revisions`` and serves ``current``."""
        listed = [revision(name, manifestSha256=self._hashes[name]) for name in revisions]
        own = {"weights": {"disk": {"current": current, "revisions": listed}}}
        return write_values(self.folder, merged(own, over or {}), base=SERVING)

    def install(self, current: str = FIRST, over: Mapping[str, Any] | None = None) -> None:
        """Install, and return when all pods are ready."""
        self.helm.install(NAME, self.namespace, self.values(current, over))
        self.wait_ready()

    def update(
        self,
        current: str,
        over: Mapping[str, Any] | None = None,
        revisions: Sequence[str] = (FIRST, SECOND),
    ) -> None:
        """Upgrade; returns when helm does."""
        self.helm.upgrade(NAME, self.namespace, self.values(current, over, revisions))

    def wait_ready(self) -> None:
        """Return when all pods that there should be are new and ready, and no other is left."""

        def done() -> bool:
            body = self.kube.get("apps/v1", "Deployment", f"{NAME}-a", self.namespace) or {}
            status, wanted = body.get("status", {}), body.get("spec", {}).get("replicas")
            seen = status.get("observedGeneration") == body.get("metadata", {}).get("generation")
            keys = ("replicas", "updatedReplicas", "readyReplicas")
            there = self.kube.list("v1", "Pod", self.namespace)
            return seen and {status.get(k, 0) for k in keys} == {wanted} and len(there) == wanted

        until(done, 60, "the release is ready", show=self.describe)

    def describe(self) -> list[str]:
        """What each pod waits for."""
        return [
            f"{pod['metadata']['name']} {pod['status'].get('phase')} "
            + json.dumps(
                {
                    one["name"]: [one.get("state"), one.get("lastState"), one.get("restartCount")]
                    for kind in ("initContainerStatuses", "containerStatuses")
                    for one in pod["status"].get(kind, [])
                }
            )
            for pod in self.kube.list("v1", "Pod", self.namespace)
        ]

    def names(self) -> set[str]:
        """Names of the pods that nobody has deleted."""
        return {pod["metadata"]["name"] for pod in pods(self.kube, self.namespace)}

    def container(self, pod: str, name: str = "vllm") -> Body:
        """The status of a container of a pod; {} while there is none."""
        status = (self.kube.get("v1", "Pod", pod, self.namespace) or {}).get("status", {})
        kinds = ("initContainerStatuses", "containerStatuses")
        found = [one for kind in kinds for one in status.get(kind, []) if one["name"] == name]
        return found[0] if found else {}

    def events(self, reason: str) -> list[str]:
        """Messages of the namespace's events of a reason, oldest first."""
        found = self.kube.list("v1", "Event", self.namespace, fields=f"reason={reason}")
        found.sort(key=lambda event: event["firstTimestamp"] or "")
        return [event["message"] for event in found]

    def clients(self, **how: Any) -> Clients:
        """A steady stream of requests to the release's Service."""
        return Clients(self.kube, self.namespace, NAME, **how)

    def served(self, clients: Clients, revision: str, count: int = 20) -> None:
        """Return after ``count`` more completions, all of one revision's."""
        before = clients.outcome.by_text()

        def enough() -> bool:
            return clients.outcome.by_text()[revision] >= before[revision] + count

        until(enough, 30, f"{revision} answers", show=lambda: clients.outcome)
        others = clients.outcome.by_text() - before
        assert set(others) == {revision}

    def lookout(self) -> Lookout:
        """A watch over the release's pods and their claims."""
        return Lookout(self.kube, self.namespace)


class Lookout:
    """Looks again and again at pods and claims, from the first entry to the last exit.

    ``looks`` counts the running pods looked at, ``missing`` names those without their claim,
    ``least_ready`` is the least number of ready pods that nobody had deleted.
    """

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.looks = 0
        self.missing: list[str] = []
        self.least_ready = 1000
        self._kube = kube
        self._namespace = namespace
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="lookout")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ends.wait(0.1):
            found = self._kube.list("v1", "Pod", self._namespace)
            claims = self._kube.list("v1", "PersistentVolumeClaim", self._namespace)
            bound = {c["metadata"]["name"] for c in claims if c["status"].get("phase") == "Bound"}
            kept = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
            self.least_ready = min(self.least_ready, sum(map(is_ready, kept)))
            for pod in found:
                if pod["status"].get("phase") == "Running":
                    self._look(pod, bound)

    def _look(self, pod: Body, bound: set[str]) -> None:
        self.looks += 1
        name = pod["metadata"]["name"]
        for volume in pod["spec"]["volumes"]:
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            # A pod may have ended between the two lists.
            lacks = claim and claim not in bound
            if lacks and self._kube.get("v1", "Pod", name, self._namespace):
                self.missing.append(f"{name} has no claim {claim}")
