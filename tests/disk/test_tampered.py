"""A disk of which anything is not as it was made is refused by the check of the finished image."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.disk.guest import mounted
from tests.disk.made import Made

Change = Callable[[Path], object]
"""What is changed on a disk, mounted at a place."""
TREE = "snapshots/1/fs/d"


def _rewrite(name: str, content: bytes) -> Change:
    """Other bytes, with the times of the old ones."""

    def change(disk: Path) -> None:
        before = (disk / name).stat()
        (disk / name).write_bytes(content)
        os.utime(disk / name, ns=(before.st_atime_ns, before.st_mtime_ns))

    return change


def _in_folder(change: Change) -> Change:
    """``change`` of what is in a folder, which keeps its times."""

    def kept(disk: Path) -> None:
        before = (disk / TREE).stat()
        change(disk / TREE)
        os.utime(disk / TREE, ns=(before.st_atime_ns, before.st_mtime_ns))

    return kept


def _lines(edit: Callable[[list[str]], list[str]], name: str = "snapshots.metadata") -> Change:
    def change(disk: Path) -> None:
        lines = (disk / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (disk / name).write_text("".join(edit(lines)), encoding="utf-8")

    return change


def _swapped(lines: list[str]) -> list[str]:
    """Each chain ID with the other's folder and checksum."""
    first, second = (line.split(" ", 1) for line in lines)
    return [f"{first[0]} {second[1]}", f"{second[0]} {first[1]}"]


def _relink(folder: Path) -> None:
    (folder / "s").unlink()
    (folder / "s").symlink_to("/etc/passwd")


def _unshare(folder: Path) -> None:
    """A hard link becomes a file of its own, which only takes more room."""
    content, before = (folder / "h").read_bytes(), (folder / "h").stat()
    (folder / "h").unlink()
    (folder / "h").write_bytes(content)
    os.utime(folder / "h", ns=(before.st_atime_ns, before.st_mtime_ns))


OTHER_BYTES = b"LOOK for this" * 1000
CASES: dict[str, tuple[Change, str]] = {
    "other-bytes": (_rewrite(f"{TREE}/f", OTHER_BYTES), "snapshots/1/fs has checksum "),
    "no-bytes": (_rewrite(f"{TREE}/f", b""), "snapshots/1/fs has checksum "),
    "file-gone": (_in_folder(lambda it: (it / "p").unlink()), "snapshots/1/fs has checksum "),
    "folder-gone": (_in_folder(lambda it: (it / "empty").rmdir()), "the disk holds sha256:"),
    "other-name": (
        _in_folder(lambda it: (it / "p").rename(it / "q")),
        "the disk holds sha256:",
    ),
    "other-mode": (lambda it: (it / TREE / "p").chmod(0o644), "the disk holds sha256:"),
    "other-target": (_in_folder(_relink), "the disk holds sha256:"),
    "no-hard-link": (_in_folder(_unshare), "the disk holds sha256:"),
    "snapshot-gone": (
        lambda it: (it / "snapshots/2").rename(it / "lost+found/2"),
        "snapshots.metadata and the disk's folders differ in snapshots/2/fs",
    ),
    "snapshot-more": (
        lambda it: (it / "snapshots/3/fs").mkdir(parents=True),
        "snapshots.metadata and the disk's folders differ in snapshots/3/fs",
    ),
    "no-list": (
        lambda it: (it / "snapshots.metadata").unlink(),
        "the disk has no good snapshots.metadata",
    ),
    "empty-list": (
        _rewrite("snapshots.metadata", b""),
        "snapshots.metadata is empty: the disk holds no snapshot",
    ),
    "line-twice": (_lines(lambda it: [*it, it[0]]), "snapshots.metadata has the line "),
    "line-gone": (
        _lines(lambda it: it[:1]),
        "snapshots.metadata and the disk's folders differ in snapshots/",
    ),
    "line-cut": (_lines(lambda it: [it[0], it[1][:-9]]), "snapshots.metadata has the line "),
    "lines-swapped": (_lines(_swapped), "the disk holds sha256:"),
    "no-images": (
        lambda it: (it / "images.metadata").unlink(),
        "the disk's root holds snapshots, snapshots.metadata",
    ),
    "empty-images": (
        _rewrite("images.metadata", b""),
        "images.metadata on the disk names no image",
    ),
}
"""How it comes about, and what is said of it."""


@pytest.mark.fault("G10", "G11", "G12")
@pytest.mark.parametrize("case", CASES)
def test_a_disk_that_is_not_as_it_was_made_is_refused(
    case: str, made: Made, tmp_path: Path
) -> None:
    change, said = CASES[case]
    file = made.copy(tmp_path)
    with mounted(file, "rw,noatime") as disk:
        change(disk)

    report = made.check(file)

    assert (report["result"], report["digest"]) == ("fail", "")
    assert said in report["message"]


def test_a_disk_that_was_only_mounted_again_is_as_it_was_made(made: Made, tmp_path: Path) -> None:
    file = made.copy(tmp_path)
    with mounted(file, "rw,noatime"):
        pass
    assert made.check(file)["result"] == "ok"
