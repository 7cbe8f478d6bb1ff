"""Holding what lies on the mounted disk against what was to be written: every path, every byte."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.layer import load_records
from pylib.guest.payload.metafiles import IMAGES, SNAPSHOTS
from pylib.guest.payload.pool import Counters, run_all
from pylib.guest.payload.tree import Record
from pylib.guest.payload.walk import Reader, is_file, records_on_disk

_BATCH_FILES, _BATCH_BYTES = 2000, 64 << 20


@dataclass(frozen=True)
class Batch:
    """Files of the tree ``root``, to be read by one process."""

    root: bytes
    records: list[Record]


@dataclass(frozen=True)
class Expected:
    """A tree that must be at ``path`` on the disk, by the records that its layer left."""

    path: str
    records: Path


def verify(
    folder: Path,
    trees: Sequence[Expected],
    files: Mapping[str, bytes],
    progress: Callable[[int, Counters], None],
) -> None:
    """Check all trees below ``folder``, and small ``files`` in it by their content.

    ``progress`` is told the bytes to read, and who counts them.  Raises :class:`GuestError` that
    names the first path that differs, or when nothing is expected.
    """
    if not trees:
        raise GuestError("nothing was to be on the disk: an empty disk is no success")
    check_top(folder, [tree.path for tree in trees])
    for name, content in files.items():
        _check_file(folder / name, content)
    workers = readers()
    found = run_all([partial(_compare, folder, tree) for tree in trees], workers)
    todo = [batch for batches in found for batch in batches]
    counters = Counters(len(todo))
    progress(sum(it.size for batch in todo for it in batch.records), counters)
    run_all([partial(_check_batch, it, counters, slot) for slot, it in enumerate(todo)], workers)


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


def _check_file(path: Path, content: bytes) -> None:
    try:
        found = path.read_bytes()
    except OSError as error:
        raise GuestError(f"{path.name} cannot be read back: {error.strerror}") from None
    if found != content or not content:
        raise GuestError(f"{path.name} is not what was written")


def _compare(folder: Path, tree: Expected) -> list[Batch]:
    """Compare all but contents; returns the files to read."""
    expected = {record.path: record for record in load_records(tree.records)}
    root = os.fsencode(folder / tree.path)
    to_read = []
    for found in records_on_disk(root):
        wanted = expected.pop(found.path, None)
        name = shown(tree.path, found.path)
        if wanted is None:
            raise GuestError(f"{name} is on the disk and in no layer")
        if wanted.about != found.about:
            raise GuestError(
                f"{name} is {found.about.decode()!r} on the disk, not {wanted.about.decode()!r}"
            )
        if is_file(found) and found.path == found.group:
            to_read.append(wanted)
    for path in expected:
        raise GuestError(f"{shown(tree.path, path)} is not on the disk")
    return list(batches(root, to_read))


def shown(tree: str, path: bytes) -> str:
    """A path as text, whatever bytes it has."""
    return f"{tree}/{path.decode('utf-8', 'backslashreplace')}"


def batches(root: bytes, records: Sequence[Record]) -> Iterator[Batch]:
    """Files in portions that take about as long to read."""
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        size += record.size
        if size >= _BATCH_BYTES or len(batch) == _BATCH_FILES:
            yield Batch(root, batch)
            batch, size = [], 0
    if batch:
        yield Batch(root, batch)


def _check_batch(batch: Batch, counters: Counters, slot: int) -> None:
    reader, done = Reader(), 0
    for record in batch.records:
        place = batch.root + b"/" + record.path
        try:
            found = reader.check(place, record.size)
        except OSError as error:
            raise GuestError(f"{os.fsdecode(place)} cannot be read back: {error}") from None
        if found != record.check:
            raise GuestError(
                f"{os.fsdecode(place)} holds other bytes than were written: checksum {found}, not "
                f"{record.check}"
            )
        done += record.size
        counters.set(slot, done)
