"""Disks and registries that fail a bake: refused with the reason, and never told as a success."""

from __future__ import annotations

import json
import mmap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pylib.guest.payload import bake, main
from pylib.guest.payload.report import Report
from pylib.proc import run
from tests.disk.guest import do, job, loop, mounted
from tests.disk.layers import Layer, digest_of, gzipped, image
from tests.disk.made import Made
from tests.disk.registry import Answer, Registry

SMALL = image([gzipped(Layer().folder("d").file("d/f", b"content" * 5000))])


@pytest.mark.fault("G6")
def test_a_disk_that_holds_something_is_not_formatted(
    device: str, file: Path, registry: Registry, tmp_path: Path
) -> None:
    with file.open("r+b") as disk:
        disk.seek(128 << 20)
        disk.write(b"mine")
    report = do(job(device, registry.push("app:v1", SMALL)), tmp_path / "work")
    assert report["message"] == (
        f"{device} is not blank: byte {128 << 20} is not zero; it is not formatted [disk.py]"
    )
    assert registry.asked == []


@pytest.mark.fault("G6")
def test_a_disk_in_use_is_not_formatted(device: str, registry: Registry, tmp_path: Path) -> None:
    run(["mkfs.ext4", "-q", device])
    place = tmp_path / "rw"
    place.mkdir()
    run(["mount", device, place])
    try:
        report = do(job(device, registry.push("app:v1", SMALL)), tmp_path / "work")
    finally:
        run(["umount", place])
    assert report["message"].startswith(f"{device} is in use, mounted or by another device")


@pytest.mark.fault("G4")
def test_a_full_disk_is_named(registry: Registry, tmp_path: Path) -> None:
    large = image([gzipped(Layer().file("f", bytes(40 << 20)))])
    with loop(tmp_path / "small.raw", 32 << 20) as device:
        report = do(job(device, registry.push("app:v1", large)), tmp_path / "work")
    assert report["result"] == "fail"
    assert "the disk is full: its 0.0 GiB do not hold the unpacked images" in report["message"]


@pytest.mark.fault("G4")
def test_a_disk_without_inodes_left_is_named(registry: Registry, tmp_path: Path) -> None:
    layer = Layer()
    for number in range(9000):
        layer.file(f"f{number}")
    many = image([gzipped(layer)])
    with loop(tmp_path / "small.raw", 32 << 20) as device:
        report = do(job(device, registry.push("app:v1", many)), tmp_path / "work")
    assert report["result"] == "fail"
    assert "inodes are used" in report["message"]


@pytest.mark.fault("G4")
def test_a_disk_full_of_folders_is_named(registry: Registry, tmp_path: Path) -> None:
    """Each takes a block of its own, which is no file's data."""
    layer = Layer()
    for number in range(7500):
        layer.folder(f"d{number}")
    many = image([gzipped(layer)])
    with loop(tmp_path / "small.raw", 32 << 20) as device:
        report = do(job(device, registry.push("app:v1", many)), tmp_path / "work")
    assert report["result"] == "fail"
    assert "the disk is full: its 0.0 GiB do not hold the unpacked images" in report["message"]


@pytest.mark.fault("G8")
def test_a_tag_that_moved_is_refused(device: str, registry: Registry, tmp_path: Path) -> None:
    reference = registry.push("app:v1", SMALL)
    planned = "sha256:" + "a" * 64
    wanted = {**job(device, reference), "images": [{"reference": reference, "digest": planned}]}
    report = do(wanted, tmp_path / "work")
    assert f"{reference} is now {SMALL.digest}, not {planned} as the job says" in report["message"]


@pytest.mark.fault("G8", "G9")
def test_a_layer_that_unpacks_to_another_digest_is_refused(
    device: str, registry: Registry, tmp_path: Path
) -> None:
    packed = gzipped(Layer().file("f", b"1"))
    wrong = image([replace(packed, diff_id=digest_of(b"other"))])
    report = do(job(device, registry.push("app:v1", wrong)), tmp_path / "work")
    assert f"but its image's config says {digest_of(b'other')}" in report["message"]


def failure(device: str, registry: Registry, folder: Path) -> str:
    """What a bake in this process, which a test can spoil, says of its failure."""
    told: list[dict[str, Any]] = []

    def hear(_: str, body: bytes) -> int:
        told.append(json.loads(body))
        return 200

    work = folder / "work"
    work.mkdir()
    text = json.dumps(job(device, registry.push("app:v1", SMALL)))
    assert main.run(text, Report("n-1", hear), work) == main.REPORTED_FAILURE
    message: str = told[-1]["message"]
    return message


@pytest.mark.fault("G1", "G9")
def test_what_reads_back_wrong_never_gets_the_lists_that_a_node_goes_by(
    device: str,
    file: Path,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    closed: None,
) -> None:
    """A byte changes on the disk between writing and reading back."""
    prove = bake.prove

    def spoil(*given: Any) -> Any:
        with file.open("r+b") as disk, mmap.mmap(disk.fileno(), 0) as content:
            content[content.find(b"content" * 9)] ^= 1
        return prove(*given)

    monkeypatch.setattr(bake, "prove", spoil)
    assert "d/f holds other bytes than were written" in failure(device, registry, tmp_path)
    with mounted(file) as place:
        assert {one.name for one in place.iterdir()} == {"lost+found", "snapshots"}


@pytest.mark.fault("G1")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stray", "the disk's root holds images.metadata, snapshots, snapshots.metadata, stray"),
        ("snapshots.metadata", "snapshots.metadata is not what was written"),
    ],
)
def test_the_finished_disks_root_is_held_against_what_was_written(
    name: str,
    said: str,
    device: str,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    closed: None,
) -> None:
    """Another hand writes there last."""
    write_files = bake.write_files

    def spoil(folder: Path, *given: Any) -> Any:
        written = write_files(folder, *given)
        (folder / name).write_bytes(b"other")
        return written

    monkeypatch.setattr(bake, "write_files", spoil)
    assert said in failure(device, registry, tmp_path)


@pytest.mark.fault("G8")
def test_a_token_that_ends_while_pulling_is_renewed(
    device: str, registry: Registry, tmp_path: Path
) -> None:
    registry.tokens = True
    reference = registry.push("app:v1", SMALL)

    def expire(path: str, answer: Answer) -> Answer:
        if "/manifests/" in path:
            registry.good_tokens.clear()
            registry.good_tokens.add("Bearer other")
        return answer

    registry.unkind = expire
    assert do(job(device, reference), tmp_path / "work")["result"] == "ok"
    assert sum(path.startswith("/token") for path in registry.asked) >= 2


@pytest.mark.fault("G8")
@pytest.mark.parametrize(
    ("how", "said"),
    [
        (Answer(404, b"{}"), "answers 404: it is not there"),
        (Answer(403, b"{}"), "answers 403: it refuses"),
        (Answer(200, bytes(99)), "the registry sent other bytes than were pushed, or"),
    ],
)
def test_a_pull_that_fails_half_way_is_no_success(
    how: Answer, said: str, device: str, registry: Registry, tmp_path: Path
) -> None:
    layers = [gzipped(Layer().file("f", b"1")), gzipped(Layer().file("g", b"2"))]
    reference = registry.push("app:v1", image(layers))
    lost = digest_of(layers[1].blob)
    registry.unkind = lambda path, answer: how if path.endswith(lost) else answer
    report = do(job(device, reference), tmp_path / "work")
    assert (report["result"], report["digest"]) == ("fail", "")
    assert said in report["message"]


@pytest.mark.fault("G9")
def test_a_flipped_bit_is_found_from_the_disk_alone(made: Made, tmp_path: Path) -> None:
    report = made.check(made.tampered(tmp_path))
    assert report["result"] == "fail"
    assert "snapshots/1/fs has checksum " in report["message"]


@pytest.mark.fault("G5")
def test_what_is_no_disk_is_named(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "by-id").mkdir()
    (tmp_path / "by-id" / "other").touch()
    link = str(tmp_path / "by-id" / "other")
    report = do(job(link, registry.push("app:v1", SMALL)), tmp_path / "work")
    assert report["message"] == f"{link} is no disk [disk.py]"
