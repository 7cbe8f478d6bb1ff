"""``bake weights`` on the host's side: what is asked for, refused, published and written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pylib.bake.lockfile import keep_revision
from pylib.bake.options import Options
from pylib.bake.plan import Bake
from pylib.bake.watch import Report
from pylib.bake.weights import WeightsRecipe, locked_revision
from pylib.bake.weights_request import weights_request
from pylib.cloud.records import StoredObject
from pylib.config.model import Config, Disk, NoWeights
from pylib.config.parse import load_config
from pylib.errors import BakeError, ConfigError
from pylib.lock import load_lock
from tests.cloud import baking
from tests.cloud.baking import Client
from tests.cloud.fake import FakeCompute
from tests.cloud.fake_parts import MANIFEST

CONFIG = Path("values/gemma-7b-fast/config.yaml")
COMMIT = "0123456789abcdef" * 2 + "01234567"
GIB = 1 << 30


def _config(**model: Any) -> Config:
    config = load_config(CONFIG)
    return config.model_copy(update={"model": config.model.model_copy(update=model)})


def _bucket(*sizes: int) -> list[StoredObject]:
    """A model of so many files, and the empty object of its folder."""
    folder = StoredObject("gemma/gemma-7b/", 0, "1")
    files = [
        StoredObject(f"gemma/gemma-7b/model-{number}.safetensors", size, "7")
        for number, size in enumerate(sizes)
    ]
    return [folder, *files]


def _request(
    config: Config | None = None, found: list[StoredObject] | None = None, **options: Any
) -> Bake:
    objects = _bucket(8 * GIB, 7 * GIB) if found is None else found
    asked: list[tuple[str, str]] = []

    def listed(bucket: str, prefix: str) -> list[StoredObject]:
        asked.append((bucket, prefix))
        return objects

    made = Options(owner="me", **options)
    source = config or _config(source="gs://models/gemma/gemma-7b", revision=None)
    bake = weights_request(source, made, "c.yaml", ("us-central1-a",), listed)
    if bake.recipe.inputs()["source"].startswith("gs://"):
        assert asked == [("models", "gemma/gemma-7b/")]
    return bake


def _problems(
    config: Config | None = None, found: list[StoredObject] | None = None, **options: Any
) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _request(config, found, **options)
    return [f"{problem.path} {problem.message}" for problem in caught.value.problems]


def test_a_bucket_is_listed_and_its_state_is_part_of_the_bake() -> None:
    bake = _request()
    job = bake.recipe.job()
    assert (job["source"], job["directory"]) == ("gs://models/gemma/gemma-7b", "gemma/gemma-7b")
    assert len(job["listing"]) == 64
    assert bake.size_gib == 18  # 15 GiB x 1.03 + 2
    assert bake.image_name == f"weights-{bake.inputs}"
    assert bake.inputs == _request().inputs
    assert bake.inputs != _request(found=_bucket(8 * GIB, 7 * GIB - 1)).inputs


def test_a_commit_is_the_state_of_a_model_on_hugging_face() -> None:
    config = _config(source="hf://google/gemma-7b", revision=COMMIT)
    secret = "projects/p/secrets/hf"
    bake = _request(config, token_secret=secret, service_account="sa", shards=8)
    assert bake.recipe.job() == {
        "source": "hf://google/gemma-7b",
        "directory": "google/gemma-7b",
        "revision": COMMIT,
        "shards": 8,
        "auth": "service-account",
        "token_secret": f"{secret}/versions/latest",
    }
    assert bake.recipe.scopes == ("https://www.googleapis.com/auth/cloud-platform",)
    assert bake.recipe.outside == ("hf://google/gemma-7b",)
    assert bake.size_gib == 21  # 16 GiB and an eighth more, x 1.03 + 2


@pytest.mark.fault("I2", "I6")
def test_all_problems_are_told_at_once() -> None:
    config = _config(source="hf://google/gemma-7b", revision="main")
    options: dict[str, Any] = {
        "shards": 0,
        "token_secret": "hf",
        "name": "Upper",
        "zones": ("us-central1",),
    }
    found = _problems(config, **options)
    assert found == [
        "model.revision 'main' is no commit, and a branch or tag moves",
        "--token-secret 'hf' is no secret of Secret Manager",
        "--token-secret is read by the VM's service account, and none is given",
        "--shards 0 is out of range",
        "--name 'Upper' is no name of Compute Engine",
        "--zone 'us-central1' is no zone of us-central1",
    ]


@pytest.mark.fault("I2", "I6")
@pytest.mark.parametrize(
    ("found", "options", "problem"),
    [
        ([], {}, "model.source gs://models/gemma/gemma-7b holds no files"),
        (_bucket(), {}, "model.source gs://models/gemma/gemma-7b holds no files"),
        (_bucket(17 * GIB), {}, "model.sizeGiB is 16, and the files have 17.00 GiB"),
        (None, {"disk_gib": 15}, "--disk-size 15 GiB do not hold 15.00 GiB of files"),
        (
            None,
            {"disk_gib": 4000},
            "weights.sizeGiB 2048 GiB is less than the 4000 GiB of the image to bake",
        ),
        (
            None,
            {"token_secret": "projects/p/secrets/s", "service_account": "a"},
            "--token-secret is for hf://, and the model is gs://models/gemma/gemma-7b",
        ),
    ],
)
def test_a_source_that_does_not_fit_is_refused_before_anything_is_made(
    found: list[StoredObject] | None, options: dict[str, Any], problem: str
) -> None:
    assert problem in _problems(None, found, **options)


@pytest.mark.fault("I6")
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"weights": NoWeights(kind="none", sizeGiB=20)}, "weights.kind is none: nothing to bake"),
        (
            {"weights": Disk(kind="disk", existing=True, sizeGiB=1024)},
            "weights.existing is true: the disks are somebody else's",
        ),
    ],
)
def test_a_config_that_wants_no_weights_baked_gets_none(
    change: dict[str, Any], problem: str
) -> None:
    config = _config(source="gs://models/gemma/gemma-7b", revision=None)
    assert _problems(config.model_copy(update=change)) == [problem]


def test_a_config_without_a_source_is_refused() -> None:
    assert _problems(_config(source=None)) == ["model.source is required to bake the weights"]


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A client with nothing baked yet."""
    journal = tmp_path / "bake.journal"
    return Client(FakeCompute(journal=journal), journal)


def test_a_bake_publishes_the_weights_and_tells_what_they_are(client: Client) -> None:
    baked = client.bake(baking.weights_request())

    [image] = client.cloud.made()
    assert baked.image == image
    assert {key: image.labels[key] for key in image.labels if key.startswith("weights-")} == {
        "weights-source": "models-google-gemma-7b",
        "weights-origin": "efefefefefef",
        "weights-revision": MANIFEST[:12],
        "weights-bytes": "7",
    }
    said = json.loads(image.description)
    assert (said["digest"], said["files"], said["shards"]) == (MANIFEST, 3, 2)
    assert said["source"] == baking.SOURCE
    assert image.family == "gemma"
    assert client.cloud.left() == []


def test_the_same_state_of_the_source_is_not_baked_again(client: Client) -> None:
    first = client.bake(baking.weights_request())
    second = client.bake(baking.weights_request())
    assert second.reused
    assert second.content == first.content


@pytest.mark.parametrize(
    ("digest", "facts", "said"),
    [
        (MANIFEST, {}, "without the number of files"),
        (MANIFEST, {"files": 0, "bytes": 1}, "without files"),
        ("sha256:ab", {"files": 1, "bytes": 1}, "without files, or without their manifest"),
    ],
)
def test_a_report_without_files_is_no_success(
    digest: str, facts: dict[str, int], said: str
) -> None:
    report = Report("done", 0, 0, "ok", "", 0, digest, facts)
    with pytest.raises(BakeError, match=said):
        baking.weights_request().recipe.content(report)


def test_the_lock_keeps_what_it_has_and_the_current_revision(
    client: Client, tmp_path: Path
) -> None:
    lock = tmp_path / "c.lock.yaml"
    baked = client.bake(baking.weights_request())
    recipe = baking.weights_request().recipe
    assert isinstance(recipe, WeightsRecipe)
    revision = locked_revision(baked.image, baked.content, recipe)

    assert keep_revision(lock, "c.yaml", revision)
    text = lock.read_text()
    assert keep_revision(lock, "c.yaml", revision)
    assert lock.read_text() == text
    other = revision.model_copy(update={"name": "other", "manifestSha256": None})
    assert not keep_revision(lock, "c.yaml", other)

    found = load_lock(lock).weights
    assert found is not None
    assert found.current == MANIFEST[:12]
    assert [it.name for it in found.revisions] == [MANIFEST[:12], "other"]
    assert found.revisions[0] == revision
    assert revision.image is not None
    assert revision.image.id == baked.image.id
