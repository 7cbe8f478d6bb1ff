"""Holding one tree on the disk against its records: every path, nothing else, every byte.

The work is cut into :class:`Portion`, which know all that they need, so that processes share it
without asking each other; and each path is visited once, for what it is and for what it holds.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pylib.guest.payload.contents import Source, Sums, UnreadError, sums_of
from pylib.guest.payload.extents import SMALL, DiskReader, Piece, extents_at, place_of, runs
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.paths import join, split
from pylib.guest.payload.tree import Record
from pylib.guest.payload.walk import about_on_disk

_FILES, _BYTES = 1024, 16 << 20

Md5s = dict[str, dict[bytes, str]]
"""md5 of each regular file in hex, by its group, by the name of its tree."""


@dataclass(frozen=True)
class Portion:
    """Some records of the tree at ``root``, which messages call ``name``.

    ``children`` are the names in each folder among them, ``names`` how many each hard-linked file
    has, by its group.
    """

    root: bytes
    name: str
    records: Sequence[Record]
    children: Mapping[bytes, set[bytes]]
    names: Mapping[bytes, int]

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(record.size for record in self.records if _is_read(record))


def portions(root: bytes, name: str, records: Sequence[Record]) -> Iterator[Portion]:
    """A whole tree, in parts that take about as long."""
    children = _children(records)
    names = Counter(record.group for record in records)
    for some in in_parts(records):
        yield Portion(root, name, some, children, names)


def in_parts(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records in parts that take about as long to read."""
    part: list[Record] = []
    size = 0
    for record in records:
        part.append(record)
        size += record.size
        if size >= _BYTES or len(part) == _FILES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _children(records: Iterable[Record]) -> dict[bytes, set[bytes]]:
    found: dict[bytes, set[bytes]] = {}
    for record in records:
        if record.path:
            folder, base = split(record.path)
            found.setdefault(folder, set()).add(base)
    return found


def _is_read(record: Record) -> bool:
    return bool(record.check) and record.path == record.group


class Comparer:
    """Compares portions, one after another, on the disk ``device`` that is mounted read-only.

    ``progress`` is told the bytes read so far, ``md5s`` has the sums of what was.
    """

    def __init__(self, device: str, progress: Callable[[int], None]) -> None:
        self.md5s: Md5s = {}
        self._disk = DiskReader(device)
        self._progress = progress
        self._done = 0
        self._later: list[tuple[Portion, Record]] = []

    def compare(self, portion: Portion) -> None:
        """All but the contents of large files, which :meth:`finish` reads.

        Raises :class:`GuestError` that names the first path which differs.
        """
        pieces = []
        for number, record in enumerate(portion.records):
            try:
                start = self._one(portion, record, _place(portion, record))
            except FileNotFoundError:
                raise GuestError(f"{shown(portion.name, record.path)} is not on the disk") from None
            except OSError as error:
                raise _unread(portion, record, error) from None
            if start is not None:
                pieces.append(Piece(start, record.size, number))
        for run in runs(pieces):
            self._contents(portion, run)
        self._progress(self._done)

    def finish(self) -> None:
        """Read the contents that were left, as many at a time as that is fastest; the largest
        begin, so that none is left to run alone.  Raises as :meth:`compare`."""
        later = sorted(self._later, key=lambda one: -one[1].size)
        sources = [Source(_place(portion, record), record.size) for portion, record in later]
        try:
            for number, found in sums_of(sources):
                self._note(*later[number], found)
                self._progress(self._done)
        except UnreadError as error:
            raise _unread(*later[error.number], error) from None

    def _one(self, portion: Portion, record: Record, place: bytes) -> int | None:
        """All but the content of a file: of a small one's, where it lies."""
        status = _compare_node(portion, record, place)
        if stat.S_ISDIR(status.st_mode):
            self._disk.expect(place)
            _compare_names(portion, record.path, set(os.listdir(place)))
        elif status.st_nlink > 1:
            _compare_links(portion, record, status)
        if not _is_read(record):
            return None
        if record.md5 and extents_at(place) == record.extents:
            self._note_md5(portion, record, record.md5)  # these blocks were read before
            return None
        start = place_of(place, record.size) if record.size < SMALL else None
        if start is None:
            self._later.append((portion, record))
        return start

    def _contents(self, portion: Portion, run: Sequence[Piece]) -> None:
        try:
            for number, found in self._disk.sums(run):
                self._note(portion, portion.records[number], found)
        except OSError as error:
            raise _unread(portion, portion.records[run[0].number], error) from None

    def _note(self, portion: Portion, record: Record, found: Sums) -> None:
        if found.check != record.check:
            raise GuestError(
                f"{shown(portion.name, record.path)} holds other bytes than were written: checksum "
                f"{found.check}, not {record.check}"
            )
        self._note_md5(portion, record, found.md5)

    def _note_md5(self, portion: Portion, record: Record, md5: str) -> None:
        self.md5s.setdefault(portion.name, {})[record.path] = md5
        self._done += record.size


def _place(portion: Portion, record: Record) -> bytes:
    return join(portion.root, record.path) if record.path else portion.root


def _unread(portion: Portion, record: Record, error: OSError) -> GuestError:
    return GuestError(f"{shown(portion.name, record.path)} cannot be read back: {error}")


def _compare_node(portion: Portion, record: Record, place: bytes) -> os.stat_result:
    status = os.lstat(place)
    found = about_on_disk(place, status, status.st_nlink, record.group)
    if found != record.about:
        raise GuestError(
            f"{shown(portion.name, record.path)} is {found.decode()!r} on the disk, not "
            f"{record.about.decode()!r}"
        )
    return status


def _compare_names(portion: Portion, folder: bytes, found: set[bytes]) -> None:
    wanted = portion.children.get(folder, set())
    for name in sorted(found - wanted):
        path = shown(portion.name, join(folder, name))
        raise GuestError(f"{path} is on the disk and in no layer")
    for name in sorted(wanted - found):
        raise GuestError(f"{shown(portion.name, join(folder, name))} is not on the disk")


def _compare_links(portion: Portion, record: Record, status: os.stat_result) -> None:
    """All names of a group, and no other, must be one inode."""
    first = os.lstat(join(portion.root, record.group))
    wanted = portion.names[record.group]
    if (status.st_ino, status.st_nlink) != (first.st_ino, wanted):
        raise GuestError(
            f"{shown(portion.name, record.path)} is no hard link to "
            f"{shown(portion.name, record.group)} with {wanted} names"
        )


def shown(tree: str, path: bytes) -> str:
    """A path as text, whatever bytes it has."""
    return f"{tree}/{path.decode('utf-8', 'backslashreplace')}"
