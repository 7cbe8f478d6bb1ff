"""What a layer's tree holds, entry by entry, and the lines that it is later compared by.

A :class:`Node` is an inode: hard links share one.  :func:`records_of` turns nodes into
:class:`Record`, which :mod:`pylib.guest.payload.verify` makes again from the disk alone.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Extents = tuple[tuple[int, int, int], ...]
"""Where a file lies: offset in it, offset on the disk and length of each piece, in bytes."""

OPAQUE = (b"trusted.overlay.opaque", b"y")


@dataclass(slots=True, eq=False)
class Node:
    """``mode`` with its type bits; ``mtime`` in nanoseconds; ``check`` of a regular file's content,
    by :mod:`pylib.guest.payload.checksum`; ``md5`` of it once it was read back, from ``extents``.

    ``implied`` is a folder that the layer holds only because something lies in it.
    """

    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    device: int = 0
    target: bytes = b""
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    check: str = ""
    implied: bool = False
    md5: str = ""
    extents: Extents = ()


class Record(NamedTuple):
    """One path: all that is compared but its content in ``about``; ``group`` is the first of the
    paths that share an inode; ``check`` is empty for all but regular files, and ``md5`` too, until
    those were read back; of what was read back while the rest was still written, ``extents`` tell
    where that lay."""

    path: bytes
    about: bytes
    size: int
    check: str
    group: bytes
    md5: str = ""
    extents: Extents = ()


def about(node: Node, links: int, group: bytes) -> bytes:
    """Type, mode, owner, size, time, device, links, attributes and target, as one line."""
    is_file = stat.S_ISREG(node.mode)
    shared = group.hex() if links > 1 else ""
    xattrs = ",".join(f"{key.hex()}={node.xattrs[key].hex()}" for key in sorted(node.xattrs))
    return (
        f"{node.mode:o} {node.uid} {node.gid} {node.size if is_file else 0} {node.mtime} "
        f"{node.device} {shared} {xattrs} {node.target.hex()}"
    ).encode()


def records_of(nodes: Mapping[bytes, Node]) -> list[Record]:
    """Records sorted by path."""
    groups: dict[int, list[bytes]] = {}
    for path in sorted(nodes):
        groups.setdefault(id(nodes[path]), []).append(path)
    found = []
    for path in sorted(nodes):
        node = nodes[path]
        group = groups[id(node)]
        line = about(node, len(group), group[0])
        found.append(Record(path, line, node.size, node.check, group[0], node.md5, node.extents))
    return found


def tree_digest(records: Iterable[Record]) -> str:
    """SHA-256 in hex over all records, contents by their md5."""
    digest = hashlib.sha256()
    for record in records:
        line = record.about + b" " + record.md5.encode() + b" " + record.path.hex().encode()
        digest.update(line + b"\n")
    return digest.hexdigest()


def snapshot_checksum(records: Iterable[Record]) -> str:
    """The third column of ``snapshots.metadata``: md5 of the sorted md5s of all regular files.

    Source: gke-disk-image-builder's script/startup.sh pipes ``find -type f -exec md5sum`` through
    ``cut``, ``LC_ALL=C sort`` and ``md5sum``; and md5sum puts a backslash before the sum of a file
    whose name it must escape (coreutils manual, "md5sum invocation").
    """
    lines = sorted(_md5sum(record) for record in records if record.md5)
    text = "".join(f"{line}\n" for line in lines)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _md5sum(record: Record) -> str:
    escaped = any(sign in record.path for sign in (b"\\", b"\n", b"\r"))
    return f"\\{record.md5}" if escaped else record.md5
