"""The download from a bucket: what it refuses, what it leaves on the disk."""

import hashlib
import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chart.conftest import Bucket
from tests.chart.scripts import script

SOURCE = "gs://models/gemma/gemma-7b"
DIRECTORY = "gemma/gemma-7b"
MANIFEST = "weights.manifest.json"


def run(disk: Path, log: Path, source: str = SOURCE, directory: str = DIRECTORY, *more: str) -> int:
    """Exit code of one download."""
    words = ["--source", source, "--root", str(disk), "--directory", directory, *more]
    code: int = script("download.__main__").main(words, str(log))
    return code


def manifest(disk: Path) -> Any:
    """The manifest on the disk."""
    return json.loads((disk / MANIFEST).read_text())


def test_the_model_lies_at_the_path_of_its_source(
    bucket: Bucket, disk: Path, termination_log: Path
) -> None:
    assert run(disk, termination_log) == 0
    model = disk / "gemma" / "gemma-7b"
    assert (model / "model-2.safetensors").read_bytes() == b"2" * 7000
    assert (model / "sub" / "config.json").read_bytes() == b"{}"
    assert not (disk / "gemma" / "gemma-7b-it").exists()


def test_the_manifest_lists_every_file_from_the_disks_root_sorted(
    bucket: Bucket, disk: Path, termination_log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(disk, termination_log)
    entries = manifest(disk)
    assert [entry["path"] for entry in entries] == [
        "gemma/gemma-7b/model-1.safetensors",
        "gemma/gemma-7b/model-2.safetensors",
        "gemma/gemma-7b/model.safetensors.index.json",
        "gemma/gemma-7b/sub/config.json",
    ]
    assert entries[0] == {
        "path": "gemma/gemma-7b/model-1.safetensors",
        "size": 5000,
        "sha256": hashlib.sha256(b"1" * 5000).hexdigest(),
    }
    digest = hashlib.sha256((disk / MANIFEST).read_bytes()).hexdigest()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"manifest sha256 {digest}, revision {digest[:12]}"


def test_nothing_but_the_model_and_its_manifest_is_left(
    bucket: Bucket, disk: Path, termination_log: Path
) -> None:
    run(disk, termination_log)
    assert sorted(path.name for path in disk.iterdir()) == ["gemma", "lost+found", MANIFEST]
    names = {path.name for path in disk.rglob("*")}
    assert "left_.gstmp" not in names


def test_everybody_may_read_what_a_strict_umask_made(
    bucket: Bucket, disk: Path, termination_log: Path
) -> None:
    before = os.umask(0o077)
    try:
        run(disk, termination_log)
    finally:
        os.umask(before)
    made = [disk / MANIFEST, disk / "gemma", *(disk / "gemma").rglob("*")]
    for path in made:
        mode = path.stat().st_mode
        wanted = 0o555 if stat.S_ISDIR(mode) else 0o444
        assert mode & wanted == wanted, path


def test_the_same_model_gives_the_same_manifest_whoever_downloads_it(
    bucket: Bucket, disk: Path, termination_log: Path
) -> None:
    run(disk, termination_log)
    first = (disk / MANIFEST).read_bytes()
    assert run(disk, termination_log) == 0
    assert (disk / MANIFEST).read_bytes() == first


def test_gcloud_compares_checksums_and_keeps_its_state_on_the_disk(
    bucket: Bucket, disk: Path, termination_log: Path
) -> None:
    run(disk, termination_log)
    listing, copy = bucket.calls()
    assert listing["words"] == [
        "storage", "objects", "list", f"{SOURCE}/**", "--format=json(name,size)", "--quiet",
    ]  # fmt: skip
    target = str(disk / DIRECTORY)
    assert copy["words"] == ["storage", "rsync", "--recursive", SOURCE, target, "--quiet"]
    assert copy["settings"] == {
        "CLOUDSDK_STORAGE_CHECK_HASHES": "always",
        "CLOUDSDK_STORAGE_TRACKER_FILES_DIRECTORY": str(disk / ".download"),
    }


def test_a_failed_download_leaves_no_manifest_even_where_there_was_one(
    bucket: Bucket, disk: Path, termination_log: Path
) -> None:
    run(disk, termination_log)
    bucket.fail = {"rsync": "ERROR: connection reset"}
    bucket.settle()
    assert run(disk, termination_log) == 1
    assert not (disk / MANIFEST).exists()
    assert termination_log.read_text() == "gcloud storage failed: ERROR: connection reset"


def test_no_manifest_without_the_data_on_the_disk(
    bucket: Bucket, disk: Path, termination_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(root: Path) -> None:
        raise OSError(28, "No space left on device", str(root))

    monkeypatch.setattr(script("download.tree"), "_sync", full)
    assert run(disk, termination_log) == 1
    assert not (disk / MANIFEST).exists()
    assert termination_log.read_text() == f"[Errno 28] No space left on device: '{disk}'"


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        (
            "ERROR: (gcloud.storage.objects.list) HTTPError 403: denied.",
            2,
            "Cloud Storage refuses to be read: ERROR: (gcloud.storage.objects.list) HTTPError 403:"
            " denied. Grant the Job's Kubernetes service account roles/storage.objectViewer on the"
            " bucket.",
        ),
        (
            "ERROR: (gcloud.storage.objects.list) gs://models not found: 404.",
            2,
            "Cloud Storage has nothing there: ERROR: (gcloud.storage.objects.list) gs://models not"
            " found: 404. Set download.source to a folder.",
        ),
        (
            "ERROR: reset by peer",
            1,
            "gcloud storage failed: ERROR: reset by peer",
        ),
    ],
)
def test_what_gcloud_says_decides_whether_another_attempt_helps(
    bucket: Bucket, disk: Path, termination_log: Path, said: str, code: int, message: str
) -> None:
    bucket.fail = {"objects": said}
    bucket.settle()
    assert run(disk, termination_log) == code
    assert termination_log.read_text() == message


def test_an_empty_source_is_refused(bucket: Bucket, disk: Path, termination_log: Path) -> None:
    assert run(disk, termination_log, "gs://models/gemma/none") == 2
    assert termination_log.read_text() == (
        "gs://models/gemma/none holds no file. Set download.source to the folder of a model."
    )


def test_an_empty_shard_is_refused(bucket: Bucket, disk: Path, termination_log: Path) -> None:
    bucket.put("models/gemma/gemma-7b/model-2.safetensors", b"")
    assert run(disk, termination_log) == 2
    assert termination_log.read_text() == (
        f"{SOURCE}/model-2.safetensors is empty: the upload failed. Upload it again."
    )


def test_an_index_that_names_a_missing_shard_is_refused(
    bucket: Bucket, disk: Path, termination_log: Path
) -> None:
    index = b'{"weight_map": {"a": "model-1.safetensors", "b": "model-3.safetensors"}}'
    bucket.put("models/gemma/gemma-7b/model.safetensors.index.json", index)
    assert run(disk, termination_log) == 2
    assert not (disk / MANIFEST).exists()
    assert termination_log.read_text() == (
        "model.safetensors.index.json names model-3.safetensors, which the source lacks: "
        "upload it too."
    )


@pytest.mark.parametrize("index", [b"[]", b"{}", b"not json", b'{"weight_map": []}'])
def test_an_index_that_is_none_is_refused(
    bucket: Bucket, disk: Path, termination_log: Path, index: bytes
) -> None:
    bucket.put("models/gemma/gemma-7b/model.safetensors.index.json", index)
    assert run(disk, termination_log) == 2
    assert termination_log.read_text() == (
        "model.safetensors.index.json is not an index of shards: it has no weight_map."
    )


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a//b", "a/./b", "back\\slash", "line\nbreak", "/etc/passwd"]
)
def test_an_object_with_an_odd_name_is_refused(
    bucket: Bucket, disk: Path, termination_log: Path, name: str
) -> None:
    bucket.extra = [{"name": f"gemma/gemma-7b/{name}", "size": 1}]
    bucket.settle()
    assert run(disk, termination_log) == 2
    assert termination_log.read_text() == (
        f"The path {name!r} is refused: a path is relative, without '.', '..', '//', "
        "backslashes or control characters."
    )


def test_objects_that_stand_for_folders_are_no_files(
    bucket: Bucket, disk: Path, termination_log: Path
) -> None:
    bucket.extra = [{"name": "gemma/gemma-7b/", "size": 0}, {"name": "gemma/gemma-7b/sub/"}]
    bucket.settle()
    assert run(disk, termination_log) == 0


@pytest.mark.parametrize("directory", ["../up", "/abs", "a/../b", "", "."])
def test_a_target_outside_of_the_disk_is_refused(
    bucket: Bucket, disk: Path, termination_log: Path, directory: str
) -> None:
    assert run(disk, termination_log, SOURCE, directory) == 2
    assert f"The path {directory!r} is refused" in termination_log.read_text()


@pytest.mark.parametrize("source", ["s3://a/b", "gs://bucket", "hf://a", "models/a", "hf://a/b/c"])
def test_another_source_is_refused(disk: Path, termination_log: Path, source: str) -> None:
    assert run(disk, termination_log, source) == 2
    assert termination_log.read_text() == (
        f"The source {source!r} is neither gs://bucket/dir/name nor hf://org/name."
    )


def test_a_disk_that_is_too_small_is_refused_before_anything_is_read(
    bucket: Bucket, disk: Path, termination_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.extra = [{"name": "gemma/gemma-7b/big.safetensors", "size": 20 * 2**30}]
    bucket.settle()
    usage = SimpleNamespace(free=5 * 2**30)
    monkeypatch.setattr(script("download.__main__").shutil, "disk_usage", lambda _: usage)
    assert run(disk, termination_log) == 2
    assert len(bucket.calls()) == 1
    assert termination_log.read_text() == (
        "The disk has 5.0 GiB free and the download needs 20.3 GiB. Set download.claim.sizeGiB to "
        "23 or more, in a new release, since a claim cannot shrink or move."
    )


def test_what_is_there_already_needs_no_space_again(
    bucket: Bucket, disk: Path, termination_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(disk, termination_log)
    usage = SimpleNamespace(free=65 * 2**20)
    monkeypatch.setattr(script("download.__main__").shutil, "disk_usage", lambda _: usage)
    assert run(disk, termination_log) == 0


def test_a_symbolic_link_is_refused(bucket: Bucket, disk: Path, termination_log: Path) -> None:
    run(disk, termination_log)
    (disk / DIRECTORY / "vocab.json").symlink_to("/etc/passwd")
    assert run(disk, termination_log) == 2
    assert termination_log.read_text() == (
        "vocab.json is a symbolic link, which may lead out of the disk: remove it."
    )


def test_a_file_of_another_size_than_listed_fails(
    bucket: Bucket, disk: Path, termination_log: Path
) -> None:
    bucket.extra = [{"name": "gemma/gemma-7b/absent.json", "size": 3}]
    bucket.settle()
    assert run(disk, termination_log) == 1
    assert termination_log.read_text() == "absent.json is missing after the download."


def test_two_downloads_cannot_hold_one_disk(
    bucket: Bucket, disk: Path, termination_log: Path
) -> None:
    with script("download.__main__").held(disk):
        assert run(disk, termination_log) == 1
    assert termination_log.read_text() == (
        "Another download holds this disk; wait until its pod has ended."
    )


def test_without_a_termination_log_nothing_is_made(
    bucket: Bucket, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(disk, tmp_path / "absent", "s3://x/y") == 2
    assert not (tmp_path / "absent").exists()
    assert "neither gs://bucket/dir/name nor hf://org/name" in capsys.readouterr().err
