"""The lock file beside the config: read, refused, and found by the config's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylib.errors import ConfigError
from pylib.lock import Lock, load_lock, lock_path, parse_lock
from tests.unit.bad_configs.tables import LOCK, Edits, edited, message, rows

CASES = Path(__file__).resolve().parents[2] / "values"
SHA = "      manifestSha256: 308c477e9c541a4df316e7b2e7d02b5e7348c25f5910f7e82b582f7a4c8d9b85\n"


@pytest.mark.parametrize(("edits", "says"), rows("lock"))
def test_a_bad_lock_is_refused(edits: Edits, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_lock(edited(LOCK, edits))
    assert str(caught.value) == message("config.lock.yaml", says)


def test_a_good_lock_is_read() -> None:
    lock = parse_lock(LOCK)
    assert lock.imageCache is not None
    assert lock.weights is not None
    assert lock.imageCache.images[0].reference == "docker.io/vllm/vllm-openai:v0.33.0"
    revision = lock.weights.revisions[0]
    assert (lock.weights.current, revision.name) == ("308c477e9c54", "308c477e9c54")
    assert (revision.disks["a"].name, revision.disks["a"].zone) == (
        "gemma-308c477e9c54",
        "us-central1-a",
    )


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param(
            {"- name: 308c477e9c54\n": "- name: first\n", ": 308c477e9c54\n": ": first\n"}
        ),
        pytest.param({SHA: ""}),
    ],
    ids=["a label as the name of a revision", "no sha256 of the manifest"],
)
def test_a_lock_written_by_hand_is_read(edits: dict[str, str]) -> None:
    text = LOCK
    for old, new in edits.items():
        text = text.replace(old, new)
    assert parse_lock(text).weights is not None


@pytest.mark.parametrize("path", sorted(CASES.glob("*/*.lock.yaml")), ids=lambda p: p.parent.name)
def test_the_lock_of_each_case_is_good(path: Path) -> None:
    lock = load_lock(path)
    assert Lock.model_validate_json(lock.model_dump_json()) == lock


@pytest.mark.parametrize(
    ("config", "lock"),
    [
        ("config.yaml", "config.lock.yaml"),
        ("a/b/prod.yml", "a/b/prod.lock.yaml"),
        ("team.prod.yaml", "team.prod.lock.yaml"),
        ("/etc/config", "/etc/config.lock.yaml"),
    ],
)
def test_the_lock_stands_beside_its_config(config: str, lock: str) -> None:
    assert lock_path(Path(config)) == Path(lock)


def test_no_lock_file_is_an_empty_lock(tmp_path: Path) -> None:
    assert load_lock(tmp_path / "config.lock.yaml") == Lock(version=1)


def test_a_lock_file_is_named_in_messages_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "config.lock.yaml"
    path.write_text("version: 3\n")
    with pytest.raises(ConfigError) as caught:
        load_lock(path)
    assert str(caught.value) == message(str(path), f"{path}:1: version: 3 is not 1\n    Write 1.")


def test_a_lock_without_weights_or_images_is_read() -> None:
    assert parse_lock("version: 1\n") == Lock(version=1)
