"""A tree on a disk, as records: what verification and the test of a finished image compare."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from pylib.guest.payload.tree import Node, Record, about


def records_on_disk(root: bytes) -> list[Record]:
    """Records sorted by path, without sums of contents."""
    found = dict(_statuses(root, b""))
    groups: dict[int, list[bytes]] = {}
    for path in sorted(found):
        status = found[path]
        key = status.st_ino if not stat.S_ISDIR(status.st_mode) else -status.st_ino
        groups.setdefault(key, []).append(path)
    by_path = {path: paths for paths in groups.values() for path in paths}
    return [_record(root, path, found[path], by_path[path]) for path in sorted(found)]


def _statuses(root: bytes, path: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    place = root + b"/" + path if path else root
    yield path, os.lstat(place)
    pending = [path]
    while pending:
        folder = pending.pop()
        with os.scandir(root + b"/" + folder if folder else root) as entries:
            for entry in entries:
                here = folder + b"/" + entry.name if folder else entry.name
                yield here, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(here)


def _record(root: bytes, path: bytes, status: os.stat_result, group: list[bytes]) -> Record:
    place = root + b"/" + path if path else root
    line = about_on_disk(place, status, len(group), group[0])
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return Record(path, line, size, "", group[0])


def about_on_disk(place: bytes, status: os.stat_result, links: int, group: bytes) -> bytes:
    """What :func:`about` says of the node that is at ``place``."""
    kind = stat.S_IFMT(status.st_mode)
    node = Node(
        mode=status.st_mode,
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size if kind == stat.S_IFREG else 0,
        mtime=status.st_mtime_ns,
        device=status.st_rdev if kind in {stat.S_IFCHR, stat.S_IFBLK} else 0,
        target=os.readlink(place) if kind == stat.S_IFLNK else b"",
    )
    for key in os.listxattr(place, follow_symlinks=False):
        node.xattrs[key.encode()] = os.getxattr(place, key, follow_symlinks=False)
    return about(node, 1 if kind == stat.S_IFDIR else links, group)


def is_file(record: Record) -> bool:
    """Whether a record is of a regular file."""
    return stat.S_ISREG(int(record.about.split(b" ", 1)[0], 8))
