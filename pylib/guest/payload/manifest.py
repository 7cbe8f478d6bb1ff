"""Holding a mounted weights disk against its own manifest: every path, every byte, nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from download import tree
from download.common import RemoteFile, safe_path

from pylib.guest.payload.buffers import Buffer, Channel, Flow, Ring
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.pool import Counters, run_all
from pylib.guest.payload.ranges import Begin

LOST_FOUND = "lost+found"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOCK, _BLOCKS = 4 << 20, 4
_BATCH, _SMALL = 64 << 20, 64 << 10
"""Bytes that one process reads at least, and what opening a file costs, in bytes read."""
Blocks = Channel[Buffer | None]
_KINDS = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link"}


@dataclass(frozen=True)
class Entry:
    """A file by its path from the disk's root; size in bytes, sha256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a disk says that it holds, and the sha256 in hex of that."""

    entries: tuple[Entry, ...]
    digest: str

    def facts(self) -> dict[str, int]:
        """Number of files, their bytes, and how many are safetensors."""
        return {
            "files": len(self.entries),
            "bytes": sum(entry.size for entry in self.entries),
            "shards": sum(entry.path.endswith(".safetensors") for entry in self.entries),
        }


def read_manifest(root: Path) -> Manifest:
    """Raises :class:`GuestError` for one that is absent, empty, unsorted or otherwise no manifest,
    and the downloader's errors for paths that lead elsewhere."""
    file = root / tree.MANIFEST
    try:
        if not stat.S_ISREG(file.lstat().st_mode):
            raise GuestError(f"{tree.MANIFEST} on the disk is no plain file")
        text = file.read_bytes()
        entries = tuple(_entry(item) for item in _listed(text))
    except FileNotFoundError:
        raise GuestError(f"the disk has no {tree.MANIFEST}: it was not baked to the end") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise GuestError(f"{tree.MANIFEST} on the disk is no manifest: {error!r}") from None
    if not entries:
        raise GuestError(f"{tree.MANIFEST} names no file: an empty disk is no success")
    for before, after in pairwise(entries):
        if before.path >= after.path:
            raise GuestError(f"{tree.MANIFEST} names {after.path} twice, or is not sorted there")
    return Manifest(entries, hashlib.sha256(text).hexdigest())


def _listed(text: bytes) -> list[Any]:
    found = json.loads(text)
    if not isinstance(found, list):
        raise TypeError("it is no list")
    return found


def _entry(item: dict[str, Any]) -> Entry:
    if item.keys() != {"path", "size", "sha256"} or not _SHA256.fullmatch(item["sha256"]):
        raise ValueError(f"{item} is no entry")
    if type(item["size"]) is not int or item["size"] < 0:
        raise ValueError(f"{item['path']} has the size {item['size']!r}")
    return Entry(safe_path(item["path"]), item["size"], item["sha256"])


def verify(root: Path, manifest: Manifest, begin: Begin) -> None:
    """Read all of the disk mounted at ``root``; ``begin`` is given who counts the bytes.

    Raises :class:`GuestError` that names the first file which is not as the manifest says, and the
    downloader's errors for an index that names a file which is not there.
    """
    check_names(root, manifest.entries)
    tree.check_listing([RemoteFile(it.path, it.size) for it in manifest.entries], "the disk")
    tree.check_index(root)
    batches = _batches(manifest.entries)
    counters = Counters(len(batches))
    begin(counters.total)
    tasks = [
        partial(_check_contents, root, batch, partial(counters.set, slot))
        for slot, batch in enumerate(batches)
    ]
    run_all(tasks, 4 * (os.cpu_count() or 1))


def _batches(entries: Sequence[Entry]) -> list[list[Entry]]:
    """What one process reads: a large file, or many small ones; the largest begin, so that none is
    left to run alone."""
    found: list[list[Entry]] = []
    room = 0
    for entry in sorted(entries, key=lambda entry: -entry.size):
        if room < entry.size or not found:
            found.append([])
            room = _BATCH
        found[-1].append(entry)
        room -= entry.size + _SMALL
    return found


def check_names(root: Path, entries: Sequence[Entry]) -> None:
    """Raises :class:`GuestError` unless the disk holds these files, of their sizes and readable by
    everybody, the manifest, and nothing else."""
    sizes = {entry.path: entry.size for entry in entries}
    folders = {str(folder) for path in sizes for folder in PurePosixPath(path).parents}
    left = set(sizes)
    for path, found in _walk(root):
        if stat.S_ISDIR(found.st_mode) and path in folders:
            _check_mode(path, found, 0o555)
        elif stat.S_ISREG(found.st_mode) and path in left:
            left.remove(path)
            _check_mode(path, found, 0o444)
            if found.st_size != sizes[path]:
                raise GuestError(
                    f"{path} has {found.st_size} bytes on the disk, not {sizes[path]} as its "
                    "manifest says"
                )
        else:
            raise GuestError(
                f"{path} is on the disk, as {_KINDS.get(stat.S_IFMT(found.st_mode), 'a device')}, "
                "and not in its manifest"
            )
    if left:
        raise GuestError(f"{min(left)} is in the manifest and not on the disk")


def _check_mode(path: str, found: os.stat_result, wanted: int) -> None:
    """The server has another user than the bake."""
    if found.st_mode & wanted != wanted:
        raise GuestError(f"{path} has mode {stat.S_IMODE(found.st_mode):o}: not all may read it")


def _walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below ``root`` but the manifest, and the folder that mkfs makes if it is empty."""
    pending = [root]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            name, found = path.relative_to(root).as_posix(), path.lstat()
            is_folder = stat.S_ISDIR(found.st_mode)
            if name == tree.MANIFEST or (
                name == LOST_FOUND and is_folder and not any(path.iterdir())
            ):
                continue
            yield name, found
            if is_folder:
                pending.append(path)


def _check_contents(root: Path, entries: Sequence[Entry], progress: Callable[[int], None]) -> None:
    done = 0
    for entry in entries:
        try:
            found = sha256_of(root / entry.path, partial(_told, progress, done))
        except OSError as error:
            raise GuestError(f"{entry.path} cannot be read back: {error.strerror}") from None
        if found != entry.sha256:
            raise GuestError(
                f"{entry.path} holds other bytes than its manifest says: sha256 {found}"
            )
        done += entry.size


def _told(progress: Callable[[int], None], before: int, read: int) -> None:
    progress(before + read)


def sha256_of(file: Path, progress: Callable[[int], None]) -> str:
    """sha256 in hex of what the disk has, past the page cache: a thread reads ahead of the hash.

    ``progress`` is given the bytes done so far.
    """
    sha256, flow = hashlib.sha256(), Flow()
    blocks: Blocks = flow.channel()
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
    try:
        flow.spawn(partial(_read, descriptor, Ring(flow, _BLOCKS, _BLOCK), blocks))
        flow.run(partial(_hash, blocks, sha256.update, progress))
    finally:
        os.close(descriptor)
    return sha256.hexdigest()


def _read(descriptor: int, ring: Ring, blocks: Blocks) -> None:
    at = 0
    while True:
        buffer = ring.take()
        buffer.length = os.preadv(descriptor, [buffer.view], at)
        if buffer.length == 0:
            return blocks.put(None)
        at += buffer.length
        blocks.put(buffer)


def _hash(
    blocks: Blocks, update: Callable[[memoryview], None], progress: Callable[[int], None]
) -> None:
    done = 0
    while (buffer := blocks.get()) is not None:
        update(buffer.view[: buffer.length])
        done += buffer.length
        buffer.share(1)
        buffer.release()
        progress(done)
