"""Owner, extended attributes, mode and times of what was just created, in the order that counts.

chown clears setuid bits and capabilities, so they come after it; a write clears capabilities too.
"""

from __future__ import annotations

import errno
import os
import stat

from pylib.guest.payload.tarhead import Entry
from pylib.guest.payload.tree import Node

_LATEST = (1 << 63) - 1
_ACL = b"system.posix_acl_"
_CAPABILITY = b"security.capability"
_SETID = stat.S_ISUID | stat.S_ISGID


def bounded(time: int) -> int:
    """Times before 1970, or beyond 64 bits of nanoseconds, become 1970, as in containerd."""
    return time if 0 <= time <= _LATEST else 0


def times_of(entry: Entry) -> tuple[int, int]:
    """Access time, which is never older than the other, and modification time."""
    return bounded(max(entry.atime, entry.mtime)), bounded(entry.mtime)


class Attributes:
    """Sets them for one layer, whose default ACLs change how the kernel makes files."""

    def __init__(self) -> None:
        self.has_acls = False

    def set(self, target: int | bytes, node: Node, entry: Entry, *, inherits: bool) -> None:
        """On an open file or a path that is no link; ``inherits`` when it may have its group or
        mode from somewhere else than ``entry``."""
        inherits = inherits or self.has_acls
        if entry.uid or entry.gid or inherits:
            os.chown(target, entry.uid, entry.gid)
        if entry.xattrs:
            self._set_xattrs(target, node, entry, follow=True)
        if entry.mode & _SETID or inherits or entry.xattrs:
            os.chmod(target, entry.mode)
        if self.has_acls:
            _read_acls(target, node)
        node.mode = stat.S_IFMT(node.mode) | entry.mode
        node.uid, node.gid, node.mtime = entry.uid, entry.gid, bounded(entry.mtime)

    def set_on_link(self, path: bytes, node: Node, entry: Entry) -> None:
        """On a symbolic link, which has no mode."""
        os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
        self._set_xattrs(path, node, entry, follow=False)
        os.utime(path, ns=times_of(entry), follow_symlinks=False)
        node.uid, node.gid, node.mtime = entry.uid, entry.gid, bounded(entry.mtime)

    def set_again(self, path: bytes, node: Node, entry: Entry) -> None:
        """On one more name of an inode, whose attributes become those of the name's entry."""
        if stat.S_ISLNK(node.mode):
            self.set_on_link(path, node, entry)
            return
        node.xattrs.pop(_CAPABILITY, None)  # chown takes it away
        self.set(path, node, entry, inherits=True)
        os.utime(path, ns=times_of(entry))

    def _set_xattrs(self, target: int | bytes, node: Node, entry: Entry, *, follow: bool) -> None:
        for key, value in entry.xattrs.items():
            if key.startswith(b"trusted."):
                continue  # overlayfs's own, which no image may set
            try:
                if isinstance(target, int):
                    os.setxattr(target, key, value)
                else:
                    os.setxattr(target, key, value, follow_symlinks=follow)
            except OSError as error:
                if error.errno == errno.ENOTSUP or _is_misplaced(error, key, node):
                    continue
                raise
            node.xattrs[key] = value
            self.has_acls = self.has_acls or key.startswith(_ACL)


def _is_misplaced(error: OSError, key: bytes, node: Node) -> bool:
    """Only files and folders can have attributes of users."""
    plain = stat.S_ISREG(node.mode) or stat.S_ISDIR(node.mode)
    return error.errno == errno.EPERM and key.startswith(b"user.") and not plain


def _read_acls(target: int | bytes, node: Node) -> None:
    """chmod rewrites a list's mask, and a folder's default list becomes its new files' own."""
    for key in os.listxattr(target):
        name = key.encode()
        if name.startswith(_ACL):
            node.xattrs[name] = os.getxattr(target, key)
