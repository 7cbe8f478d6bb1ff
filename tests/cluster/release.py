"""Releases of the chart on the control plane: Helm as its users call it, small values, waiting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pylib import proc
from pylib.kube import Body, Kube
from pylib.proc import GO_SETTINGS, Completed
from tests.chart.helmtool import CHART, REVISION, SERVE, Values, merged
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.gke import PROJECT
from tests.cluster.bed.wait import until

NAME = "v"
"""Release of the tests: short, since volumes are named after namespace, release, cell, revision."""

ZONE_A, ZONE_B = "us-central1-a", "us-central1-b"
POOL = "vllm-l4"
SECONDS = 60.0
"""Deadline for what takes a second or two."""


def cell(name: str = "a", **over: Any) -> Values:
    """An entry of ``cells`` for nodes of ``Bed.add_node(zone="us-central1-<name>", pool=POOL)``."""
    base = {"name": name, "zone": f"us-central1-{name}", "nodePool": POOL}
    return {**base, "accelerator": "nvidia-l4", **over}


def revision(name: str = REVISION, cells: Sequence[str] = ("a",), **over: Any) -> Values:
    """An entry of ``weights.disk.revisions`` with a disk in each cell."""
    return {"name": name, "disks": {cell: f"gemma-7b-{name}-{cell}" for cell in cells}, **over}


SMALL: Values = merged(
    SERVE,
    {
        "cells": [cell()],
        "weights": {"disk": {"revisions": [revision()]}},
        "server": {"shmSizeGiB": 1},
        "resources": {
            "requests": {"cpu": "1", "memory": "4Gi"},
            "limits": {"memory": "4Gi"},
        },
    },
)
"""One cell ``a`` with a weights disk; its pods are small, so that nodes have room for several."""

TWO_CELLS: Values = merged(
    SMALL,
    {
        "cells": [cell("a"), cell("b")],
        "weights": {"disk": {"revisions": [revision(cells=("a", "b"))]}},
    },
)
"""Two cells, ``a`` and ``b``, in two zones."""


def write_values(
    folder: Path, over: Mapping[str, Any] | None = None, *, base: Mapping[str, Any] = SMALL
) -> Path:
    """A values file in ``folder``, its own per content: ``base`` with ``over`` on top."""
    text = yaml.safe_dump(merged(base, over or {}))
    file = folder / f"values-{len(list(folder.glob('values-*.yaml')))}.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@dataclass(frozen=True)
class Helm:
    """One helm binary on one control plane.

    What acts returns what helm printed; it raises ToolFailedError when helm refuses, with helm's
    words.  :meth:`refusal` is for what must be refused.
    """

    binary: Path
    bed: Bed

    def settings(self) -> dict[str, str]:
        """Environment of helm: the control plane, and caches that are nobody else's."""
        home = self.bed.folder / "helm"
        homes = {f"HELM_{what}_HOME": str(home / what.lower()) for what in _HOMES}
        return {"KUBECONFIG": str(self.bed.kubeconfig), **homes, **GO_SETTINGS}

    def run(self, *words: str | Path, ok_codes: tuple[int, ...] = (0,)) -> Completed:
        """Any helm command."""
        command = [self.binary, *words]
        return proc.run(command, ok_codes=ok_codes, timeout=180, settings=self.settings())

    def install(self, name: str, namespace: str, values: Path, *flags: str) -> Completed:
        """``helm install``; returns without waiting for pods unless a flag says so."""
        return self.run("install", *_chart(name, namespace, values), *flags)

    def upgrade(self, name: str, namespace: str, values: Path, *flags: str) -> Completed:
        """``helm upgrade``, with these values only."""
        return self.run("upgrade", *_chart(name, namespace, values), *flags)

    def rollback(
        self, name: str, namespace: str, revision: int | None = None, *flags: str
    ) -> Completed:
        """``helm rollback``, to the revision before when none is given."""
        to = [] if revision is None else [str(revision)]
        return self.run("rollback", name, *to, "--namespace", namespace, *flags)

    def uninstall(self, name: str, namespace: str, *flags: str) -> Completed:
        """``helm uninstall``."""
        return self.run("uninstall", *_release(name, namespace), *flags)

    def test(self, name: str, namespace: str, *flags: str) -> Completed:
        """``helm test``."""
        return self.run("test", *_release(name, namespace), *flags)

    def history(self, name: str, namespace: str) -> list[Body]:
        """The revisions of a release, oldest first: ``revision``, ``status``, ``description``."""
        done = self.run("history", *_release(name, namespace), "--output", "json")
        found: list[Body] = json.loads(done.stdout)
        return found

    def states(self, name: str, namespace: str) -> list[str]:
        """The status of each revision, oldest first."""
        return [entry["status"] for entry in self.history(name, namespace)]

    def status(self, name: str, namespace: str) -> Body:
        """``helm status`` as JSON."""
        done = self.run("status", *_release(name, namespace), "--output", "json")
        found: Body = json.loads(done.stdout)
        return found

    def get_manifest(self, name: str, namespace: str) -> str:
        """The manifests of the deployed revision."""
        return self.run("get", "manifest", *_release(name, namespace)).stdout

    def refusal(self, verb: str, name: str, namespace: str, values: Path, *flags: str) -> str:
        """What helm says when it refuses to install or upgrade."""
        words = [verb, *_chart(name, namespace, values), *flags]
        done = self.run(*words, ok_codes=(1,))
        return done.stderr.strip()

    def killed(
        self,
        verb: str,
        name: str,
        namespace: str,
        values: Path,
        *flags: str,
        when: Callable[[], object],
    ) -> None:
        """Start ``install`` or ``upgrade`` and kill helm, so that it can tidy nothing, once
        ``when`` is true."""
        process = self.start(verb, name, namespace, values, *flags)
        try:
            until(when, SECONDS, f"helm {verb} is under way")
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()

    def start(
        self, verb: str, name: str, namespace: str, values: Path, *flags: str
    ) -> subprocess.Popen[str]:
        """``install`` or ``upgrade`` that goes on beside the test."""
        words = [verb, *_chart(name, namespace, values), *flags]
        return subprocess.Popen(
            [str(self.binary), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **self.settings()},
        )


_HOMES = ("CACHE", "CONFIG", "DATA")


def _release(name: str, namespace: str) -> list[str]:
    return [name, "--namespace", namespace]


def _chart(name: str, namespace: str, values: Path) -> list[str]:
    return [name, str(CHART), "--namespace", namespace, "--values", str(values)]


def pods(kube: Kube, namespace: str, *, component: str = "server", cell: str = "") -> list[Body]:
    """Pods of the releases of a namespace that nobody has deleted, of one cell or of all."""
    labels = f"app.kubernetes.io/component={component}" + (f",cell={cell}" if cell else "")
    found = kube.list("v1", "Pod", namespace, labels=labels)
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def nodes_of(kube: Kube, namespace: str, *, cell: str = "") -> list[str]:
    """Node of each serving pod, sorted; "" for a pod that has none."""
    return sorted(pod["spec"].get("nodeName", "") for pod in pods(kube, namespace, cell=cell))


def condition(body: Mapping[str, Any], kind: str) -> Body:
    """A condition of an object; {} when it has none of that type."""
    conditions = body.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), {})


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod is ready."""
    return condition(pod, "Ready").get("status") == "True"


def deployment(kube: Kube, namespace: str, cell: str = "a", name: str = NAME) -> Body:
    """A cell's Deployment; {} when it is absent."""
    return kube.get("apps/v1", "Deployment", f"{name}-{cell}", namespace) or {}


def wait_ready(
    kube: Kube, namespace: str, cell: str = "a", *, replicas: int | None = None, name: str = NAME
) -> Body:
    """The cell's Deployment, once every pod of it is new and ready, and there are ``replicas``."""

    def done() -> Body:
        body = deployment(kube, namespace, cell, name)
        status, wanted = body.get("status", {}), body.get("spec", {}).get("replicas")
        seen = status.get("observedGeneration") == body.get("metadata", {}).get("generation")
        counts = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")}
        is_done = seen and counts == {wanted} and replicas in (None, wanted)
        return body if is_done else {}

    return until(done, SECONDS, f"cell {cell} is ready", show=lambda: states(kube, namespace))


def wait_unschedulable(kube: Kube, namespace: str, cell: str = "a") -> str:
    """The scheduler's words about the cell's first pod that fits no node."""

    def said() -> str:
        for pod in pods(kube, namespace, cell=cell):
            found = condition(pod, "PodScheduled")
            if found.get("reason") == "Unschedulable":
                return str(found["message"])
        return ""

    return until(said, SECONDS, "a pod is unschedulable", show=lambda: states(kube, namespace))


def states(kube: Kube, namespace: str) -> list[str]:
    """A line per pod, for the error of a wait."""
    return [
        f"{pod['metadata']['name']} on {pod['spec'].get('nodeName')}: "
        f"{pod['status'].get('phase')}, {condition(pod, 'PodScheduled').get('message', '')}"
        for pod in kube.list("v1", "Pod", namespace)
    ]


def volume_name(namespace: str, cell: str = "a", revision: str = REVISION, name: str = NAME) -> str:
    """Name of a revision's PersistentVolume."""
    return f"{namespace}-{claim_name(cell, revision, name)}"


def claim_name(cell: str = "a", revision: str = REVISION, name: str = NAME) -> str:
    """Name of a revision's claim."""
    return f"{name}-{cell}-{revision}"


def static_claim(kube: Kube, namespace: str, name: str, zone: str, *, mode: str) -> None:
    """A bound claim that is no release's: a volume on a disk of ``zone``, and the claim on it."""
    volume = f"{namespace}-{name}"
    shared = {"accessModes": [mode], "storageClassName": "", "volumeMode": "Filesystem"}
    expression = {"key": "topology.gke.io/zone", "operator": "In", "values": [zone]}
    handle = f"projects/{PROJECT}/zones/{zone}/disks/{name}"
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {
                **shared,
                "capacity": {"storage": "10Gi"},
                "claimRef": {"namespace": namespace, "name": name},
                "csi": {"driver": "pd.csi.storage.gke.io", "volumeHandle": handle},
                "nodeAffinity": {
                    "required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
                },
            },
        }
    )
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                **shared,
                "volumeName": volume,
                "resources": {"requests": {"storage": "10Gi"}},
            },
        }
    )


def uids(kube: Kube, namespace: str) -> set[str]:
    """The serving pods there are, whatever they are called."""
    return {pod["metadata"]["uid"] for pod in pods(kube, namespace)}
