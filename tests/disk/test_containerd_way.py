"""The disk that containerd itself makes, and the one that the payload makes without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.disk.daemon import program
from tests.disk.guest import GIB, ROOT, do, job, loop, mounted
from tests.disk.hurtful import hard_links, whiteouts
from tests.disk.registry import Registry
from tests.disk.trees import differences


def _chains(disk: Path) -> dict[str, Path]:
    lines = (disk / "snapshots.metadata").read_text(encoding="utf-8").splitlines()
    return {line.split()[0]: disk / line.split()[1] for line in lines}


def test_it_holds_the_same_trees_and_images(
    registry: Registry, device: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if program("containerd") is None:
        pytest.skip("containerd is not built; run scripts/install-tools disk")
    monkeypatch.setenv("PATH", f"{ROOT / '.tools' / 'bin'}:{os.environ['PATH']}")
    images = [
        registry.push(f"{make.__name__.replace('_', '-')}:v1", make(tmp_path))
        for make in (whiteouts, hard_links)
    ]
    theirs = do(job(device, *images, payload="containerd"), tmp_path / "theirs")
    assert theirs["result"] == "ok", theirs["message"] + theirs["log"]
    check = job(device, *images, verify={"digest": theirs["digest"]})
    assert do(check, tmp_path / "check")["result"] == "ok"
    kept = file.rename(tmp_path / "kept.raw")
    assert theirs["facts"]["snapshots"] == 5

    with mounted(kept) as other:
        listed = (other / "images.metadata").read_text(encoding="utf-8")
        assert all(image in listed for image in images)
        direct = _baked(images, tmp_path)
        with mounted(direct) as disk:
            left, right = _chains(disk), _chains(other)
            assert left.keys() == right.keys()
            assert [differences(left[it], right[it]) for it in left] == [[]] * len(left)


def _baked(images: list[str], folder: Path) -> Path:
    file = folder / "direct.raw"
    with loop(file, 10 * GIB) as node:
        assert do(job(node, *images), folder / "ours")["result"] == "ok"
    return file


def test_a_boot_image_without_containerd_is_named(
    registry: Registry, device: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    reference = registry.push("app:v1", hard_links(tmp_path))
    report = do(job(device, reference, payload="containerd"), tmp_path / "work")
    assert (report["result"], report["phase"]) == ("fail", "start")
    assert report["message"].startswith(
        "the bake VM has no containerd and no ctr, which --payload containerd needs: name a boot "
        "image that holds containerd 1.6 or newer (--boot-image), or bake with --payload direct"
    )
    assert registry.asked == []
