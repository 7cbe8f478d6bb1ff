"""Checking a disk made from a finished image, as a node would read it: the job's ``verify``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pylib.guest.payload import disk as disks
from pylib.guest.payload.bake import Outcome, mounted
from pylib.guest.payload.contents import Source, UnreadError, sums_of
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.job import ImageJob
from pylib.guest.payload.metafiles import IMAGES, SNAPSHOTS, parse_images
from pylib.guest.payload.pool import Counters, run_all
from pylib.guest.payload.report import Report
from pylib.guest.payload.snapshots import disk_digest, summary_of, with_md5s
from pylib.guest.payload.tree import Record
from pylib.guest.payload.verify import check_top, readers
from pylib.guest.payload.walk import is_file, records_on_disk

_LINE = re.compile(r"(sha256:[0-9a-f]{64}) (snapshots/[0-9]+/fs) ([0-9a-f]{32})")


def check(job: ImageJob, report: Report, work: Path) -> Outcome:
    """Digest of what the disk holds, and the images that it names.

    Raises :class:`GuestError` when the digest is not the job's, or the disk contradicts itself.
    """
    report.phase("find")
    disk = disks.find(job.device, 0)
    disks.prove_clean(disk)
    folder = work / "disk"
    report.phase("verify")
    with mounted(disks.mount_to_read, disk, folder):
        lines = parse_snapshots(_text(folder / SNAPSHOTS))
        check_top(folder, [path for path, _ in lines.values()])
        images = parse_images(_text(folder / IMAGES))
        _check_images(job, images)
        trees = read_trees(folder, [path for path, _ in lines.values()], report)
    summaries = {}
    for (chain, (path, checksum)), records in zip(lines.items(), trees, strict=True):
        summaries[chain] = summary_of(records)
        if checksum != summaries[chain].checksum:
            raise GuestError(f"{path} has checksum {summaries[chain].checksum}, not {checksum}")
    digest = disk_digest(summaries)
    if job.verify_digest not in {"", digest}:
        raise GuestError(f"the disk holds {digest}, not {job.verify_digest} as was made")
    size = sum(it.size for records in trees for it in records if it.path == it.group)
    report.phase("done")
    named = [{"reference": name, "digest": found} for name, found in images.items()]
    return Outcome(digest, {"images": named, "tree_bytes": size, "snapshots": len(summaries)})


def parse_snapshots(text: str) -> dict[str, tuple[str, str]]:
    """Path and checksum by chain ID; raises :class:`GuestError` for none, odd or double lines."""
    found: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or match[1] in found:
            raise GuestError(f"{SNAPSHOTS} has the line {line!r}")
        found[match[1]] = (match[2], match[3])
    if not found:
        raise GuestError(f"{SNAPSHOTS} is empty: the disk holds no snapshot")
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise GuestError(f"the disk has no good {file.name}: {error}") from None


def _check_images(job: ImageJob, named: Mapping[str, str]) -> None:
    if not named:
        raise GuestError(f"{IMAGES} on the disk names no image")
    missing = sorted({it.reference.text for it in job.images} - set(named))
    if missing:
        raise GuestError(f"{IMAGES} on the disk does not name {', '.join(missing)}")


def read_trees(folder: Path, paths: Sequence[str], report: Report) -> list[list[Record]]:
    """Records of each tree, with md5 sums."""
    roots = [os.fsencode(folder / path) for path in paths]
    trees = run_all([partial(records_on_disk, root) for root in roots], readers())
    files = [
        (number, record)
        for number, records in enumerate(trees)
        for record in records
        if is_file(record) and record.path == record.group
    ]
    files.sort(key=lambda one: -one[1].size)  # each reader gets about as many bytes
    workers = readers()
    counters = Counters(workers)
    report.phase("verify", sum(record.size for _, record in files), counters.total)
    shares = [files[slot::workers] for slot in range(workers)]
    tasks = [partial(_sums, roots, it, counters, slot) for slot, it in enumerate(shares)]
    md5s: list[dict[bytes, str]] = [{} for _ in trees]
    for share, found in zip(shares, run_all(tasks, workers), strict=True):
        for (number, record), md5 in zip(share, found, strict=True):
            md5s[number][record.path] = md5
    return [with_md5s(records, found) for records, found in zip(trees, md5s, strict=True)]


def _sums(
    roots: Sequence[bytes], files: Sequence[tuple[int, Record]], counters: Counters, slot: int
) -> list[str]:
    sources = [Source(roots[number] + b"/" + record.path, record.size) for number, record in files]
    found, done = [""] * len(files), 0
    try:
        for number, sums in sums_of(sources):
            found[number] = sums.md5
            done += sources[number].size
            counters.set(slot, done)
    except UnreadError as error:
        path = os.fsdecode(sources[error.number].path)
        raise GuestError(f"{path} cannot be read: {error.strerror}") from None
    return found
