"""``bake weights --from-claim``: the chart's Job fills a real disk, which is imaged and checked.

Real: the control plane, the Job and its script, ext4 on the claim's disk, Google's clients, the
check VM's own script.  Stand-ins: Compute Engine, the node, Hugging Face.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import io
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from pylib.cloud.gcp import connect
from pylib.emulator import Emulator, Settings
from pylib.emulator.guest.real import why_not
from pylib.emulator.inventory import Inventory
from pylib.errors import BakeError
from pylib.lock import load_lock, lock_path
from pylib.release import release_of_config
from pylib.verbs import bake as verb
from tests.chart.hub import COMMIT, MODEL, Hub, serving
from tests.cluster.bed.agent import Agent
from tests.cluster.bed.agent_node import Play
from tests.cluster.bed.bed import CONTEXT, ROOT, Bed
from tests.cluster.bed.cloud_disks import CloudDisks
from tests.cluster.bed.gke import PROJECT
from tests.cluster.release import ZONE_A, Helm
from tests.disk.guest import mounted
from tests.disk.hurried import HurriedClock
from tests.guest.models import model

REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=f"no real disks: {REASON}")

NAME, CLAIM, NODE = "fetch", "fetch-download", "cpu"
MANIFEST = "weights.manifest.json"
MODEL_OF_CONFIG = {"source": f"hf://{MODEL}", "revision": COMMIT, "sizeGiB": 1}
DOWNLOAD: Mapping[str, Any] = {
    "version": 1,
    "mode": "download",
    "project": PROJECT,
    "region": "us-central1",
    "cluster": {"name": "vllm-cluster"},
    "model": MODEL_OF_CONFIG,
    "download": {"claimSizeGiB": 10},
}


class Listener(io.StringIO):
    """What the verb says; each word that is listened for does something as soon as it is said."""

    def __init__(self) -> None:
        super().__init__()
        self.on: dict[str, Callable[[], None]] = {}

    def write(self, text: str) -> int:
        """One more piece."""
        for word, act in self.on.items():
            if word in text:
                act()
        return super().write(text)


@dataclass
class Claimed:
    """A namespace with a release that downloads to a claim, and the project that has its disk."""

    bed: Bed
    helm: Helm
    namespace: str
    folder: Path
    hub: Hub
    disks: CloudDisks
    out: Listener = field(default_factory=Listener)

    @property
    def emulator(self) -> Emulator:
        """Of the project."""
        return self.disks.emulator

    @property
    def config(self) -> Path:
        """That of the server, whose lock file the bake writes."""
        return self.folder / "config.yaml"

    @property
    def values(self) -> Path:
        """Those of the download release."""
        return self.folder / "values.yaml"

    def install(self) -> str:
        """The download release; returns the name of its Job."""
        release = {"name": NAME, "namespace": self.namespace}
        download = self.folder / "download.yaml"
        download.write_text(yaml.safe_dump({**DOWNLOAD, "release": release}))
        server = yaml.safe_load((ROOT / "values/gemma-7b-fast/config.yaml").read_text())
        server |= {"release": {**release, "name": "v"}, "model": MODEL_OF_CONFIG}
        self.config.write_text(yaml.safe_dump(server))
        self.values.write_text(release_of_config(download).text)
        self.helm.install(NAME, self.namespace, self.values)
        [job] = self.bed.kube.list("batch/v1", "Job", self.namespace)
        return str(job["metadata"]["name"])

    def bake(self) -> str:
        """The verb; returns what it said."""
        parser = argparse.ArgumentParser()
        verb.arguments(parser)
        words = ["weights", "-f", str(self.config), "--from-claim", CLAIM]
        words += ["--endpoint", self.emulator.url, "--kubeconfig", str(self.bed.kubeconfig)]
        assert verb.run(parser.parse_args(words), self.out) == 0
        return self.out.getvalue()

    def run_again(self, job: str) -> None:
        """Delete the Job, and have Helm make it again."""
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs/{job}"
        self.bed.kube.raw("DELETE", path, {"propagationPolicy": "Background"})
        self.helm.upgrade(NAME, self.namespace, self.values)

    def written(self) -> list[str]:
        """Lock file and journal, those that there are."""
        found = {path.name for path in self.folder.glob("config*")}
        return sorted(found - {self.config.name})

    @property
    def disk(self) -> str:
        """The handle of the claim's disk, which is the only one."""
        [handle] = self.disks.folders
        return handle

    def others(self) -> list[str]:
        """All that there is in the project but the node and the claim's disk."""
        zone = f"projects/{PROJECT}/zones/{ZONE_A}"
        known = {f"{zone}/disks/{NODE}", f"{zone}/instances/{NODE}", self.disk}
        found = set(self.emulator.inventory().paths())
        assert known <= found
        return sorted(found - known)

    def changes(self) -> list[str]:
        """Calls that changed the claim's disk or were made of it, in order."""
        name = self.disk.rpartition("/")[2]
        return [
            entry.method
            for entry in self.emulator.journal()
            if entry.changes and name in f"{entry.path} {entry.query} {entry.body}"
        ]


@pytest.fixture
def claimed(
    bed: Bed, helm: Path, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Claimed]:
    """A project with one node, which lets go of disks at once."""
    hurried = functools.partial(connect, clock=HurriedClock())
    monkeypatch.setattr("pylib.cloud.gcp.connect", hurried)
    settings = Settings(project=PROJECT, guest_attributes_per_minute=10_000, shutdown_seconds=20)
    with (
        serving(Hub(files=model())) as hub,
        Emulator(tmp_path / "e", settings=settings, guest="real") as emulator,
        CloudDisks(emulator, tmp_path / "disks") as disks,
    ):
        disks.add_node(NODE, ZONE_A)
        bed.add_node(NODE, zone=ZONE_A, pool="default", gpus=0, run_by="agent")
        monkeypatch.setattr(bed.provisioner, "make_disk", disks.make)
        play = Play(pull=0, environment={"HF_ENDPOINT": hub.endpoint})
        disks.lets_go.set()
        with Agent(bed.kubeconfig, tmp_path / "agent", disks.folders, play, disks):
            yield Claimed(bed, Helm(helm, bed), namespace, tmp_path, hub, disks)
            disks.lets_go.set()


@pytest.mark.fault("B22")
def test_the_disk_of_a_running_job_is_imaged_once_nothing_holds_it(claimed: Claimed) -> None:
    claimed.hub.cut, claimed.hub.stall = [1], threading.Event()
    claimed.disks.lets_go.clear()
    before: list[Inventory] = []

    def let_go() -> None:
        before.append(claimed.emulator.inventory())
        claimed.disks.lets_go.set()

    claimed.out.on = {"is not complete": claimed.hub.stall.set, f"VM {NODE} has disk": let_go}
    job = claimed.install()
    said = claimed.bake()

    waits = [line for line in said.splitlines() if line.startswith("wait: ")]
    assert waits[0] == f"wait: Job {job} is not complete"
    assert waits[-1] == f"wait: VM {NODE} has disk {claimed.disk.rpartition('/')[2]}"
    [image] = claimed.others()
    assert claimed.changes() == [
        "compute.disks.insert",
        "compute.instances.attachDisk",
        "compute.instances.detachDisk",
        "compute.images.insert",
    ]
    docs = claimed.emulator.inventory().docs
    assert docs[claimed.disk]["id"] == before[0].docs[claimed.disk]["id"]
    assert docs[image]["labels"]["bake-phase"] == "published"

    with mounted(claimed.emulator.blocks("images", image.rpartition("/")[2])) as place:
        for path, content in claimed.hub.files.items():
            assert (place / MODEL / path).read_bytes() == content
        digest = hashlib.sha256((place / MANIFEST).read_bytes()).hexdigest()
    weights = load_lock(lock_path(claimed.config)).weights
    assert weights is not None
    [revision] = weights.revisions
    assert (revision.manifestSha256, weights.current) == (digest, digest[:12])
    assert revision.image is not None
    assert revision.image.id == docs[image]["id"]


@pytest.mark.fault("I6")
def test_a_job_that_failed_is_named_with_the_command_that_shows_why(claimed: Claimed) -> None:
    claimed.hub.token = "hf_needed"
    job = claimed.install()
    with pytest.raises(BakeError) as caught:
        claimed.bake()

    message = str(caught.value)
    assert f"Job {job} failed: " in message
    logs = f"kubectl --context {CONTEXT} -n {claimed.namespace} logs job/{job}"
    assert message.endswith(logs)
    assert claimed.others() == []
    assert claimed.written() == []


@pytest.mark.fault("G1", "G3", "G18")
def test_a_disk_that_a_node_did_not_unmount_becomes_no_image_before_the_job_runs_again(
    claimed: Claimed,
) -> None:
    claimed.disks.unmounts = False
    job = claimed.install()
    with pytest.raises(BakeError, match="its superblock says needs_recovery") as caught:
        claimed.bake()

    assert "let its Job run once more (delete it, then helm upgrade" in str(caught.value)
    assert "compute.images.insert" in claimed.changes()
    assert claimed.others() == []
    assert claimed.written() == []

    claimed.disks.unmounts = True
    claimed.run_again(job)
    assert "wait: Job" in claimed.bake()
    assert len(claimed.others()) == 1
