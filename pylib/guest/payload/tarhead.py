"""Tar headers: v7, ustar, star, GNU and pax, read as Go's archive/tar reads them.

containerd unpacks with that package, so where tar's dialects leave a choice, this follows it:
global pax headers change nothing, an empty pax value keeps the header's own, a GNU header's unused
atime field may be a prefix.  https://pkg.go.dev/archive/tar
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct

from pylib.guest.payload.failure import GuestError

BLOCK = 512
REGULAR, LINK, SYMLINK, CHAR, BLOCKDEV, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
GLOBAL, PAX, LONG_NAME, LONG_LINK, SPARSE = b"g", b"x", b"L", b"K", b"S"
_OLD_REGULAR = b"\0"
_BODILESS = frozenset({LINK, SYMLINK, CHAR, BLOCKDEV, FOLDER, FIFO})
_XATTR = b"SCHILY.xattr."
_BLANK_CHECK = 8 * ord(" ")
"""The checksum's own field counts as spaces."""
SPARSE_MAP = b"GNU.sparse.map"
_SPARSE_PAIR = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
_HEADER = Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12x")


class BadTarError(GuestError):
    """The layer is no tar that containerd would take."""


@dataclass(slots=True)
class Entry:
    """One member: ``size`` is that of its file, ``stored`` that of its data in the tar (smaller for
    sparse ones); times in nanoseconds; ``extents`` (offset, length) of a sparse file's data."""

    name: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    stored: int
    mtime: int
    atime: int
    link: bytes
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[bytes, bytes] = field(default_factory=dict)
    extents: list[tuple[int, int]] | None = None


@lru_cache(maxsize=1 << 14)
def number(text: bytes) -> int:
    """A numeric field: octal, or base 256 when its first bit is set.

    A layer's fields are mostly the same: owners, modes, times.
    """
    if text[0] & 0x80:
        return _base_256(text)
    digits = text.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    try:
        return int(digits, 8)
    except ValueError:
        raise BadTarError(f"a tar header has {text!r} for a number") from None


def _base_256(text: bytes) -> int:
    value = int.from_bytes(text, "big")
    bits = 8 * len(text)
    if text[0] & 0x40:
        return value - (1 << bits)
    return value - (1 << (bits - 1))


def string(text: bytes) -> bytes:
    """A field up to its first NUL."""
    return text.partition(b"\0")[0]


def parse(head: bytes) -> Entry:
    """One header block, without what pax and GNU headers before it say.

    Raises :class:`BadTarError`.
    """
    (name, mode, uid, gid, size, mtime, check, kind, link, magic, *_owner, major, minor, prefix) = (
        _HEADER.unpack(head)
    )
    total = sum(head) - sum(check) + _BLANK_CHECK
    if number(check) != total and number(check) != _signed(head, check):
        raise BadTarError("a tar header has a wrong checksum: the layer is damaged or no tar")
    stored = number(size)
    if stored < 0:
        raise BadTarError(f"a tar header says that {string(name)!r} has {stored} bytes")
    entry = Entry(
        name=string(name),
        kind=REGULAR if kind == _OLD_REGULAR else kind,
        mode=number(mode) & 0o7777,
        uid=number(uid),
        gid=number(gid),
        size=stored,
        stored=stored,
        mtime=number(mtime) * 10**9,
        atime=0,
        link=string(link),
    )
    if magic[:5] == b"ustar":
        _extend(entry, head, magic, prefix)
        if kind in {CHAR, BLOCKDEV}:
            entry.device = (number(major), number(minor))
    settle(entry, is_old=kind == _OLD_REGULAR)
    return entry


def settle(entry: Entry, *, is_old: bool = False) -> None:
    """Put right what the kind decides; again after pax or GNU headers changed name and size."""
    if is_old and entry.name.endswith(b"/"):
        entry.kind = FOLDER
    if entry.kind in _BODILESS:
        entry.size = entry.stored = 0


def _signed(head: bytes, check: bytes) -> int:
    """Some old programs add signed bytes."""
    both = (sum(byte - 256 if byte > 127 else byte for byte in part) for part in (head, check))
    whole, own = both
    return whole - own + _BLANK_CHECK


def _extend(entry: Entry, head: bytes, magic: bytes, prefix: bytes) -> None:
    if magic == b"ustar  \0":
        prefix = _gnu_times(entry, head, prefix)
    elif head[508:512] == b"tar\0":
        prefix = prefix[:131]
    before = string(prefix)
    if before:
        entry.name = before + b"/" + entry.name


def _gnu_times(entry: Entry, head: bytes, prefix: bytes) -> bytes:
    """GNU tar keeps atime and ctime where ustar has its prefix; Go before 1.8 wrote a prefix."""
    access, change = head[345:357], head[357:369]
    try:
        atime = number(access) if access[0] else 0
        if change[0]:
            number(change)
    except BadTarError:
        return prefix if string(prefix).isascii() else b""
    entry.atime = atime * 10**9
    return b""


def parse_pax(body: bytes) -> dict[bytes, bytes]:
    """Records of a pax header; later ones win.  Raises :class:`BadTarError`."""
    records: dict[bytes, bytes] = {}
    pairs: list[bytes] = []
    while body:
        key, value, body = _record(body)
        if key in _SPARSE_PAIR:
            if key != _SPARSE_PAIR[len(pairs) % 2]:
                raise BadTarError("a pax header has a sparse file's numbers out of order")
            pairs.append(value)
        records[key] = value
    if pairs:
        records[SPARSE_MAP] = b",".join(pairs)
    return records


def _record(body: bytes) -> tuple[bytes, bytes, bytes]:
    """Key, value and what follows; ``length`` counts the whole record, its own digits too."""
    digits, _, rest = body.partition(b" ")
    if not digits.isdigit() or len(digits) > 20:
        raise BadTarError(f"a pax header has a record of length {digits[:20]!r}")
    end = int(digits) - len(digits) - 1
    key, sign, value = rest[: max(0, end)].partition(b"=")
    if not sign or not key or not value.endswith(b"\n"):
        raise BadTarError(f"a pax header has the record {rest[:40]!r}")
    return key, value[:-1], rest[end:]


def _time(text: bytes) -> int:
    """Seconds with a fraction, to nanoseconds, cut and not rounded."""
    sign = -1 if text.startswith(b"-") else 1
    seconds, _, fraction = text.lstrip(b"-").partition(b".")
    if not seconds.isdigit() or (fraction and not fraction.isdigit()):
        raise BadTarError(f"a pax header has the time {text!r}")
    return sign * (int(seconds) * 10**9 + int(fraction[:9].ljust(9, b"0")))


def apply_pax(entry: Entry, records: Mapping[bytes, bytes]) -> None:
    """Change ``entry`` to what a pax header before it says."""
    try:
        for key, value in records.items():
            if value:
                _apply(entry, key, value)
    except ValueError:
        raise BadTarError(f"a pax header of {entry.name!r} has a value that is no number") from None
    entry.xattrs = {
        key.removeprefix(_XATTR): value
        for key, value in records.items()
        if key.startswith(_XATTR) and len(key) > len(_XATTR)
    }


def _apply(entry: Entry, key: bytes, value: bytes) -> None:
    if key == b"path":
        entry.name = value
    elif key == b"linkpath":
        entry.link = value
    elif key == b"size":
        entry.size = entry.stored = int(value)
    elif key == b"uid":
        entry.uid = int(value)
    elif key == b"gid":
        entry.gid = int(value)
    elif key == b"mtime":
        entry.mtime = _time(value)
    elif key == b"atime":
        entry.atime = _time(value)
