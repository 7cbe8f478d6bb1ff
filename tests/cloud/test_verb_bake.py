"""The verb ``bake`` for both kinds, for a check alone, and for a snapshot's manifests."""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pylib.config.parse import load_config
from pylib.errors import BakeError, ConfigError
from pylib.lock import load_lock, lock_path
from pylib.validate.checking import validate_manifests
from pylib.validate.inputs import read_inputs
from pylib.values import check_lock, make_values
from pylib.verbs import bake as verb
from tests.cloud.baking import pack
from tests.cloud.fake_cloud import FakeCloud
from tests.cloud.fake_parts import DIGEST, MANIFEST


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config beside which there is no lock."""
    shutil.copy("values/gemma-7b-fast/config.yaml", tmp_path)
    return tmp_path / "config.yaml"


@pytest.fixture
def cloud(config: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCloud:
    """What ``connect`` returns, with the model in its bucket."""
    found = FakeCloud()
    found.stored["my-models/gemma/gemma-7b/model.safetensors"] = "weights"

    def connect(project: str, endpoint: str | None) -> FakeCloud:
        assert (project, endpoint) == ("my-project", None)
        return found

    monkeypatch.setattr("pylib.cloud.gcp.connect", connect)
    monkeypatch.setattr("pylib.guest.pack.metadata", pack)
    return found


def _bake(*words: str) -> str:
    parser = argparse.ArgumentParser()
    verb.arguments(parser)
    out = io.StringIO()
    assert verb.run(parser.parse_args(words), out) == 0
    return out.getvalue()


def test_without_a_kind_both_are_baked_and_values_follow_from_the_lock(
    cloud: FakeCloud, config: Path
) -> None:
    said = _bake("-f", str(config), "--label", "team=a")

    lock = load_lock(lock_path(config))
    assert lock.imageCache is not None
    assert lock.weights is not None
    [revision] = lock.weights.revisions
    assert (revision.name, revision.manifestSha256) == (MANIFEST[:12], MANIFEST)
    assert lock.weights.current == revision.name
    names = {image.name for image in cloud.made()}
    assert revision.image is not None
    assert names == {lock.imageCache.name, revision.image.name}
    assert all(image.labels["team"] == "a" for image in cloud.made())
    assert f"revision {revision.name} of the weights\n" in said
    assert cloud.left() == []
    asked = load_config(config)
    check_lock(asked, lock, "c")
    disk = make_values(asked, lock)["weights"]["disk"]
    assert disk["revisions"][0]["disks"] == {"a": f"gemma-7b-a-{revision.name}"}


def test_a_second_bake_of_both_makes_nothing(cloud: FakeCloud, config: Path) -> None:
    _bake("-f", str(config))
    before, made = lock_path(config).read_text(), len(cloud.specs)
    said = _bake("-f", str(config))
    assert said.count("is there already") == 2
    assert lock_path(config).read_text() == before
    assert len(cloud.specs) == made


def test_a_changed_bucket_is_another_revision_and_the_current_one_stays(
    cloud: FakeCloud, config: Path
) -> None:
    _bake("weights", "-f", str(config))
    cloud.stored["my-models/gemma/gemma-7b/model.safetensors"] = "other weights"
    cloud.weights = "ee" * 32

    said = _bake("weights", "-f", str(config))

    found = load_lock(lock_path(config)).weights
    assert found is not None
    assert found.current == MANIFEST[:12]
    assert [it.name for it in found.revisions] == [MANIFEST[:12], "ee" * 6]
    assert "; the current one stays, until disks are made of this one" in said
    assert len(cloud.made()) == 2


def test_what_the_config_does_not_want_is_said_and_left(cloud: FakeCloud, config: Path) -> None:
    text = config.read_text().replace("imageCache:\n", "imageCache:\n  existing: true\n")
    config.write_text(text)
    said = _bake("-f", str(config))
    assert "image: imageCache.existing is true: the image is somebody else's\n" in said
    assert load_lock(lock_path(config)).imageCache is None
    assert len(cloud.made()) == 1


def test_a_config_is_required(cloud: FakeCloud) -> None:
    with pytest.raises(ConfigError, match="-f: is required"):
        _bake()


@pytest.mark.parametrize("kind", ["image", "weights"])
def test_verify_only_reads_the_image_and_changes_nothing(
    cloud: FakeCloud, config: Path, kind: str
) -> None:
    _bake("-f", str(config))
    images, lock = cloud.made(), lock_path(config).read_text()

    said = _bake(kind, "-f", str(config), "--verify-only")

    name = {"image": "vllm-v0-33-0", "weights": "weights-"}[kind]
    assert f"image {name}" in said
    assert " is verified (id " in said
    assert cloud.made() == images
    assert lock_path(config).read_text() == lock
    assert cloud.left() == []
    job = json.loads(cloud.specs[-1].metadata["vfs-job"])
    assert job["kind"] == kind
    assert job["verify"] == {"digest": DIGEST if kind == "image" else MANIFEST}
    assert cloud.specs[-1].disks[0].read_only


@pytest.mark.parametrize("kind", ["image", "weights"])
def test_an_image_that_is_not_as_it_was_fails_its_check(
    cloud: FakeCloud, config: Path, kind: str
) -> None:
    _bake("-f", str(config))
    images = cloud.made()
    cloud.check = "wrong"
    with pytest.raises(BakeError, match=" holds 0000"):
        _bake(kind, "-f", str(config), "--verify-only")
    assert cloud.made() == images
    assert cloud.left() == []


def test_an_image_that_another_tool_made_is_held_against_itself(
    cloud: FakeCloud, config: Path
) -> None:
    _bake("image", "-f", str(config))
    key = ("my-project", "vllm-v0-33-0")
    cloud.images[key] = replace(cloud.images[key], description="by another tool")
    _bake("image", "-f", str(config), "--verify-only", "--name", "vllm-v0-33-0")
    job = json.loads(cloud.specs[-1].metadata["vfs-job"])
    assert job["verify"] == {"digest": ""}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("image", "--name", "none"), "there is no image none in my-project"),
        (("weights",), "nothing names the image"),
        (("image", "--name", "No"), "'No' is no name of Compute Engine"),
    ],
)
def test_what_is_not_there_cannot_be_verified(
    cloud: FakeCloud, config: Path, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        _bake(*words, "-f", str(config), "--verify-only")
    assert cloud.specs == []


def test_a_snapshot_of_the_image_passes_validate(
    cloud: FakeCloud, config: Path, tmp_path: Path
) -> None:
    target = tmp_path / "snapshot.yaml"
    said = _bake("weights", "-f", str(config), "--volume-snapshot", str(target), "--name", "gemma")

    assert f"wrote {target}\n" in said
    manifests = read_inputs([target], sys.stdin)
    report = validate_manifests(manifests, today=date(2026, 1, 1), kubernetes="1.36", waivers=())
    assert report.findings == ()
    content, snapshot = (it.body for it in manifests)
    assert content["spec"] == {
        "deletionPolicy": "Retain",
        "driver": "pd.csi.storage.gke.io",
        "source": {"snapshotHandle": "projects/my-project/global/images/gemma"},
        "volumeSnapshotRef": {"name": "gemma-vs", "namespace": "vllm"},
    }
    assert snapshot["metadata"] == {"name": "gemma-vs", "namespace": "vllm"}
