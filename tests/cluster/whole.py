"""One config from nothing to a release that serves, and what its tests ask about it.

Real: ``up``, Google's clients, helm, the control plane, the pods' processes.  Stand-ins: Google
Cloud (an emulator whose guests are simulated), the nodes, vLLM, Cloud Monitoring and its adapter.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pylib.bake.options import Options
from pylib.cloud.gcp import connect
from pylib.config.parse import load_config
from pylib.emulator import Emulator, Settings, SimulatedVm
from pylib.install.site import HOOK
from pylib.kube import Body, Kube
from pylib.lock import LockedWeights, load_lock, lock_path
from pylib.provision.action import Action
from pylib.release import release_of_config
from pylib.render import render_release
from pylib.up.down import Extent, down
from pylib.up.site import Site, Wishes
from pylib.up.up import up
from tests.cloud.emulated import Raw, put_objects
from tests.cloud.emulated_bake import fill
from tests.cloud.fake_parts import MANIFEST
from tests.cloud.fast_clock import FastClock
from tests.cluster.bed.adapter_cluster import registered
from tests.cluster.bed.agent import Agent
from tests.cluster.bed.agent_node import Play
from tests.cluster.bed.bed import ROOT, Bed
from tests.cluster.bed.clients import Clients
from tests.cluster.bed.emulated_disks import EmulatedDisks, NodeVms
from tests.cluster.bed.gke import PROJECT
from tests.cluster.bed.monitoring import FakeMonitoring
from tests.cluster.bed.wait import until
from tests.cluster.release import NAME, POOL, ZONE_A, claim_name, volume_name
from tests.cluster.serving import MODEL, Lookout, handle, make_disk
from tests.guest.models import model

TUTORIAL = ROOT / "values" / "gemma-7b-tutorial" / "config.yaml"
OLD, NEW = "old", "new"
"""Two models of one name; the completions of each begin with its word."""
NODES = ("gpu-1", "gpu-2")


def source(word: str) -> str:
    """Where the model with this word lies."""
    return f"gs://{word}-models/{MODEL}"


@dataclass
class Whole:
    """A namespace, a project with two models in a bucket, and two nodes that have VMs in it."""

    bed: Bed
    namespace: str
    folder: Path
    emulator: Emulator
    digests: dict[str, str]
    vms: NodeVms
    disks: EmulatedDisks
    said: list[str] = field(default_factory=list)
    pre_stop: int = 1
    """Seconds that a pod waits before it stops; more than what clients need to hear of it, where
    there are any."""

    @property
    def file(self) -> Path:
        """The config."""
        return self.folder / "config.yaml"

    @property
    def kube(self) -> Kube:
        """The API."""
        return self.bed.kube

    def revision(self, word: str) -> str:
        """Name of a model's revision."""
        return self.digests[source(word)][:12]

    def disk(self, word: str) -> str:
        """Name of the disk that holds a model."""
        return f"{NAME}-a-{self.revision(word)}"

    def handle(self, word: str) -> str:
        """The volume handle of that disk."""
        return handle(self.disk(word))

    def write(self, word: str = OLD) -> None:
        """The tutorial's config for this namespace and model."""
        config = yaml.safe_load(TUTORIAL.read_text(encoding="utf-8"))
        config["release"] = {"name": NAME, "namespace": self.namespace}
        config["model"]["source"] = source(word)
        config["cells"][0]["name"] = "a"
        stop = {"preStopSeconds": self.pre_stop, "drainSeconds": 4, "bufferSeconds": 1}
        config["values"] = {"startup": {"periodSeconds": 1}, "shutdown": stop}
        self.file.write_text(yaml.safe_dump(config), encoding="utf-8")

    def site(self, **wishes: Any) -> Site:
        """The world of the config as it is now."""
        self.said.clear()
        return Site(
            file=self.file,
            config=load_config(self.file),
            cloud=connect(PROJECT, endpoint=self.emulator.url, clock=FastClock()),
            connect=lambda: Kube.connect(self.bed.kubeconfig),
            wishes=Wishes(bake=Options(owner="ann", zones=(ZONE_A,)), **wishes),
            say=self.said.append,
            progress=lambda _: None,
            kubeconfig=self.bed.kubeconfig,
        )

    def up(self, **wishes: Any) -> list[str]:
        """Do it; what was done, by verb and kind."""
        return [_short(it) for it in up(self.site(**wishes), lambda _: True)]

    def down(self) -> list[str]:
        """Take it away; what was done."""
        return [_short(it) for it in down(self.site(), Extent())]

    def lock(self) -> LockedWeights:
        """The revisions that the lock file knows."""
        found = load_lock(lock_path(self.file)).weights
        assert found is not None
        return found

    def changes(self, since: int = 0) -> list[str]:
        """Methods that changed something, but for what nodes do with their disks."""
        entries = self.emulator.journal()[since:]
        methods = [it.method for it in entries if it.changes]
        ends = (".wait", "attachDisk", "detachDisk", "getIamPolicy", "testIamPermissions")
        return [it for it in methods if not it.endswith(ends)]

    def calls(self) -> int:
        """How many calls there were."""
        return len(self.emulator.journal())

    def made(self, kind: str) -> list[str]:
        """Names of what there is of a kind in the project, but for the nodes'."""
        paths = self.emulator.inventory().paths(kind)
        return [name for it in paths if (name := it.rpartition("/")[2]) not in NODES]

    def pods(self) -> list[str]:
        """Names of all pods."""
        found = self.kube.list("v1", "Pod", self.namespace)
        return [pod["metadata"]["name"] for pod in found]

    def history(self) -> list[str]:
        """The status of each of helm's revisions, oldest first."""
        found = self.kube.list("v1", "Secret", self.namespace, labels="owner=helm")
        labels = [secret["metadata"]["labels"] for secret in found]
        return [it["status"] for it in sorted(labels, key=lambda it: int(it["version"]))]

    def version(self, api: str, kind: str, name: str, namespace: str | None = None) -> str:
        """When an object was written last."""
        body = self.kube.get(api, kind, name, namespace)
        assert body is not None, f"{kind} {name}"
        return str(body["metadata"]["resourceVersion"])

    def versions(self) -> dict[str, str]:
        """When each object of the release was written last, but for the autoscaler, whose
        controller writes its status again and again."""
        rendered = render_release(release_of_config(self.file)).manifests
        objects = (
            it for it in rendered if HOOK not in it.get("metadata", "annotations", default={})
        )
        return {
            it.ref: self.version(it.api_version, it.kind, it.name, it.namespace or None)
            for it in objects
            if it.kind != "HorizontalPodAutoscaler"
        }

    def start(self) -> subprocess.Popen[str]:
        """``python -m pylib up`` as a process, and a group, of its own."""
        words = [sys.executable, "-m", "tests.cluster.up_process", "up", "-f", str(self.file)]
        words += ["--yes", "--take-over", "--zone", ZONE_A, "--endpoint", self.emulator.url]
        words += ["--kubeconfig", str(self.bed.kubeconfig)]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, start_new_session=True)

    def process(self) -> str:
        """Run that process; what it said."""
        said, wrong = self.start().communicate(timeout=120)
        assert wrong == ""
        return said

    def killed(self, moment: Callable[[], bool], later: float) -> None:
        """Kill it, and the helm that it started, so many seconds after a moment."""
        process = self.start()
        try:
            until(lambda: moment() or process.poll() is not None, 60, "it is under way")
            time.sleep(later)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            said = process.communicate()
        assert process.returncode == -signal.SIGKILL, said

    def clients(self) -> Clients:
        """A steady stream of requests."""
        return Clients(self.kube, self.namespace, NAME)

    def lookout(self) -> DiskLookout:
        """A watch over pods, their claims and their disks."""
        return DiskLookout(self.kube, self.namespace, self.disks)

    def volumes(self, word: str) -> tuple[Body | None, Body | None]:
        """Volume and claim of a model's revision, where they are there."""
        name = self.revision(word)
        return (
            self.kube.get("v1", "PersistentVolume", volume_name(self.namespace, "a", name)),
            self.kube.get("v1", "PersistentVolumeClaim", claim_name("a", name), self.namespace),
        )


class DiskLookout(Lookout):
    """Also names the pods whose volume's disk is not in the project."""

    def __init__(self, kube: Kube, namespace: str, disks: EmulatedDisks) -> None:
        super().__init__(kube, namespace)
        self._disks = disks

    def _look(self, pod: Body, bound: set[str]) -> None:
        super()._look(pod, bound)
        place, there = pod["metadata"]["namespace"], set(self._disks)
        for volume in pod["spec"]["volumes"]:
            name = volume.get("persistentVolumeClaim", {}).get("claimName")
            claim = name and self._kube.get("v1", "PersistentVolumeClaim", name, place)
            if claim:
                bound_to = claim["spec"]["volumeName"]
                body = self._kube.get("v1", "PersistentVolume", bound_to) or {}
                disk = body.get("spec", {}).get("csi", {}).get("volumeHandle")
                if disk not in there:
                    self.missing.append(f"{pod['metadata']['name']} has no disk {disk}")


def _short(action: Action) -> str:
    return f"{action.verb} {action.kind}"


@contextmanager
def whole(bed: Bed, namespace: str, folder: Path) -> Iterator[Whole]:
    """All of it, with the config of the old model; nothing is baked or made."""
    digests, contents = _models(folder / "models")
    how, state = Settings(project=PROJECT), folder / "emulator"
    with (
        Emulator(state, settings=how, guest=_guest(digests), clock=FastClock()) as emulator,
        FakeMonitoring() as monitoring,
        registered(bed, monitoring),
    ):
        emulator.add_cluster("vllm-cluster", "us-central1")
        _put_models(emulator)
        vms, disks = NodeVms(emulator), EmulatedDisks(emulator, contents)
        vms.lets_go.set()
        for name in NODES:
            vms.add(name, ZONE_A)
            bed.add_node(name, zone=ZONE_A, pool=POOL, run_by="agent")
        one = Whole(bed, namespace, folder, emulator, digests, vms, disks)
        one.write()
        play = Play(load=0.2, pull=0.1)
        with Agent(bed.kubeconfig, folder / "agent", disks, play, vms):
            try:
                yield one
            finally:
                vms.lets_go.set()


def _models(folder: Path) -> tuple[dict[str, str], dict[str, Path]]:
    """Two models: the digest of each manifest by source, the folder by digest."""
    digests = {source(word): make_disk(folder / word, word) for word in (OLD, NEW)}
    return digests, {digests[source(word)]: folder / word for word in (OLD, NEW)}


def _put_models(emulator: Emulator) -> None:
    for seed, word in enumerate((OLD, NEW)):
        files = {f"{MODEL}/{path}": content for path, content in model(seed).items()}
        put_objects(Raw(emulator.url), PROJECT, f"{word}-models", files)


def _guest(digests: dict[str, str]) -> Any:
    """A guest whose weights disks hold the model of the job's source."""

    def run(vm: SimulatedVm) -> None:
        job = json.loads(vm.metadata.get("vfs-job", "{}"))
        fill(vm, digests.get(job.get("source", ""), MANIFEST))

    return run
