"""Each kind of tar member, made on the disk, with the node that remembers it."""

from __future__ import annotations

import os
import stat

from pylib.guest.payload.attributes import Attributes, bounded, times_of
from pylib.guest.payload.bigfile import BIG, BigFile, BigFiles
from pylib.guest.payload.blocks import Blocks
from pylib.guest.payload.checksum import check_of
from pylib.guest.payload.readback import ReadBack
from pylib.guest.payload.sparsefile import write_sparse
from pylib.guest.payload.tarhead import BLOCKDEV, CHAR, FIFO, BadTarError, Entry
from pylib.guest.payload.tarstream import TarStream
from pylib.guest.payload.tree import Node

_SPECIAL = {CHAR: stat.S_IFCHR, BLOCKDEV: stat.S_IFBLK, FIFO: stat.S_IFIFO}
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_LARGEST_DEVICE = (1 << 32) - 1


class Creator:
    """Makes what one layer holds; ``umask`` must be 0."""

    def __init__(self, blocks: Blocks, big: BigFiles, read_back: ReadBack) -> None:
        self._blocks = blocks
        self._big = big
        self._read_back = read_back
        self._pending: dict[int, BigFile] = {}
        self.attributes = Attributes()

    def file(self, path: bytes, entry: Entry, tar: TarStream, *, inherits: bool) -> Node:
        """A regular file."""
        node = Node(stat.S_IFREG | entry.mode, size=entry.size)
        if entry.extents is None and entry.size >= BIG:
            self._big_file(path, entry, tar, node, inherits=inherits)
            return node
        content = tar.read(entry.size) if entry.extents is None else b""
        descriptor = os.open(path, _NEW, entry.mode)
        try:
            if entry.extents is None:
                _write(descriptor, content)
                node.check = check_of(content)
            else:
                write_sparse(descriptor, entry, tar, node)
            self.attributes.set(descriptor, node, entry, inherits=inherits)
            os.utime(descriptor, ns=times_of(entry))
        finally:
            os.close(descriptor)
        return node

    def _big_file(
        self, path: bytes, entry: Entry, tar: TarStream, node: Node, *, inherits: bool
    ) -> None:
        def finish(descriptor: int, check: str) -> None:
            node.check = check
            self.attributes.set(descriptor, node, entry, inherits=inherits)
            os.utime(descriptor, ns=times_of(entry))
            self._read_back.take(path, descriptor, node)

        file = self._big.open(path, entry.mode, entry.size, finish)
        self._pending[id(node)] = file
        for piece in tar.pieces(entry.size):
            file.write(piece, self._blocks.present())
        file.close()

    def folder(self, path: bytes, entry: Entry, before: Node | None, *, inherits: bool) -> Node:
        """A folder, or the attributes of one that is there; its times are set when all is in."""
        node = before or Node(stat.S_IFDIR | entry.mode)
        if before is None:
            os.mkdir(path, entry.mode)
        self.attributes.set(path, node, entry, inherits=inherits or before is not None)
        node.implied = False
        return node

    def symlink(self, path: bytes, entry: Entry) -> Node:
        """A symbolic link."""
        node = Node(stat.S_IFLNK | 0o777, target=entry.link)
        os.symlink(entry.link, path)
        self.attributes.set_on_link(path, node, entry)
        return node

    def special(self, path: bytes, entry: Entry, *, inherits: bool) -> Node:
        """A device or a named pipe."""
        if not all(0 <= part <= _LARGEST_DEVICE for part in entry.device):
            raise BadTarError(f"{entry.name!r} is a device of number {entry.device}")
        device = 0 if entry.kind == FIFO else os.makedev(*entry.device)
        node = Node(_SPECIAL[entry.kind] | entry.mode, device=device)
        os.mknod(path, node.mode, device)
        self.attributes.set(path, node, entry, inherits=inherits)
        os.utime(path, ns=times_of(entry))
        return node

    def link(self, target: bytes, path: bytes, node: Node, entry: Entry) -> None:
        """One more name for ``node``, which lies at ``target``."""
        pending = self._pending.pop(id(node), None)
        if pending is not None:
            self._big.wait_for(pending)
        os.link(target, path, follow_symlinks=False)
        self.attributes.set_again(path, node, entry)

    def whiteout(self, path: bytes, entry: Entry) -> Node:
        """The device 0:0 by which overlayfs hides what lies below."""
        os.mknod(path, stat.S_IFCHR, 0)
        os.chown(path, entry.uid, entry.gid)
        os.utime(path, ns=times_of(entry))
        return Node(stat.S_IFCHR, entry.uid, entry.gid, mtime=bounded(entry.mtime))


def _write(descriptor: int, content: bytes) -> None:
    done = os.write(descriptor, content) if content else 0
    while done < len(content):
        done += os.write(descriptor, content[done:])
