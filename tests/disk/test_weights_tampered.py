"""Weights disks that are not what their manifest says: each refused, and the file named."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pylib.emulator.guest.real import why_not
from pylib.proc import run
from tests.disk.weights import DIRECTORY, MANIFEST, Made, check, entries, made, written

FIRST = f"{DIRECTORY}/model-00001-of-00002.safetensors"
INDEX = f"{DIRECTORY}/model.safetensors.index.json"

Entries = list[dict[str, Any]]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A disk with a model, for all tests here."""
    if reason := why_not():
        pytest.skip(f"no real disks: {reason}")
    with made(tmp_path_factory.mktemp("weights")) as one:
        yield one


def refused(file: Path, digest: str = "") -> str:
    """Why the check refuses a disk."""
    report = check(file, digest)
    assert report["result"] == "fail", report["log"]
    assert report["digest"] == ""
    return str(report["message"])


def _shorten(place: Path) -> None:
    os.truncate(place / FIRST, 1000)


def _plant(name: str, target: str) -> Callable[[Path], None]:
    return lambda place: (place / name).symlink_to(target)


def _device(place: Path) -> None:
    os.mknod(place / DIRECTORY / "dev", 0o600 | 0o010000)


@pytest.mark.fault("G10", "G11", "G12")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_shorten, f"{FIRST} has 1000 bytes on the disk, not "),
        (lambda place: os.truncate(place / FIRST, 0), f"{FIRST} has 0 bytes on the disk, not "),
        (lambda place: (place / FIRST).unlink(), f"{FIRST} is in the manifest and not on the disk"),
        (
            lambda place: (place / DIRECTORY / "extra.bin").write_bytes(b"x"),
            f"{DIRECTORY}/extra.bin is on the disk, as a file, and not in its manifest",
        ),
        (
            lambda place: (place / "empty").mkdir(),
            "empty is on the disk, as a folder, and not in its manifest",
        ),
        (
            _plant(f"{DIRECTORY}/link", "/etc/passwd"),
            f"{DIRECTORY}/link is on the disk, as a symbolic link, and not in its manifest",
        ),
        (_device, f"{DIRECTORY}/dev is on the disk, as a device, and not in its manifest"),
        (
            lambda place: (place / "lost+found" / "#12").write_bytes(b"x"),
            "lost+found is on the disk, as a folder, and not in its manifest",
        ),
        (
            lambda place: (place / FIRST).chmod(0o600),
            f"{FIRST} has mode 600: not all may read it",
        ),
        (
            lambda place: (place / MANIFEST).unlink(),
            f"the disk has no {MANIFEST}: it was not baked to the end",
        ),
        (
            lambda place: (place / MANIFEST).write_bytes(b""),
            f"{MANIFEST} on the disk is no manifest",
        ),
        (
            lambda place: (place / MANIFEST).write_bytes(b"[]"),
            f"{MANIFEST} names no file: an empty",
        ),
        (
            lambda place: (place / MANIFEST).write_bytes(b"{}"),
            f"{MANIFEST} on the disk is no manifest: TypeError('it is no list')",
        ),
        (
            lambda place: (place / MANIFEST).write_bytes(b"[1]"),
            f"{MANIFEST} on the disk is no mani",
        ),
        (
            lambda place: [(place / MANIFEST).unlink(), (place / MANIFEST).mkdir()],
            f"{MANIFEST} on the disk is no plain file",
        ),
    ],
)
def test_whatever_was_changed_is_named(
    disk: Made, tmp_path: Path, change: Callable[[Path], None], said: str
) -> None:
    file = disk.copy(tmp_path)
    with written(file) as place:
        change(place)
    assert refused(file).startswith(said)


def _twice(held: Entries) -> Entries:
    return [held[0], *held]


def _unsorted(held: Entries) -> Entries:
    return held[::-1]


def _upwards(held: Entries) -> Entries:
    return [{**held[0], "path": "../etc/passwd"}, *held[1:]]


def _negative(held: Entries) -> Entries:
    return [{**held[0], "size": -1}, *held[1:]]


def _no_sum(held: Entries) -> Entries:
    return [{**held[0], "sha256": ""}, *held[1:]]


@pytest.mark.fault("G12")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_twice, f"{MANIFEST} names {DIRECTORY}/config.json twice, or is not sorted there"),
        (_unsorted, "twice, or is not sorted there"),
        (_upwards, "The path '../etc/passwd' is refused"),
        (_negative, f"{DIRECTORY}/config.json has the size -1"),
        (_no_sum, "is no entry"),
        (lambda held: held[1:], f"{DIRECTORY}/config.json is on the disk, as a file, and not in"),
    ],
)
def test_a_manifest_that_is_none_is_refused(
    disk: Made, tmp_path: Path, change: Callable[[Entries], Entries], said: str
) -> None:
    file = disk.copy(tmp_path)
    with written(file) as place:
        (place / MANIFEST).write_text(json.dumps(change(entries(place))), encoding="utf-8")
    assert said in refused(file)


@pytest.mark.fault("G9")
def test_a_flipped_bit_is_found_on_the_disk_itself(disk: Made, tmp_path: Path) -> None:
    """In the blocks, past the filesystem, which has no sums of what is in files."""
    file = disk.copy(tmp_path)
    content = disk.files["model-00001-of-00002.safetensors"][-64:]
    image = bytearray(file.read_bytes())
    at = image.find(content)
    assert at > 0
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(bytes([content[0] ^ 1]))
    assert refused(file, disk.digest).startswith(
        f"{FIRST} holds other bytes than its manifest says"
    )


@pytest.mark.fault("G9", "G11")
def test_a_file_of_more_than_2_gib_is_read_to_its_end(disk: Made, tmp_path: Path) -> None:
    size, file = (2 << 30) + 5, disk.copy(tmp_path)
    sha256 = hashlib.sha256(bytes(5))
    for _ in range(2 << 7):
        sha256.update(bytes(8 << 20))
    entry = {"path": f"{DIRECTORY}/zeros", "size": size, "sha256": sha256.hexdigest()}
    with written(file) as place:
        (place / DIRECTORY / "zeros").touch()
        os.truncate(place / DIRECTORY / "zeros", size)
        held = json.dumps([*entries(place), entry])
        (place / MANIFEST).write_text(held, encoding="utf-8")
    assert check(file)["result"] == "ok"
    with written(file) as place, (place / DIRECTORY / "zeros").open("r+b") as opened:
        opened.seek(size - 1)
        opened.write(b"x")
    assert refused(file).startswith(f"{DIRECTORY}/zeros holds other bytes than its manifest says")


@pytest.mark.fault("G9")
def test_a_changed_manifest_is_refused_by_its_own_digest(disk: Made, tmp_path: Path) -> None:
    """A file and its entry, both changed, agree with each other; the job knows the digest."""
    file = disk.copy(tmp_path)
    with written(file) as place:
        held = entries(place)
        (place / DIRECTORY / "config.json").write_bytes(b"{}")
        held[0] |= {"size": 2, "sha256": hashlib.sha256(b"{}").hexdigest()}
        (place / MANIFEST).write_text(json.dumps(held), encoding="utf-8")
    assert check(file)["result"] == "ok"
    assert "the manifest on the disk has sha256 " in refused(file, disk.digest)


@pytest.mark.fault("G10")
@pytest.mark.parametrize("empty", [True, False])
def test_a_shard_that_the_index_names_must_be_there(
    disk: Made, tmp_path: Path, empty: bool
) -> None:
    """Even when the manifest was written without it, or with it empty."""
    file = disk.copy(tmp_path)
    with written(file) as place:
        held = [entry for entry in entries(place) if entry["path"] != FIRST]
        (place / FIRST).unlink()
        if empty:
            (place / FIRST).touch()
            held.append({"path": FIRST, "size": 0, "sha256": hashlib.sha256().hexdigest()})
        text = json.dumps(sorted(held, key=lambda entry: str(entry["path"])))
        (place / MANIFEST).write_text(text, encoding="utf-8")
    said = refused(file)
    if empty:
        assert f"{FIRST} is empty" in said
    else:
        assert "names model-00001-of-00002.safetensors, which the source lacks" in said


def test_a_disk_that_is_no_ext4_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "blank.raw"
    run(["truncate", "-s", "64M", file])
    assert "holds no ext4" in refused(file)
