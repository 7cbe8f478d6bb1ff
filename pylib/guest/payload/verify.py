"""Holding what lies on the mounted disk against what was to be written: every path, every byte."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pylib.guest.payload.compare import Comparer, Md5s, Portion, portions
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.layer import load_records
from pylib.guest.payload.metafiles import IMAGES, SNAPSHOTS
from pylib.guest.payload.pool import Counters, run_all


@dataclass(frozen=True)
class Expected:
    """A tree that must be at ``path`` on the disk, by the records that its layer left."""

    path: str
    records: Path


def verify(
    device: str,
    folder: Path,
    trees: Sequence[Expected],
    progress: Callable[[int, Counters], None],
) -> Md5s:
    """Check all trees below ``folder``, where ``device`` is mounted; returns the sums of what was
    read, by the trees' paths.

    ``progress`` is told the bytes to read, and who counts them.  Raises :class:`GuestError` that
    names the first path that differs, or when nothing is expected.
    """
    if not trees:
        raise GuestError("nothing was to be on the disk: an empty disk is no success")
    todo = [portion for tree in trees for portion in _portions(folder, tree)]
    workers = readers()
    counters = Counters(workers)
    progress(sum(portion.size for portion in todo), counters)
    shares = [todo[slot::workers] for slot in range(workers)]
    tasks = [partial(_compare_some, device, it, counters, slot) for slot, it in enumerate(shares)]
    found: Md5s = {tree.path: {} for tree in trees}
    for some in run_all(tasks, workers):
        for path, md5s in some.items():
            found[path] |= md5s
    return found


def readers() -> int:
    """Processes that read at once: a disk over the network answers many small reads together as
    fast as one alone."""
    return 4 * (os.cpu_count() or 1)


def check_top(folder: Path, paths: Sequence[str]) -> None:
    """Raises :class:`GuestError` unless the disk holds these snapshots and nothing else."""
    top = {entry.name for entry in folder.iterdir()} - {"lost+found"}
    if top != {SNAPSHOTS, IMAGES, "snapshots"}:
        raise GuestError(f"the disk's root holds {', '.join(sorted(top)) or 'nothing'}")
    there = {f"snapshots/{entry.name}/fs" for entry in (folder / "snapshots").iterdir()}
    if there != set(paths) or len(paths) != len(there):
        odd = sorted(there.symmetric_difference(paths)) or sorted(paths)
        raise GuestError(f"{SNAPSHOTS} and the disk's folders differ in {', '.join(odd[:5])}")


def check_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Raises :class:`GuestError` unless small ``files`` in the disk's root are as written."""
    for name, content in files.items():
        _check_file(folder / name, content)


def _check_file(path: Path, content: bytes) -> None:
    try:
        found = path.read_bytes()
    except OSError as error:
        raise GuestError(f"{path.name} cannot be read back: {error.strerror}") from None
    if found != content or not content:
        raise GuestError(f"{path.name} is not what was written")


def _portions(folder: Path, tree: Expected) -> Iterator[Portion]:
    return portions(os.fsencode(folder / tree.path), tree.path, load_records(tree.records))


def _compare_some(device: str, some: Sequence[Portion], counters: Counters, slot: int) -> Md5s:
    comparer = Comparer(device, partial(counters.set, slot))
    for portion in some:
        comparer.compare(portion)
    comparer.finish()
    return comparer.md5s
