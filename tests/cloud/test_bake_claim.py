"""``bake weights --from-claim``: Jobs, pods, attachments waited for; the disk imaged as it is."""

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from pylib.bake.claim import Claim, Filled, filled_disk
from pylib.bake.plan import SourceDisk
from pylib.cloud.records import Disk
from pylib.errors import BakeError, ConfigError, KubeError
from pylib.kube import Body, Kube
from pylib.lock import load_lock, lock_path
from pylib.verbs import bake as verb
from tests.cloud.baking import pack
from tests.cloud.fake_cloud import FakeCloud
from tests.cloud.fake_parts import MANIFEST, Fault

CLAIM = "fetch-download"
VOLUME = "pvc-1"
HANDLE = f"projects/my-project/zones/us-central1-b/disks/{VOLUME}"
DISK = Disk(
    VOLUME, "42", "us-central1-b", "READY", 100, "pd-balanced", {}, attached="2026-11-01T10:00"
)


@dataclass
class FakeKube:
    """Objects by kind; ``context`` is for messages; ``denied`` kinds may not be listed."""

    objects: dict[str, list[Body]]
    denied: set[str] = field(default_factory=set)
    context: str = "test"

    def get(self, _: str, kind: str, name: str, namespace: str | None = None) -> Body | None:
        del namespace
        found = (it for it in self.objects.get(kind, []) if it["metadata"]["name"] == name)
        return next(found, None)

    def list(self, _: str, kind: str, namespace: str | None = None) -> list[Body]:
        del namespace
        if kind in self.denied:
            raise KubeError("forbidden", status=403)
        return self.objects.get(kind, [])


def _mounting(claim: str) -> Body:
    return {"volumes": [{"persistentVolumeClaim": {"claimName": claim}}, {"emptyDir": {}}]}


def _job(condition: str, claim: str = CLAIM) -> Body:
    said = {"type": condition, "status": "True", "message": "Job has reached its limit."}
    return {
        "metadata": {"name": f"job-{condition.lower()}"},
        "spec": {"template": {"spec": _mounting(claim)}},
        "status": {"conditions": [said]},
    }


def _pod(phase: str) -> Body:
    return {"metadata": {"name": "p"}, "spec": _mounting(CLAIM), "status": {"phase": phase}}


def _attachment(volume: str = VOLUME) -> Body:
    return {"spec": {"nodeName": "node-1", "source": {"persistentVolumeName": volume}}}


def _objects(**changes: Any) -> dict[str, list[Body]]:
    csi = {"driver": "pd.csi.storage.gke.io", "volumeHandle": HANDLE}
    return {
        "PersistentVolumeClaim": [{"metadata": {"name": CLAIM}, "spec": {"volumeName": VOLUME}}],
        "PersistentVolume": [{"metadata": {"name": VOLUME}, "spec": {"csi": csi}}],
        "Job": [_job("Complete")],
        **changes,
    }


@pytest.fixture
def cloud() -> FakeCloud:
    """A project with the claim's disk, which holds a model."""
    found = FakeCloud()
    found.disks[(DISK.zone, DISK.name)] = DISK
    found.content[DISK.id] = MANIFEST
    return found


def _find(cloud: FakeCloud, kube: FakeKube, say: Callable[[str], None] = print) -> Filled:
    return filled_disk(Claim(cast("Kube", kube), cloud, "vllm", CLAIM), 600, say)


def test_the_disk_of_a_complete_job_is_found(cloud: FakeCloud) -> None:
    found = _find(cloud, FakeKube(_objects(Pod=[_pod("Succeeded")])))
    assert found == Filled(SourceDisk("us-central1-b", VOLUME, "42"), 100, "42/2026-11-01T10:00")


def test_a_disk_that_is_attached_again_is_in_another_state(cloud: FakeCloud) -> None:
    kube = FakeKube(_objects())
    before = _find(cloud, kube)
    cloud.disks[(DISK.zone, DISK.name)] = replace(DISK, attached="later")
    assert _find(cloud, kube).state != before.state


@pytest.mark.fault("B22")
@pytest.mark.parametrize(
    ("changes", "waited"),
    [
        ({"Job": [_job("Suspended")]}, "Job job-suspended is not complete"),
        ({"Pod": [_pod("Running")]}, "Pod p has the claim"),
        ({"VolumeAttachment": [_attachment()]}, "node node-1 has the volume attached"),
        ({}, "VM gke-node has disk pvc-1"),
    ],
)
def test_it_waits_until_nothing_holds_the_disk(
    cloud: FakeCloud, changes: dict[str, list[Body]], waited: str
) -> None:
    kube, said = FakeKube(_objects(**changes)), list[str]()
    if not changes:
        cloud.disks[(DISK.zone, DISK.name)] = replace(DISK, users=("gke-node",))

    def say(line: str) -> None:
        """What is waited for comes to pass as soon as it is said."""
        said.append(line)
        kube.objects = _objects()
        cloud.disks[(DISK.zone, DISK.name)] = DISK

    assert _find(cloud, kube, say).disk.id == "42"
    assert said == [f"wait: {waited}"]


def test_waiting_ends(cloud: FakeCloud) -> None:
    with pytest.raises(BakeError, match="after 600 s still: Pod p has the claim"):
        _find(cloud, FakeKube(_objects(Pod=[_pod("Pending")])))


def test_what_is_on_other_claims_is_not_waited_for(cloud: FakeCloud) -> None:
    others = {"Job": [_job("Suspended", "other")], "VolumeAttachment": [_attachment("other")]}
    assert _find(cloud, FakeKube(_objects(**others))).disk.id == "42"


def test_who_may_not_list_attachments_goes_by_the_disk(cloud: FakeCloud) -> None:
    kube = FakeKube(_objects(VolumeAttachment=[_attachment()]), denied={"VolumeAttachment"})
    assert _find(cloud, kube).disk.id == "42"


def _volume(**spec: Any) -> dict[str, list[Body]]:
    return {"PersistentVolume": [{"metadata": {"name": VOLUME}, "spec": spec}]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"PersistentVolumeClaim": []}, "there is no claim vllm/fetch-download"),
        ({"PersistentVolume": []}, "is bound to no volume yet"),
        (_volume(volumeMode="Block"), "has volumeMode Block"),
        (_volume(nfs={}), "is no zonal disk of pd.csi.storage.gke.io, but no CSI: no handle"),
        (
            _volume(
                csi={"driver": "pd.csi.storage.gke.io", "volumeHandle": "projects/p/regions/r"}
            ),
            "is no zonal disk of",
        ),
        (
            _volume(
                csi={
                    "driver": "pd.csi.storage.gke.io",
                    "volumeHandle": "projects/other/zones/z/disks/d",
                }
            ),
            "is on a disk of project other; the config's project is my-project",
        ),
        ({"Job": [_job("Failed")]}, "Job job-failed failed: Job has reached its limit."),
    ],
)
def test_a_claim_that_holds_no_finished_model_is_refused(
    cloud: FakeCloud, changes: dict[str, list[Body]], said: str
) -> None:
    with pytest.raises(BakeError, match=said):
        _find(cloud, FakeKube(_objects(**changes)))


def test_a_disk_that_is_gone_is_named(cloud: FakeCloud) -> None:
    cloud.disks.clear()
    with pytest.raises(BakeError, match="is on disk pvc-1 in us-central1-b, which is not there"):
        _find(cloud, FakeKube(_objects()))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config beside which there is no lock."""
    shutil.copy("values/gemma-7b-fast/config.yaml", tmp_path)
    return tmp_path / "config.yaml"


def _bake(monkeypatch: pytest.MonkeyPatch, cloud: FakeCloud, config: Path, *words: str) -> str:
    """The verb, with a cloud and a cluster in memory."""

    def connect(_: str, endpoint: str | None) -> FakeCloud:
        assert endpoint is None
        return cloud

    monkeypatch.setattr("pylib.cloud.gcp.connect", connect)
    monkeypatch.setattr("pylib.guest.pack.metadata", pack)
    monkeypatch.setattr(Kube, "connect", lambda *_: FakeKube(_objects()))
    parser = argparse.ArgumentParser()
    verb.arguments(parser)
    out = io.StringIO()
    line = ["weights", "-f", str(config), "--from-claim", CLAIM, *words]
    assert verb.run(parser.parse_args(line), out) == 0
    return out.getvalue()


def test_the_image_is_cut_from_the_claims_disk_which_stays(
    cloud: FakeCloud, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = _bake(monkeypatch, cloud, config)

    [image] = cloud.made()
    assert image.source_disk_id == "42"
    assert image.labels["weights-revision"] == MANIFEST[:12]
    assert cloud.left() == [VOLUME]
    assert [spec.name.endswith("-checkvm") for spec in cloud.specs] == [True]
    assert cloud.specs[0].zone == "us-central1-b"
    weights = load_lock(lock_path(config)).weights
    assert weights is not None
    assert weights.current == MANIFEST[:12]
    assert "    disk pvc-1 in us-central1-b, as it is\n" in said
    again = _bake(monkeypatch, cloud, config)
    assert "is there already" in again


def test_a_claims_disk_that_fails_its_check_becomes_no_image(
    cloud: FakeCloud, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.check = "fail"
    with pytest.raises(BakeError, match="the guest failed") as caught:
        _bake(monkeypatch, cloud, config)
    assert "\ndisk pvc-1 stays as it was. If the fault is the disk's, let its Job run" in str(
        caught.value
    )
    assert cloud.made() == []
    assert cloud.left() == [VOLUME]


def test_a_disk_that_a_pod_takes_before_it_is_imaged_is_left_alone(
    cloud: FakeCloud, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take() -> None:
        cloud.disks[(DISK.zone, DISK.name)] = replace(DISK, users=("gke-node",))

    cloud.plan.append(Fault("image_of_family", "nothing", run=take))
    with pytest.raises(BakeError, match="disk pvc-1 is attached to gke-node; not imaged"):
        _bake(monkeypatch, cloud, config)
    assert cloud.made() == []
    assert cloud.left() == [VOLUME]


def test_what_the_claims_disk_decides_cannot_be_asked_for(
    cloud: FakeCloud, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError) as caught:
        _bake(monkeypatch, cloud, config, "--shards=8", "--zone=us-central1-a", "--disk-size=20")
    assert [problem.path for problem in caught.value.problems] == [
        "--shards",
        "--disk-size",
        "--zone",
    ]
