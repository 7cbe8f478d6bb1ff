"""Folders that a layer only implies: they take their attributes from the layers below.

Layers are unpacked at the same time, so this is a pass of its own once all are there, from the
bottom up: a folder that a lower layer implies has its attributes from still lower ones by then.
containerd does the same while it unpacks (mkparent in archive/tar.go).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence

from pylib.guest.payload.paths import resolve, split
from pylib.guest.payload.tree import Node


def settle(root: bytes, implied: Iterable[bytes], lowers: Sequence[bytes]) -> dict[bytes, Node]:
    """Give the implied folders of the tree ``root`` their attributes; ``lowers`` are the trees
    below, the nearest first.  Returns their nodes."""
    found = {path: _settle(root, path, lowers) for path in sorted(implied)}
    for path, node in found.items():
        os.utime(root + b"/" + path, ns=(node.mtime, node.mtime))
    return found


def _settle(root: bytes, path: bytes, lowers: Sequence[bytes]) -> Node:
    place = root + b"/" + path
    for lower in lowers:
        below = _place_in(lower, path)
        status = _status(below)
        if status is None:
            continue
        if stat.S_ISDIR(status.st_mode):
            return _copy(below, status, place)
        break  # something else hides the folders further down
    return _plain(root, path)


def _status(place: bytes) -> os.stat_result | None:
    try:
        return os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _place_in(tree: bytes, path: bytes) -> bytes:
    def link_at(here: bytes) -> bytes | None:
        try:
            return os.readlink(tree + b"/" + here)
        except OSError:
            return None

    return tree + b"/" + resolve(path, link_at)


def _copy(below: bytes, status: os.stat_result, place: bytes) -> Node:
    node = Node(status.st_mode, status.st_uid, status.st_gid, mtime=status.st_mtime_ns)
    os.chown(place, node.uid, node.gid)
    os.chmod(place, stat.S_IMODE(node.mode))
    for key in os.listxattr(below):
        if not key.startswith("trusted."):
            node.xattrs[key.encode()] = os.getxattr(below, key)
            os.setxattr(place, key, node.xattrs[key.encode()])
    own = os.listxattr(place)
    node.xattrs |= {key.encode(): os.getxattr(place, key) for key in own}
    return node


def _plain(root: bytes, path: bytes) -> Node:
    """0755 of root, but the group of a parent that hands its group on."""
    parent = os.lstat(root + b"/" + split(path)[0])
    place = root + b"/" + path
    group = parent.st_gid if parent.st_mode & stat.S_ISGID else 0
    os.chown(place, 0, group)
    os.chmod(place, 0o755)
    node = Node(stat.S_IFDIR | 0o755, 0, group)
    node.xattrs = {key.encode(): os.getxattr(place, key) for key in os.listxattr(place)}
    return node
