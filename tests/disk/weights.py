"""Jobs of weights disks, and a small disk that was made well."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pylib.proc import run
from tests.disk.guest import do, loop
from tests.guest.google import Google, serving
from tests.guest.models import model

SIZE = 256 << 20
SOURCE = "gs://models/google/gemma"
DIRECTORY = "google/gemma"
MANIFEST = "weights.manifest.json"


def weights_job(google: Google, device: str, **more: Any) -> dict[str, Any]:
    """A bake of the model in the bucket; ``more`` replaces what it says."""
    return {
        "version": 1,
        "kind": "weights",
        "nonce": "n-1",
        "device": device,
        "source": SOURCE,
        "directory": DIRECTORY,
        "endpoints": dict.fromkeys(("storage", "hf", "secretmanager"), google.url),
        **more,
    }


def put(google: Google, files: Mapping[str, bytes]) -> None:
    """Fill the bucket."""
    for path, content in files.items():
        google.put(f"models/{DIRECTORY}/{path}", content)


def bake(google: Google, device: str, work: Path, *prefix: str, **more: Any) -> dict[str, Any]:
    """The last report of a bake."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GCE_METADATA_HOST", urlsplit(google.url).netloc)
        return do(weights_job(google, device, **more), work, *prefix)


def check(file: Path, digest: str = "", **more: Any) -> dict[str, Any]:
    """What the check of a finished image says of the disk in ``file``; ``more`` is in its job."""
    with loop(file) as device:
        asked = {
            "version": 1,
            "kind": "weights",
            "nonce": "n-2",
            "device": device,
            "verify": {"digest": digest},
            **more,
        }
        return do(asked, file.with_name(f"{file.name}.work"))


@contextmanager
def written(file: Path) -> Iterator[Path]:
    """The disk in ``file`` mounted, to change what it holds."""
    place = file.with_name(f"{file.name}.rw")
    place.mkdir()
    run(["mount", "-o", "loop", file, place])
    try:
        yield place
    finally:
        run(["umount", place])
        place.rmdir()


@dataclass(frozen=True)
class Made:
    """A disk's file, the model on it, and what the guest told of it."""

    file: Path
    files: Mapping[str, bytes]
    report: Mapping[str, Any]
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def digest(self) -> str:
        """Of the manifest."""
        return str(self.report["digest"])

    def copy(self, folder: Path) -> Path:
        """The disk once more, sparse as it is."""
        target = folder / f"copy-{next(self._numbers)}.raw"
        run(["cp", "--sparse=always", self.file, target])
        return target


def entries(place: Path) -> list[dict[str, Any]]:
    """The manifest of a mounted disk."""
    found: list[dict[str, Any]] = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
    return found


@contextmanager
def made(folder: Path, files: Mapping[str, bytes] | None = None, **more: Any) -> Iterator[Made]:
    """A small disk with a model."""
    files, file = files or model(), folder / "made.raw"
    with serving(Google()) as google:
        put(google, files)
        with loop(file, SIZE) as device:
            report = bake(google, device, folder / "work", **more)
    assert report["result"] == "ok", report["log"]
    yield Made(file, files, report)
