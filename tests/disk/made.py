"""An image cache disk that was made well, and copies of it to spoil and to check."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylib.proc import run
from tests.disk.guest import do, job, loop
from tests.disk.layers import Layer, gzipped, image
from tests.disk.registry import Registry, serving

SIZE = 64 << 20
_BASE = Layer().folder("d").file("d/f", b"look for this" * 1000).file("d/none").folder("d/empty")
_BASE.symlink("d/s", "f").link("d/h", "d/f").file("d/p", b"#!/bin/sh\n", mode=0o755)
CONTENT = image([gzipped(_BASE), gzipped(Layer().folder("e").file("e/g", b"above" * 2000))])


@dataclass(frozen=True)
class Made:
    """The disk's file, and what was told of it."""

    file: Path
    reference: str
    digest: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def copy(self, place: Path) -> Path:
        """The disk once more, sparse as it is."""
        target = place / f"copy-{next(self._numbers)}.raw"
        return copied(self.file, target)

    def tampered(self, place: Path) -> Path:
        """A copy in which one byte of a file is another."""
        copy = self.copy(place)
        at = copy.read_bytes().index(b"look for thislook")
        with copy.open("r+b") as disk:
            disk.seek(at)
            disk.write(b"L")
        return copy

    def check(self, file: Path) -> dict[str, Any]:
        """What the check of a finished image says of the disk in ``file``."""
        with loop(file) as node:
            asked = job(node, self.reference, verify={"digest": self.digest})
            return do(asked, file.with_name(f"{file.name}.work"))


def copied(file: Path, target: Path) -> Path:
    """A copy of a disk as it is at this moment."""
    run(["cp", "--sparse=always", file, target])
    return target


@contextmanager
def made(folder: Path) -> Iterator[Made]:
    """A small disk with :data:`CONTENT`."""
    file = folder / "made.raw"
    with serving(Registry()) as registry:
        reference = registry.push("team/app:v1", CONTENT)
        with loop(file, SIZE) as node:
            report = do(job(node, reference), folder / "work")
        assert report["result"] == "ok", report["log"]
        yield Made(file, reference, report["digest"])
