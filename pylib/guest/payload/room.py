"""How large a weights disk must be, and how its ext4 is laid out: few files, most of them large."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from download.common import RemoteFile

from pylib.guest.payload.disk import Disk
from pylib.guest.payload.failure import GuestError

_GIB, _MIB = 1 << 30, 1 << 20
_BLOCK = 4096
_JOURNAL_MIB = 32
"""A few hundred files make few changes of metadata; mkfs would take up to 1 GiB of each image."""
_SPARE_INODES = 1024
_MARGIN = 64 * _MIB
_TABLES = 256
"""One part in so many is enough for bitmaps, inode tables and copies of the superblock."""


def options(files: Sequence[RemoteFile], directory: str) -> list[str]:
    """Of mkfs.ext4: inodes for these files and all folders that they could lie in."""
    depth = len(PurePosixPath(directory).parts)
    inodes = depth + sum(len(PurePosixPath(file.path).parts) for file in files) + _SPARE_INODES
    return ["-N", str(inodes), "-J", f"size={_JOURNAL_MIB}"]


def check(files: Sequence[RemoteFile], shards: int, disk: Disk) -> None:
    """Raises :class:`GuestError` that says the size to ask for when ``disk`` has no room."""
    total = sum(file.size for file in files)
    need = sum(-(-file.size // _BLOCK) * _BLOCK for file in files) + _MARGIN
    if shards:
        need += total // shards  # the new shard that is written before old ones are cut
    need = (need + _JOURNAL_MIB * _MIB) * _TABLES // (_TABLES - 1)
    if need > disk.size:
        raise GuestError(
            f"{len(files)} files of {total / _GIB:.1f} GiB do not fit a disk of "
            f"{disk.size / _GIB:.1f} GiB: bake with --disk-size {-(-need // _GIB)}"
        )
