"""Sparse files in tars: GNU's old form and pax 0.0, 0.1 and 1.0.

https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pylib.guest.payload.tarhead import BLOCK, SPARSE_MAP, BadTarError, Entry, number

_MAJOR, _MINOR = b"GNU.sparse.major", b"GNU.sparse.minor"
_MOST_EXTENTS = 1 << 20
_IN_HEADER, _IN_BLOCK = 4, 21
_PAIR = 24


def from_gnu(entry: Entry, head: bytes, next_block: Callable[[], bytes]) -> None:
    """Read the map that an old GNU header, and blocks after it, hold; sets size and extents."""
    extents = _pairs(head[386 : 386 + _IN_HEADER * _PAIR])
    more, entry.size = head[482], number(head[483:495])
    while more:
        block = next_block()
        extents += _pairs(block[: _IN_BLOCK * _PAIR])
        more = block[_IN_BLOCK * _PAIR]
        if len(extents) > _MOST_EXTENTS:
            raise BadTarError(f"{entry.name!r} is a sparse file of too many parts")
    _set(entry, extents, entry.stored)


def _pairs(table: bytes) -> list[tuple[int, int]]:
    found = []
    for at in range(0, len(table), _PAIR):
        offset, length = table[at : at + 12], table[at + 12 : at + 24]
        if not length.strip(b"\0 "):
            break
        found.append((number(offset), number(length)))
    return found


def from_pax(entry: Entry, records: Mapping[bytes, bytes], read: Callable[[int], bytes]) -> None:
    """Set name, size and extents of a file that its pax records call sparse; others stay."""
    version = (records.get(_MAJOR, b""), records.get(_MINOR, b""))
    known = {(b"0", b"0"), (b"0", b"1"), (b"1", b"0"), (b"", b"")}
    if version not in known or (version == (b"", b"") and SPARSE_MAP not in records):
        return
    try:
        entry.name = records.get(b"GNU.sparse.name") or entry.name
        size = records.get(b"GNU.sparse.size") or records.get(b"GNU.sparse.realsize")
        entry.size = int(size) if size else entry.size
        if version == (b"1", b"0"):
            extents, used = _map_before_data(read)
        else:
            numbers = [int(word) for word in records.get(SPARSE_MAP, b"").split(b",") if word]
            extents, used = list(zip(numbers[::2], numbers[1::2], strict=True)), 0
    except ValueError:
        raise BadTarError(f"{entry.name!r} has a sparse map that is no map") from None
    _set(entry, extents, entry.stored - used)


def _map_before_data(read: Callable[[int], bytes]) -> tuple[list[tuple[int, int]], int]:
    """Version 1.0: decimal lines before the data, padded to blocks; and how many bytes it took."""
    text = read(BLOCK)
    used = BLOCK
    count = int(text.partition(b"\n")[0])
    if not 0 <= count <= _MOST_EXTENTS:
        raise ValueError
    while text.count(b"\n") < 2 * count + 1:
        text += read(BLOCK)
        used += BLOCK
    numbers = [int(line) for line in text.split(b"\n")[1 : 2 * count + 1]]
    return list(zip(numbers[::2], numbers[1::2], strict=True)), used


def _set(entry: Entry, extents: list[tuple[int, int]], stored: int) -> None:
    end = 0
    for offset, length in extents:
        if length < 0 or offset < end or offset + length > entry.size:
            raise BadTarError(f"{entry.name!r} has a sparse map out of order, or beyond its end")
        end = offset + length
    if sum(length for _, length in extents) != stored:
        raise BadTarError(f"{entry.name!r} has a sparse map that does not fit its data")
    entry.extents = extents
