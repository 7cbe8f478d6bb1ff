"""The bake of an image cache disk, phase by phase."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylib.guest.payload import disk as disks
from pylib.guest.payload import md5x8, native, snapshots
from pylib.guest.payload.disk import Disk
from pylib.guest.payload.image import Image, resolve
from pylib.guest.payload.isal import inflater
from pylib.guest.payload.job import ImageJob
from pylib.guest.payload.layer import Unpacked
from pylib.guest.payload.metafiles import IMAGES, SNAPSHOTS, images_text, snapshots_text
from pylib.guest.payload.pool import Counters
from pylib.guest.payload.report import Report
from pylib.guest.payload.snapshots import Place, Summary
from pylib.guest.payload.space import explained
from pylib.guest.payload.verify import Expected, check_files, check_top, verify
from pylib.guest.payload.web import Session


@dataclass(frozen=True)
class Outcome:
    """What a job says in the end."""

    digest: str
    facts: Mapping[str, Any]


@contextlib.contextmanager
def mounted(mount: Callable[[Disk, Path], None], disk: Disk, folder: Path) -> Iterator[None]:
    """The disk at ``folder``; that it cannot be unmounted is an error too."""
    mount(disk, folder)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            native.unmount(str(folder))
        raise
    disks.unmount(folder)


def bake(job: ImageJob, report: Report, work: Path) -> Outcome:
    """Make the disk; ``work`` is an empty folder on another one.

    Raises :class:`GuestError` and :class:`OSError`; what is on the disk is then not to be used.
    """
    report.phase("find")
    disk = disks.find(job.device, job.device_bytes)
    disks.prove_blank(disk)
    report.phase("resolve")
    images = [resolve(wanted, job, Session()) for wanted in job.images]
    places = snapshots.plan(images, work)
    inflater()  # the layers' processes find it chosen
    md5x8.code()  # and so do the readers'
    report.phase("format")
    disks.make_filesystem(disk)
    folder = work / "disk"
    with mounted(disks.mount_to_write, disk, folder):
        unpacked = snapshots.write(places, folder, report)
        report.phase("settle")
        snapshots.settle(places, unpacked, folder)
        report.phase("sync")
        disks.sync(folder)
    summaries = prove(disk, folder, places, report)
    report.phase("finish")
    with mounted(disks.mount_to_write, disk, folder):
        files = write_files(folder, places, summaries, images)
        disks.sync(folder)
    prove_files(disk, folder, places, files)
    by_chain = dict(zip((it.layer.chain_id for it in places), summaries, strict=True))
    report.phase("done")
    return Outcome(snapshots.disk_digest(by_chain), _facts(images, unpacked, disk, report))


def write_files(
    folder: Path, places: Sequence[Place], summaries: Sequence[Summary], images: Sequence[Image]
) -> Mapping[str, bytes]:
    """Write what tells a node of the snapshots, once those are proven; returns the contents."""
    lines = {
        place.layer.chain_id: (place.path, summary.checksum)
        for place, summary in zip(places, summaries, strict=True)
    }
    files = {
        SNAPSHOTS: snapshots_text(lines).encode(),
        IMAGES: images_text(images).encode(),
    }
    try:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise explained(error, os.fsencode(folder)) from error
    return files


def prove(
    disk: Disk,
    folder: Path,
    places: Sequence[Place],
    report: Report,
) -> list[Summary]:
    """Read all trees back from a read-only mount of the disk as it is now; returns their sums, in
    the order of places.

    What a layer's process has read back already is not read again where it still lies there.

    Raises :class:`GuestError` for the first thing that is not as it was written.
    """
    report.phase("verify")
    disks.flush(disk)
    disks.prove_clean(disk)
    trees = [Expected(place.path, place.records) for place in places]

    def show(total: int, counters: Counters) -> None:
        report.phase("verify", total, counters.total)

    with ThreadPoolExecutor(1) as aside:
        with mounted(disks.mount_to_read, disk, folder):
            md5s = verify(disk.node, folder, trees, show)
            summaries = aside.submit(snapshots.summarize, places, md5s)  # while it is unmounted
        return summaries.result()


def prove_files(
    disk: Disk, folder: Path, places: Sequence[Place], files: Mapping[str, bytes]
) -> None:
    """Hold the finished disk's root against what must be there, and nothing else.

    Raises :class:`GuestError`, also unless the filesystem was left clean.
    """
    disks.flush(disk)
    disks.prove_clean(disk)
    with mounted(disks.mount_to_read, disk, folder):
        check_top(folder, [place.path for place in places])
        check_files(folder, files)
    disks.prove_clean(disk)
    disks.flush(disk)


def _facts(
    images: Sequence[Image], unpacked: Mapping[str, Unpacked], disk: Disk, report: Report
) -> dict[str, Any]:
    return {
        "images": [_about(image, unpacked) for image in images],
        "tree_bytes": sum(one.tree_bytes for one in unpacked.values()),
        "snapshots": len(unpacked),
        "paths": sum(one.paths for one in unpacked.values()),
        "device_bytes": disk.size,
        "seconds": report.seconds(),
        "inflate": inflater().name,
        "md5": "one by one" if md5x8.code() is None else "eight at a time",
    }


def _about(image: Image, unpacked: Mapping[str, Unpacked]) -> dict[str, Any]:
    chains = [layer.chain_id for layer in image.layers]
    return {
        "reference": image.name,
        "digest": image.digest,
        "platform": image.platform,
        "bytes": sum(unpacked[chain].tree_bytes for chain in chains),
        "layers": chains,
    }
