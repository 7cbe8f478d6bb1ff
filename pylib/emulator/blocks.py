"""Blocks of disks, images and snapshots: sparse files, copied by reflink where that is possible."""

from __future__ import annotations

from pathlib import Path

from pylib.proc import run

GIB = 1 << 30
_COPY_SECONDS = 3600


def make(file: Path, gib: int) -> None:
    """An empty disk, which takes no space."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as opened:
        opened.truncate(gib * GIB)


def copy(source: Path, target: Path, gib: int) -> None:
    """A copy as the source is now, at least so large; no source at all copies as empty."""
    if not source.exists():
        make(target, gib)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    run(["cp", "--reflink=auto", "--sparse=auto", source, target], timeout=_COPY_SECONDS)
    grow(target, gib)


def grow(file: Path, gib: int) -> None:
    """Make the file as large as the disk is; it never shrinks."""
    with file.open("r+b") as opened:
        opened.truncate(max(gib * GIB, file.stat().st_size))


def cut_off(file: Path) -> None:
    """Leave the file as it is now to the name; what is still written goes to a file of no name.

    That is a power cut, or a cable pulled: a loop device holds on to the old file.
    """
    kept = file.with_name(f"{file.name}.cut")
    copy(file, kept, 0)
    kept.replace(file)


def allocated(file: Path) -> int:
    """Bytes of storage that the file takes."""
    return file.stat().st_blocks * 512 if file.exists() else 0
