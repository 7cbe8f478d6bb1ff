"""What every way of baking gets alike: a blank disk, empty or warm caches, and a stop-watch."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pylib.proc import run

SECTOR = 512
_SAMPLE_SECONDS = 1.0
"""Between looks at their memory: each look takes a core some tens of milliseconds."""
_SPARE = 3 << 30
"""Bytes of memory that touching leaves alone."""


@dataclass
class Cost:
    """``seconds`` of the whole and of ``parts``; ``cpu`` user and system seconds; ``peak_mib`` of
    the processes, shared pages counted once; ``written`` bytes that reached the disk,
    ``allocated`` those that files and folders take there; ``note`` is printed with it."""

    seconds: float
    cpu: float
    peak_mib: float
    written: int
    allocated: int
    parts: Mapping[str, float] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@contextlib.contextmanager
def blank_disk(folder: Path, size: int) -> Iterator[str]:
    """A loop device on a new sparse file; past the page cache, as a disk of a VM is."""
    file = folder / "target.raw"
    file.unlink(missing_ok=True)
    with file.open("wb") as made:
        made.truncate(size)
    device = run(["losetup", "--find", "--show", "--direct-io=on", file]).stdout.strip()
    try:
        yield device
    finally:
        run(["losetup", "--detach", device])
        file.unlink()


def written_bytes(device: str) -> int:
    """Bytes written by this device since the boot, to whatever lay behind it."""
    text = Path(f"/sys/block/{Path(device).name}/stat").read_text(encoding="ascii")
    return int(text.split()[6]) * SECTOR


def drop_caches() -> None:
    """Have the kernel forget every file that it has read."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")


def warm(blobs: Sequence[Path]) -> None:
    """Touch the free memory, which a host may have taken back, then read the blobs into it."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    if (child := os.fork()) == 0:
        memory = mmap.mmap(-1, max(mmap.PAGESIZE, free - _SPARE), flags=mmap.MAP_PRIVATE)
        ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(memory)), 1, len(memory))
        os._exit(0)
    os.waitpid(child, 0)
    for blob in blobs:
        with blob.open("rb", buffering=0) as file:
            while file.read(1 << 22):
                pass


@contextlib.contextmanager
def registry(blobs: Path) -> Iterator[str]:
    """Its address, ``127.0.0.1:port``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "tests.disk.bench_registry", str(blobs), str(port)]
    server = subprocess.Popen(words)
    try:
        _until_open(port)
        yield f"127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def _until_open(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("the bench's registry did not start")


class Watch:
    """Peak memory of all processes of some sessions, sampled by a thread."""

    def __init__(self) -> None:
        self.peak_mib = 0.0
        self._sessions: set[int] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def start(
        self,
        words: Sequence[str | Path],
        *,
        folder: Path | None = None,
        settings: Mapping[str, str] | None = None,
        log: IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """A process whose memory, and that of all that it starts, is watched; ``settings`` are laid
        over the environment, its output goes to ``log`` or nowhere."""
        output = log or subprocess.DEVNULL
        process = subprocess.Popen(
            [str(word) for word in words],
            start_new_session=True,
            cwd=folder,
            env={**os.environ, **(settings or {})},
            stdout=output,
            stderr=output,
        )
        self._sessions.add(process.pid)
        return process

    def _sample(self) -> None:
        while not self._end.wait(_SAMPLE_SECONDS):
            self.peak_mib = max(self.peak_mib, sum(map(_proportional_mib, self._processes())))

    def _processes(self) -> Iterator[Path]:
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                if int(fields[3]) in self._sessions:
                    yield entry


def _proportional_mib(process: Path) -> float:
    with contextlib.suppress(OSError):
        for line in (process / "smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu_of_children() -> float:
    """User and system seconds of all processes that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def mounted(device: str, folder: Path) -> Iterator[Path]:
    """What was written, to look at."""
    place = folder / "look"
    place.mkdir(exist_ok=True)
    run(["mount", "-o", "ro,noload", device, place])
    try:
        yield place
    finally:
        run(["umount", place])


def left_on(device: str, folder: Path) -> tuple[int, dict[str, str]]:
    """Bytes that files and folders take, and the sums of ``snapshots.metadata`` by chain ID."""
    with mounted(device, folder) as place:
        text = (place / "snapshots.metadata").read_text(encoding="utf-8")
        found = run(["du", "--summarize", "--block-size=1", place / "snapshots"], timeout=3600)
    lines = [line.split() for line in text.splitlines()]
    return int(found.stdout.split()[0]), {chain: checksum for chain, _, checksum in lines}
