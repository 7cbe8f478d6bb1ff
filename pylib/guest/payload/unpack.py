"""A layer's entries onto the disk, as containerd's overlayfs snapshotter lays them out.

The rules are those of containerd's archive package: a whiteout becomes a character device 0:0 over
a lower layer, and removes in the first; an opaque marker becomes trusted.overlay.opaque; a folder
that only lies on the way gets the lower layer's attributes (:mod:`pylib.guest.payload.parents`);
trusted.* of the tar is not taken; the tree's own folder keeps its attributes.
https://github.com/containerd/containerd/blob/v1.6.20/archive/tar.go, tar_opts_linux.go

Times of whiteouts are the tar's, and of implied folders the lower layer's or 0, where containerd
leaves the moment of unpacking: so the same image gives the same tree every time.
"""

from __future__ import annotations

import os
import shutil
import stat

from pylib.guest.payload.create import Creator
from pylib.guest.payload.paths import clean, join, resolve, split
from pylib.guest.payload.tarhead import (
    BLOCKDEV,
    CHAR,
    FIFO,
    FOLDER,
    GLOBAL,
    LINK,
    REGULAR,
    SPARSE,
    SYMLINK,
    BadTarError,
    Entry,
)
from pylib.guest.payload.tarstream import TarStream
from pylib.guest.payload.tree import OPAQUE, Node

_WHITEOUT = b".wh."
_OPAQUE_MARK = b".wh..wh..opq"


class Unpacker:
    """One layer; ``is_first`` when no layer lies below.

    ``nodes`` mirrors the tree exactly, since nobody else writes there; so no lookup asks the disk.
    """

    def __init__(self, root: bytes, creator: Creator, *, is_first: bool) -> None:
        self.nodes: dict[bytes, Node] = {b"": Node(stat.S_IFDIR | 0o755)}
        self._root = root
        self._is_first = is_first
        self._creator = creator
        self._known: dict[bytes, bytes] = {b"": b""}

    def unpack(self, tar: TarStream) -> None:
        """All entries; raises :class:`BadTarError` and :class:`OSError`."""
        for entry in tar.entries():
            self._apply(entry, tar)

    def finish(self) -> None:
        """Set the folders' times, once nothing is written in them any more."""
        for path, node in self.nodes.items():
            if stat.S_ISDIR(node.mode):
                os.utime(self._on_disk(path), ns=(node.mtime, node.mtime))

    def _apply(self, entry: Entry, tar: TarStream) -> None:
        name = clean(entry.name)
        if not name:
            return
        folder, base = split(name)
        parent = self._known.get(folder)
        if parent is None:
            parent = self._parent(folder)
        if base.startswith(_WHITEOUT):
            self._hide(entry, parent, base)
            return
        path = join(parent, base)
        before = self.nodes.get(path)
        if before is not None and not (entry.kind == FOLDER and stat.S_ISDIR(before.mode)):
            self._remove(path, before)
            before = None
        if entry.kind != GLOBAL:
            inherits = bool(self.nodes[parent].mode & stat.S_ISGID)
            self.nodes[path] = self._make(entry, tar, path, before, inherits=inherits)

    def _make(
        self, entry: Entry, tar: TarStream, path: bytes, before: Node | None, *, inherits: bool
    ) -> Node:
        place, creator = self._on_disk(path), self._creator
        if entry.kind in {REGULAR, SPARSE}:
            return creator.file(place, entry, tar, inherits=inherits)
        if entry.kind == FOLDER:
            return creator.folder(place, entry, before, inherits=inherits)
        if entry.kind == SYMLINK:
            return creator.symlink(place, entry)
        if entry.kind == LINK:
            return self._link(entry, place)
        if entry.kind in {CHAR, BLOCKDEV, FIFO}:
            return creator.special(place, entry, inherits=inherits)
        raise BadTarError(f"{entry.name!r} is of type {entry.kind!r}, which containerd refuses")

    def _link(self, entry: Entry, place: bytes) -> Node:
        folder, base = split(clean(entry.link))
        target = join(resolve(folder, self._link_at), base)
        node = self.nodes.get(target)
        if node is None or stat.S_ISDIR(node.mode):
            what = "not in the same layer" if node is None else "a folder"
            raise BadTarError(
                f"{entry.name!r} is a hard link to {entry.link!r}, which is {what}: containerd "
                "refuses such a layer"
            )
        self._creator.link(self._on_disk(target), place, node, entry)
        return node

    def _hide(self, entry: Entry, parent: bytes, base: bytes) -> None:
        if base == _OPAQUE_MARK:
            self._make_opaque(parent)
            return
        hidden = base.removeprefix(_WHITEOUT)
        if hidden in {b"", b".", b".."}:
            raise BadTarError(f"{entry.name!r} is a whiteout of nothing")
        path = join(parent, hidden)
        before = self.nodes.get(path)
        if self._is_first:
            if before is not None:
                self._remove(path, before)
        elif before is not None:
            raise BadTarError(
                f"{entry.name!r} hides what the same layer holds: containerd refuses such a layer"
            )
        else:
            self.nodes[path] = self._creator.whiteout(self._on_disk(path), entry)

    def _make_opaque(self, folder: bytes) -> None:
        """Nothing lies below the first layer; there, what the layer did not name itself goes."""
        if not self._is_first:
            os.setxattr(self._on_disk(folder), *OPAQUE)
            self.nodes[folder].xattrs[OPAQUE[0]] = OPAQUE[1]
            return
        start = folder + b"/" if folder else b""
        for path, node in list(self.nodes.items()):
            if path and path.startswith(start) and node.implied and path in self.nodes:
                self._remove(path, node)

    def _parent(self, folder: bytes) -> bytes:
        """Where ``folder`` really is, made when it is not there."""
        found = resolve(folder, self._link_at)
        made = b""
        for part in found.split(b"/") if found else []:
            made = join(made, part)
            node = self.nodes.get(made)
            if node is None:
                os.mkdir(self._on_disk(made), 0o755)
                self.nodes[made] = Node(stat.S_IFDIR | 0o755, implied=True)
            elif not stat.S_ISDIR(node.mode):
                raise BadTarError(f"{folder!r} is used as a folder, but {made!r} is none")
        self._known[folder] = found
        return found

    def _remove(self, path: bytes, node: Node) -> None:
        place = self._on_disk(path)
        del self.nodes[path]
        if stat.S_ISDIR(node.mode):
            shutil.rmtree(place)
            start = path + b"/"
            for below in [it for it in self.nodes if it.startswith(start)]:
                del self.nodes[below]
        else:
            os.unlink(place)
        if not stat.S_ISREG(node.mode):
            self._known = {b"": b""}  # folders may have been reached through it

    def _link_at(self, path: bytes) -> bytes | None:
        node = self.nodes.get(path)
        return node.target if node is not None and stat.S_ISLNK(node.mode) else None

    def _on_disk(self, path: bytes) -> bytes:
        return self._root + b"/" + path if path else self._root
