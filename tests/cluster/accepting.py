"""A release made from a config on the control plane, with its project on the emulator.

Real: the control plane, helm, the chart, the metrics path to the autoscaler, exec through the API
server, the server's processes.  Stand-ins: Compute Engine (the emulator, whose VMs are the nodes'
by name and whose disk this attaches, as the driver would), the adapter, Cloud Monitoring, and what
the kernel of a node would say of mounts and devices.  Nothing stands in for Cloud Logging.
"""

from __future__ import annotations

import argparse
import io
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pylib.emulator import Emulator, Settings
from pylib.kube import Kube
from pylib.lock import lock_path
from pylib.release import release_of_config
from pylib.verbs import accept as verb
from tests.cloud.emulated import Raw, data_disk, vm_body
from tests.cluster.autoscaled import METRICS
from tests.cluster.bed.adapter_cluster import registered
from tests.cluster.bed.agent import Agent
from tests.cluster.bed.agent_node import Play
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.gke import PROJECT
from tests.cluster.bed.monitoring import FakeMonitoring
from tests.cluster.bed.wait import until
from tests.cluster.release import NAME, POOL, ZONE_A, Helm, pods, wait_ready
from tests.cluster.serving import FIRST, handle, make_disk

NODE, DISK, CACHE = "gpu-1", f"gemma-7b-{FIRST}-a", "vllm-v0-33-0"
DEVICE = "8:32"
MOUNTS = "/proc/self/mountinfo"
READ_AHEAD = f"/sys/dev/block/{DEVICE}/queue/read_ahead_kb"
AT = f"/compute/v1/projects/{PROJECT}"
ZONAL = f"{AT}/zones/{ZONE_A}"

IMAGE = "docker.io/vllm/vllm-openai:v0.33.0"
CONFIG: dict[str, Any] = {
    "version": 1,
    "project": PROJECT,
    "region": "us-central1",
    "cluster": {"name": "vllm-cluster"},
    "model": {"source": "gs://my-models/gemma/gemma-7b", "sizeGiB": 16},
    "weights": {"kind": "disk", "type": "pd-ssd", "sizeGiB": 1024, "readAheadKiB": 4096},
    "imageCache": {"name": CACHE, "images": [IMAGE]},
    "cells": [
        {
            "name": "a",
            "zone": ZONE_A,
            "nodePool": {"name": POOL},
            "machineType": "g2-standard-24",
            "accelerator": {"type": "nvidia-l4", "count": 2},
        }
    ],
    "serving": {"vllmVersion": "0.33.0", "resources": {"cpu": 1, "memoryGiB": 20}},
    "autoscaling": {"source": "stackdriver", "metric": "running"},
    "values": {
        "startup": {"periodSeconds": 1, "budgetSeconds": 120},
        "shutdown": {"preStopSeconds": 0, "drainSeconds": 1, "bufferSeconds": 1},
    },
}


def mountinfo(how: str = "ro") -> str:
    """Mounts of a pod: its root, and its weights."""
    return (
        "605 520 0:97 / / rw,relatime - overlay overlay rw,lowerdir=/l\n"
        f"618 605 {DEVICE} / /model-data {how},relatime - ext4 /dev/sdc ro,norecovery\n"
    )


@dataclass
class Accepting:
    """The release, its project, and the verb."""

    bed: Bed
    namespace: str
    folder: Path
    emulator: Emulator
    monitoring: FakeMonitoring
    play: Play

    @property
    def config(self) -> Path:
        """The config file, its lock beside it."""
        return self.folder / "config.yaml"

    @property
    def raw(self) -> Raw:
        """The project, as a plain client has it."""
        return Raw(self.emulator.url)

    @property
    def pod(self) -> str:
        """Name of the only pod."""
        [pod] = pods(self.bed.kube, self.namespace)
        return str(pod["metadata"]["name"])

    def see(self, how: str = "ro", read_ahead: str = "4096") -> None:
        """What the node's kernel says."""
        self.play.files = {MOUNTS: mountinfo(how), READ_AHEAD: f"{read_ahead}\n"}

    def attach(self, mode: str) -> None:
        """Have the disk attached so, and in no other way."""
        vm = self.raw.get(f"{ZONAL}/instances/{NODE}")
        if any(disk["deviceName"] == DISK for disk in vm["disks"]):
            self.raw.done("POST", f"{ZONAL}/instances/{NODE}/detachDisk", deviceName=DISK)
        source = f"projects/{PROJECT}/zones/{ZONE_A}/disks/{DISK}"
        body = {**data_disk(DISK), "source": source, "mode": mode}
        self.raw.done("POST", f"{ZONAL}/instances/{NODE}/attachDisk", body)

    def load(self) -> None:
        """Write a sample of the metric that the release scales by."""
        names = [pod["metadata"]["name"] for pod in pods(self.bed.kube, self.namespace)]
        samples = dict.fromkeys(names, 3.0)
        self.monitoring.set(METRICS["running"], samples, namespace=self.namespace)

    def until_scaled(self) -> None:
        """Return when the autoscaler has read the metric."""

        def reads() -> bool:
            self.load()
            found = self.bed.kube.get(
                "autoscaling/v2", "HorizontalPodAutoscaler", f"{NAME}-a", self.namespace
            )
            status = (found or {}).get("status", {})
            return any(it.get("type") == "Pods" for it in status.get("currentMetrics") or [])

        until(reads, 30, "the autoscaler reads its metric", step=0.25)

    def accept(self, *words: str, kubeconfig: Path | None = None) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of the verb."""
        code, text = self.say("--output", "json", *words, kubeconfig=kubeconfig)
        return code, json.loads(text)

    def say(self, *words: str, kubeconfig: Path | None = None) -> tuple[int, str]:
        """Exit code and text of the verb."""
        parser = argparse.ArgumentParser()
        verb.arguments(parser)
        where = ["--kubeconfig", str(kubeconfig or self.bed.kubeconfig), "--timeout", "20"]
        given = ["-f", str(self.config), *where, "--endpoint", self.emulator.url, *words]
        out = io.StringIO()
        return verb.run(parser.parse_args(given), out), out.getvalue()


def states(found: dict[str, Any]) -> dict[str, str]:
    """State of each check by its name."""
    return {check["name"]: check["state"] for check in found["checks"]}


def check(found: dict[str, Any], name: str) -> dict[str, str]:
    """The only check of a name."""
    [one] = [it for it in found["checks"] if it["name"] == name]
    return dict(one)


@contextmanager
def accepting(bed: Bed, helm: Helm, folder: Path) -> Iterator[Accepting]:
    """A release of one pod that is ready, on a node that is a VM of the project."""
    namespace = f"accept-{os.urandom(2).hex()}"
    settings = Settings(project=PROJECT, quotas={"us-central1/SSD_TOTAL_GB": 5000})
    disks = {handle(DISK): folder / "disk"}
    digest = make_disk(folder / "disk", FIRST)
    play = Play()
    with ExitStack() as stack:
        monitoring = stack.enter_context(FakeMonitoring())
        stack.enter_context(registered(bed, monitoring))
        emulator = stack.enter_context(
            Emulator(folder / "emulator", settings=settings, guest="simulated")
        )
        one = Accepting(bed, namespace, folder, emulator, monitoring, play)
        meta = {"name": namespace}
        bed.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        _bake(one, digest)
        bed.add_node(NODE, zone=ZONE_A, pool=POOL, run_by="agent", cached_image=CACHE)
        one.attach("READ_ONLY")
        one.see()
        stack.enter_context(Agent(bed.kubeconfig, folder / "agent", disks, play))
        values = folder / "values.yaml"
        values.write_text(release_of_config(one.config).text, encoding="utf-8")
        helm.install(NAME, namespace, values)
        wait_ready(bed.kube, namespace)
        one.until_scaled()
        yield one


def _bake(one: Accepting, digest: str) -> None:
    """What a bake would have made, and the files that say so."""
    ssd = f"zones/{ZONE_A}/diskTypes/pd-ssd"
    one.raw.done("POST", f"{ZONAL}/disks", {"name": DISK, "sizeGb": "1024", "type": ssd})
    one.raw.done("POST", f"{ZONAL}/instances", vm_body(NODE))
    source = f"projects/{PROJECT}/zones/{ZONE_A}/disks/{DISK}"
    labels = {"bake-phase": "published"}
    image = {"name": CACHE, "sourceDisk": source, "labels": labels}
    one.raw.done("POST", f"{AT}/global/images", image)
    disk = one.raw.get(f"{ZONAL}/disks/{DISK}")
    cached = {"project": PROJECT, "name": CACHE, "images": [{"reference": IMAGE}]}
    cached["id"] = one.raw.get(f"{AT}/global/images/{CACHE}")["id"]
    locked = {"name": DISK, "zone": ZONE_A, "type": "pd-ssd", "sizeGiB": 1024, "id": disk["id"]}
    revision = {"name": FIRST, "manifestSha256": digest, "disks": {"a": locked}}
    weights = {"current": FIRST, "revisions": [revision]}
    lock = {"version": 1, "imageCache": cached, "weights": weights}
    release = {"name": NAME, "namespace": one.namespace}
    one.config.write_text(yaml.safe_dump({**CONFIG, "release": release}), encoding="utf-8")
    lock_path(one.config).write_text(yaml.safe_dump(lock), encoding="utf-8")


def reader_of_all(kube: Kube, user: str) -> None:
    """Let a user read everything, and run no command in a pod."""
    api = "rbac.authorization.k8s.io"
    meta = {"name": user}
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    kube.apply({"apiVersion": f"{api}/v1", "kind": "ClusterRole", "metadata": meta, "rules": rules})
    reference = {"kind": "ClusterRole", "name": user, "apiGroup": api}
    subjects = [{"kind": "User", "name": user, "apiGroup": api}]
    binding = {"apiVersion": f"{api}/v1", "kind": "ClusterRoleBinding", "metadata": meta}
    kube.apply({**binding, "subjects": subjects, "roleRef": reference})
