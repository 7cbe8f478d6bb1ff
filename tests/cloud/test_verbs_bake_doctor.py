"""The verbs ``bake`` and ``doctor`` on a cloud in memory."""

from __future__ import annotations

import argparse
import io
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from pylib.cloud.faults import Kind
from pylib.errors import ConfigError
from pylib.lock import load_lock, lock_path
from pylib.verbs import bake as bake_verb
from pylib.verbs import doctor as doctor_verb
from tests.cloud.baking import pack
from tests.cloud.fake_cloud import FakeCloud
from tests.cloud.fake_parts import DIGEST, Fault


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCloud:
    """What ``connect`` returns."""
    found = FakeCloud(journal=tmp_path / "config.bake-image.journal")
    found.stored["my-models/gemma/gemma-7b/model.safetensors"] = "weights"

    def connect(project: str, endpoint: str | None) -> FakeCloud:
        assert (project, endpoint) == ("my-project", None)
        return found

    monkeypatch.setattr("pylib.cloud.gcp.connect", connect)
    monkeypatch.setattr("pylib.guest.pack.metadata", pack)
    return found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A case's config and lock."""
    for name in ("config.yaml", "config.lock.yaml"):
        shutil.copy(Path("values/gemma-7b-fast") / name, tmp_path / name)
    return tmp_path / "config.yaml"


def _run(verb: ModuleType, *words: str) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    verb.arguments(parser)
    out = io.StringIO()
    code: int = verb.run(parser.parse_args(words), out)
    return code, out.getvalue()


def test_bake_image_writes_the_lock_and_leaves_the_rest_of_it(
    cloud: FakeCloud, config: Path
) -> None:
    before = load_lock(lock_path(config))

    code, said = _run(bake_verb, "image", "-f", str(config), "--label", "team=a")

    lock = load_lock(lock_path(config))
    [image] = cloud.made()
    assert code == 0
    assert lock.imageCache is not None
    assert lock.imageCache.id == image.id
    assert [(it.reference, it.digest) for it in lock.imageCache.images] == [
        ("docker.io/vllm/vllm-openai:v0.33.0", DIGEST)
    ]
    assert lock.weights == before.weights
    assert f"image vllm-v0-33-0 is published (id {image.id})" in said
    assert "about 14 min, about $0.09; the image then at most $3.00 a month (guesses)" in said
    assert "fill: pull 50 % of 0.0 GiB" in said
    assert image.labels["team"] == "a"
    assert cloud.left() == []


def test_a_second_bake_says_that_the_image_is_there_already(cloud: FakeCloud, config: Path) -> None:
    _run(bake_verb, "image", "-f", str(config))
    first = lock_path(config).read_text()
    _, said = _run(bake_verb, "image", "-f", str(config))
    assert "image vllm-v0-33-0 is there already" in said
    assert lock_path(config).read_text() == first


def test_a_dry_run_makes_nothing(cloud: FakeCloud, config: Path) -> None:
    before = lock_path(config).read_text()
    code, said = _run(bake_verb, "image", "-f", str(config), "--dry-run", "--zone=us-central1-f")
    assert code == 0
    assert "n2-standard-8 with no external address, in us-central1-f, on pd-ssd" in said
    assert cloud.calls == 0
    assert lock_path(config).read_text() == before


def test_a_broken_lock_is_told_before_anything_is_made(cloud: FakeCloud, config: Path) -> None:
    lock_path(config).write_text("version: 2\n")
    with pytest.raises(ConfigError):
        _run(bake_verb, "image", "-f", str(config))
    assert cloud.calls == 0


@pytest.mark.parametrize("words", [["--label", "team"], ["--label", "a=b", "--label", "a=c"]])
def test_a_label_is_key_and_value_once(cloud: FakeCloud, config: Path, words: list[str]) -> None:
    with pytest.raises(ConfigError, match="--label"):
        _run(bake_verb, "image", "-f", str(config), *words)
    assert cloud.calls == 0


def test_doctor_exits_with_findings_only_when_there_are_any(cloud: FakeCloud, config: Path) -> None:
    code, said = _run(doctor_verb, "-f", str(config))
    assert code == 0
    assert "ok      network: Cloud NAT serves network default in us-central1\n" in said
    cloud.gateways = ()
    code, said = _run(doctor_verb, "-f", str(config), "--output", "json")
    assert code == 1
    [failed] = [check for check in json.loads(said) if check["state"] == "failed"]
    assert failed["name"] == "network"
    assert cloud.made() == []


def _doctor(config: Path, *words: str) -> tuple[int, list[dict[str, str]]]:
    code, said = _run(doctor_verb, "-f", str(config), "--output", "json", *words)
    return code, [it for it in json.loads(said) if it["name"] in {"model", "config"}]


def test_doctor_looks_for_the_model_and_says_who_reads_it(cloud: FakeCloud, config: Path) -> None:
    code, found = _doctor(config)
    assert (code, found[0]["text"]) == (0, "1 objects, 0.00 GiB")
    assert found[1]["text"] == "the bake VM reads bucket my-models as nobody: it must be public"
    assert len(_doctor(config, "--service-account", "sa@my-project.iam")[1]) == 1


@pytest.mark.fault("I6")
def test_doctor_finds_a_model_that_is_not_there(cloud: FakeCloud, config: Path) -> None:
    cloud.stored.clear()
    code, [found] = _doctor(config)
    assert code == 1
    assert found["text"] == "model.source gs://my-models/gemma/gemma-7b holds no files"


def test_doctor_finds_a_bucket_that_may_not_be_listed(cloud: FakeCloud, config: Path) -> None:
    cloud.plan.append(Fault("objects", "before", kind=Kind.DENIED))
    code, [found] = _doctor(config)
    assert code == 1
    assert found["text"] == "model.source objects: injected"
    assert "roles/storage.objectViewer" in found["fix"]
