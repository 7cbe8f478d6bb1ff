"""Loop devices: files that the kernel shows as disks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pylib.emulator.blocks import cut_off
from pylib.proc import run


@dataclass(frozen=True)
class Loop:
    """A file shown as ``/dev/loopN``."""

    node: Path
    file: Path
    read_only: bool

    @property
    def numbers(self) -> tuple[int, int]:
        """Major and minor number."""
        device = self.node.stat().st_rdev
        return os.major(device), os.minor(device)

    def detach(self) -> None:
        """Show the file no longer; one that is still mounted keeps its own copy of the blocks."""
        run(["losetup", "--detach", self.node])
        if self._bound() and not self.read_only:
            cut_off(self.file)

    def _bound(self) -> bool:
        """Whether the kernel still holds the file, since someone has the device open."""
        backing = Path("/sys/block") / self.node.name / "loop" / "backing_file"
        try:
            return backing.read_text(encoding="utf-8").strip() == str(self.file)
        except OSError:
            return False


def attach(file: Path, *, read_only: bool) -> Loop:
    """Show the file as the next free loop device."""
    words = ["losetup", "--find", "--show", *(["--read-only"] if read_only else []), str(file)]
    return Loop(Path(run(words).stdout.strip()), file, read_only)


def detach_all_of(folder: Path) -> None:
    """Let go of what an emulator left that was killed."""
    listed = run(["losetup", "--list", "--noheadings", "--raw", "--output", "NAME,BACK-FILE"])
    for line in listed.stdout.splitlines():
        node, _, file = line.partition(" ")
        if Path(file).is_relative_to(folder.resolve()):
            run(["losetup", "--detach", node])
