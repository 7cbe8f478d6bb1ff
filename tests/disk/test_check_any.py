"""Checks of image cache disks whose digest nobody knows: by what the disk says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylib.emulator.guest.real import why_not
from tests.disk.guest import do, loop
from tests.disk.layers import digest_of
from tests.disk.made import CONTENT, Made, made
from tests.disk.weights import written


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A disk that was made well."""
    if reason := why_not():
        pytest.skip(f"no real disks: {reason}")
    with made(tmp_path_factory.mktemp("made")) as one:
        yield one


def check(file: Path, digest: str = "") -> dict[str, Any]:
    """The report of a check that names no image."""
    with loop(file) as device:
        asked = {
            "version": 1,
            "kind": "image",
            "nonce": "n-1",
            "device": device,
            "verify": {"digest": digest},
        }
        return do(asked, file.with_name(f"{file.name}.work"))


def test_what_a_disk_holds_is_told(disk: Made, tmp_path: Path) -> None:
    report = check(disk.copy(tmp_path))
    assert (report["result"], report["digest"]) == ("ok", disk.digest), report["log"]
    assert report["facts"]["images"] == [{"reference": disk.reference, "digest": CONTENT.digest}]
    assert report["facts"]["snapshots"] == 2
    assert report["facts"]["tree_bytes"] > 0


def test_a_known_digest_is_still_compared(disk: Made, tmp_path: Path) -> None:
    other = digest_of(b"other")
    report = check(disk.copy(tmp_path), other)
    assert f"the disk holds {disk.digest}, not {other} as was made" in report["message"]


@pytest.mark.fault("G12")
@pytest.mark.parametrize("text", ["", "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"])
def test_a_disk_that_names_no_image_is_refused(disk: Made, tmp_path: Path, text: str) -> None:
    file = disk.copy(tmp_path)
    with written(file) as place:
        (place / "images.metadata").write_text(text, encoding="utf-8")
    assert "images.metadata on the disk names no image" in check(file)["message"]


@pytest.mark.fault("G9")
def test_a_tree_that_contradicts_its_own_list_is_refused(disk: Made, tmp_path: Path) -> None:
    file = disk.copy(tmp_path)
    with written(file) as place:
        (place / "snapshots/1/fs/d/f").write_bytes(b"other")
    assert "snapshots/1/fs has checksum " in check(file)["message"]
