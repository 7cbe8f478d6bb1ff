"""A weights disk, phase by phase: made, or checked as a disk from the finished image."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from download import tree
from download.common import DownloadError, RemoteFile, safe_path

from pylib.guest.payload import disk as disks
from pylib.guest.payload import room
from pylib.guest.payload.bake import Outcome, mounted
from pylib.guest.payload.bucket import Bucket
from pylib.guest.payload.disk import Disk
from pylib.guest.payload.failure import GuestError, line_of
from pylib.guest.payload.hub import Hub
from pylib.guest.payload.manifest import Manifest, read_manifest, verify
from pylib.guest.payload.ranges import Begin
from pylib.guest.payload.report import Report
from pylib.guest.payload.reshard import reshard, shards_of
from pylib.guest.payload.weights_job import WeightsJob, parse_weights_job


class Source(Protocol):
    """Where a model comes from."""

    uri: str

    def files(self) -> list[RemoteFile]:
        """Every file of the model."""

    def fetch(self, files: Sequence[RemoteFile], folder: Path, begin: Begin) -> None:
        """Bring ``files`` below ``folder``; ``begin`` is given who counts the bytes."""


def run(text: str, report: Report, work: Path) -> Outcome:
    """Do the job in ``text``; ``work`` is an empty folder on another disk.

    Raises :class:`GuestError` and :class:`OSError`; what is on the disk is then not to be used.
    """
    job = parse_weights_job(text)
    with _told():
        return bake(job, report, work) if job.verify_digest is None else check(job, report, work)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """The chart's errors, and a full disk, in words of a bake."""
    try:
        yield
    except DownloadError as error:
        raise GuestError(str(error), line_of(error)) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        message = "the disk is full: it does not hold the model; bake with a larger --disk-size"
        raise GuestError(message, line_of(error)) from error


def bake(job: WeightsJob, report: Report, work: Path) -> Outcome:
    """Make the disk."""
    report.phase("find")
    safe_path(job.directory)
    disk = disks.find(job.device, job.device_bytes)
    disks.prove_blank(disk)
    report.phase("resolve")
    source: Source = Bucket(job) if job.source.startswith("gs://") else Hub(job)
    files = _resolve(source, job, disk, work / "index")
    report.phase("format")
    disks.make_filesystem(disk, *room.options(files, job.directory))
    root = work / "disk"
    with mounted(disks.mount_to_write, disk, root):
        digest = _fill(root, source, files, job, report)
        disks.sync(root)
    disks.flush(disk)
    manifest = _verified(disk, root, digest, report)
    disks.flush(disk)
    return _outcome(manifest, disk, report)


def check(job: WeightsJob, report: Report, work: Path) -> Outcome:
    """Check a disk that was made from an image, as a node would read it."""
    report.phase("find")
    disk = disks.find(job.device, 0)
    manifest = _verified(disk, work / "disk", job.verify_digest or "", report)
    first, below = manifest.entries[0].path, f"{job.directory}/"
    if job.directory and not any(it.path.startswith(below) for it in manifest.entries):
        raise GuestError(f"the disk holds no model at /{job.directory}: its first file is /{first}")
    return _outcome(manifest, disk, report)


def _resolve(source: Source, job: WeightsJob, disk: Disk, index: Path) -> list[RemoteFile]:
    """The source's files, when they can be a model and fit the disk, by what they are named and by
    the indices of shards, which are read first."""
    files = source.files()
    if not files:
        raise GuestError(f"{source.uri} holds no file: name the folder of a model")
    for file in files:
        safe_path(file.path)
    tree.check_listing(files, source.uri)
    if job.shards:
        shards_of([file.path for file in files])
    room.check(files, job.shards, disk)
    for file in files:
        place = index / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        if not file.path.endswith(".index.json"):
            place.touch()
    indices = [file for file in files if file.path.endswith(".index.json")]
    source.fetch(indices, index, lambda _: None)
    tree.check_index(index)
    return files


def _fill(
    root: Path, source: Source, files: list[RemoteFile], job: WeightsJob, report: Report
) -> str:
    """Sha256 of the manifest, which is written last."""
    folder = root / job.directory
    folder.mkdir(parents=True)
    source.fetch(files, folder, partial(report.phase, "download", _bytes(files)))
    tree.settle(files, folder)
    tree.check_index(folder)
    if job.shards:
        files = _resharded(files, folder, job.shards, report)
    sizes: list[int] = []
    report.phase("hash", _bytes(files), lambda: sum(sizes))
    sha256 = tree.hashes(files, folder, sizes.append)
    report.phase("sync")
    return tree.write_manifest(root, folder, files, sha256)


def _resharded(
    files: list[RemoteFile], folder: Path, shards: int, report: Report
) -> list[RemoteFile]:
    """The files after it; those that are to be cut are held against their digests before."""
    sizes: list[int] = []
    report.phase("reshard", _bytes(files), lambda: sum(sizes))
    tree.hashes([file for file in files if file.digest], folder)
    changed = reshard(files, folder, shards, sizes.append)
    tree.settle(changed, folder)
    tree.check_index(folder)
    return changed


def _verified(disk: Disk, root: Path, digest: str, report: Report) -> Manifest:
    """The manifest of a disk that is clean, and holds what its manifest says, byte for byte; with
    this ``digest`` where one is given."""
    report.phase("verify")
    disks.prove_clean(disk)
    with mounted(disks.mount_to_read, disk, root):
        manifest = read_manifest(root)
        if digest not in {"", manifest.digest}:
            raise GuestError(
                f"the manifest on the disk has sha256 {manifest.digest}, not {digest} as was made"
            )
        verify(root, manifest, partial(report.phase, "verify", manifest.facts()["bytes"]))
    disks.prove_clean(disk)
    return manifest


def _outcome(manifest: Manifest, disk: Disk, report: Report) -> Outcome:
    report.phase("done")
    facts = {**manifest.facts(), "device_bytes": disk.size, "seconds": report.seconds()}
    return Outcome(manifest.digest, facts)


def _bytes(files: Sequence[RemoteFile]) -> int:
    return sum(file.size for file in files)
