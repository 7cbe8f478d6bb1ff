"""The guest's payload as a process of its own, as in a VM, with a report that the test reads."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pylib.emulator.guest.loops import attach
from pylib.guest.inflater import extension
from pylib.guest.pack import downloader
from pylib.guest.payload import isal, main
from pylib.guest.payload.job import nonce_of
from pylib.guest.payload.report import Report
from pylib.proc import run

ROOT = Path(__file__).resolve().parents[2]
GIB = 1 << 30


@contextmanager
def loop(file: Path, size: int = 0, *, read_only: bool = False) -> Iterator[str]:
    """A device on ``file``, which is made first when a size is given."""
    if size:
        with file.open("wb") as made:
            made.truncate(size)
    attached = attach(file, read_only=read_only)
    try:
        yield str(attached.node)
    finally:
        attached.detach()


@contextmanager
def mounted(file: Path, options: str = "ro,noload") -> Iterator[Path]:
    """What is on a disk."""
    place = file.with_name(f"{file.name}.look")
    place.mkdir()
    run(["mount", "-o", f"loop,{options}", file, place])
    try:
        yield place
    finally:
        run(["umount", place])
        place.rmdir()


def job(device: str, *images: str, **more: Any) -> dict[str, Any]:
    """A job for a disk."""
    hosts = {image.partition("/")[0] for image in images}
    return {
        "version": 1,
        "kind": "image",
        "nonce": "n-1",
        "device": device,
        "images": list(images),
        "endpoints": {host: [f"http://{host}"] for host in hosts},
        **more,
    }


def do(
    asked: Mapping[str, Any], work: Path, *prefix: str, more: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The last report of a job; ``prefix`` are words before the command, such as prlimit's,
    ``more`` is laid over its environment."""
    work.mkdir(exist_ok=True)
    out = work / "report.json"
    out.unlink(missing_ok=True)
    words: list[str | Path] = [
        *prefix,
        sys.executable,
        "-m",
        "tests.disk.guest",
        json.dumps(asked),
        work,
    ]
    package = f"{ROOT}:{downloader().parent}"
    settings = {isal.SETTING: str(extension() or ""), "PYTHONPATH": package}
    done = run(words, ok_codes=tuple(range(256)), settings={**settings, **(more or {})})
    report: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert done.code == (0 if report["result"] == "ok" else 3), done.stderr
    return {**report, "log": done.stderr}


def _main() -> int:
    text, work = sys.argv[1], Path(sys.argv[2])

    def write(_: str, body: bytes) -> int:
        (work / "report.json").write_bytes(body)
        return 200

    return main.run(text, Report(nonce_of(text), write), work)


if __name__ == "__main__":
    sys.exit(_main())
