"""Disks of a baked revision: named before they are made, and how to make them."""

from __future__ import annotations

from typing import Any

from pylib.config.parse import parse_config
from pylib.gcloud import create_disk
from pylib.lock import Lock, parse_lock
from pylib.values import make_values, values_file
from pylib.weights_disks import mounted_revisions, unmade
from tests.unit.bad_configs.tables import BASE, LOCK, Edits, edited

DISKS = "        a: {name: gemma-308c477e9c54"


def _baked(text: str = LOCK) -> Lock:
    """The lock with an image for its revision, and no disk."""
    lock = parse_lock(text)
    assert lock.weights is not None
    document: dict[str, Any] = lock.model_dump(mode="json")
    revision = document["weights"]["revisions"][0]
    revision["image"] = {"project": "images-project", "name": "gemma-7b"}
    revision["disks"] = {}
    return Lock.model_validate_json(Lock.model_validate(document).model_dump_json())


def _commands(edits: Edits | None = None) -> list[str]:
    config = parse_config(edited(BASE, edits or {}))
    return [create_disk(config.project, spec) for spec in unmade(config, _baked())]


def test_values_name_the_disk_that_a_baked_revision_will_have() -> None:
    config = parse_config(BASE)
    disk = make_values(config, _baked())["weights"]["disk"]
    [revision] = disk["revisions"]
    assert revision["disks"] == {"a": "gemma-a-308c477e9c54"}
    assert disk["current"] == revision["name"]


def test_the_head_of_the_values_says_how_to_make_it() -> None:
    text = values_file(parse_config(BASE), _baked(), ())
    [line] = [line for line in text.splitlines() if "is not made yet" in line]
    assert line == (
        "# Disk gemma-a-308c477e9c54 is not made yet: gcloud compute disks create "
        "gemma-a-308c477e9c54 --project=my-project --zone=us-central1-a --type=pd-ssd "
        "--size=1024GB --image=projects/images-project/global/images/gemma-7b "
        "--labels=vfs-cell=a,vfs-namespace=vllm,vfs-release=gemma,vfs-revision=308c477e9c54"
    )
    assert "is not made yet" not in values_file(parse_config(BASE), parse_lock(LOCK), ())


def test_a_hyperdisk_ml_is_made_for_many_readers() -> None:
    [line] = _commands({"  type: pd-ssd\n": "  type: hyperdisk-ml\n  throughputMiBps: 2400\n"})
    assert "--type=hyperdisk-ml" in line
    assert " --access-mode=READ_ONLY_MANY --provisioned-throughput=2400 " in line


def test_a_revision_without_disks_is_mounted_only_when_it_is_the_current_one() -> None:
    lock = _baked()
    assert lock.weights is not None
    assert len(mounted_revisions(lock)) == 1
    [revision] = lock.weights.revisions
    other = revision.model_copy(update={"name": "other"})
    both = lock.weights.model_copy(update={"revisions": (revision, other)})
    found = mounted_revisions(lock.model_copy(update={"weights": both}))
    assert found == (revision,)
