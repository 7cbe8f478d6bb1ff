"""A tar as it streams by, in blocks of memory that come one after another.

All blocks but the last are multiples of 512 bytes, so no header lies across two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pylib.guest.payload import sparse
from pylib.guest.payload.tarhead import (
    BLOCK,
    LONG_LINK,
    LONG_NAME,
    PAX,
    SPARSE,
    BadTarError,
    Entry,
    apply_pax,
    parse,
    parse_pax,
    settle,
    string,
)

_LARGEST_EXTRA = 64 << 20
"""Bytes of one pax header or long name: Go's own limit is 1 MiB for most of it."""
_ZEROS = bytes(BLOCK)


class TarStream:
    """``next_block`` gives the next memory, ``None`` at the end; what it gave before may be used
    again by its owner then."""

    def __init__(self, next_block: Callable[[], memoryview | None]) -> None:
        self._next_block = next_block
        self._block = memoryview(b"")
        self._at = 0
        self._left = 0  # bytes of the present entry's data and padding that were not read
        self._padding = 0

    def entries(self) -> Iterator[Entry]:
        """Entries in order; the data of one can be read until the next is asked for."""
        name = link = b""
        records: dict[bytes, bytes] = {}
        while (entry := self._header()) is not None:
            if entry.kind == LONG_NAME:
                name = string(self._extra(entry))
            elif entry.kind == LONG_LINK:
                link = string(self._extra(entry))
            elif entry.kind == PAX:
                records = parse_pax(self._extra(entry))
            else:
                yield self._complete(entry, records, name, link)
                name = link = b""
                records = {}
        self._drain()

    def _complete(
        self, entry: Entry, records: dict[bytes, bytes], name: bytes, link: bytes
    ) -> Entry:
        if records:
            apply_pax(entry, records)
        entry.name = name or entry.name
        entry.link = link or entry.link
        if records or name:
            settle(entry)
            self._expect(entry.stored)
        if records:
            sparse.from_pax(entry, records, self.read)
        return entry

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes of the entry's data, in one piece."""
        if self._at + size <= len(self._block):
            start, self._at = self._at, self._at + size
            self._left -= size
            return bytes(self._block[start : self._at])
        return b"".join(bytes(piece) for piece in self.pieces(size))

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The next ``size`` bytes of the entry's data, in pieces that last until the next one."""
        while size:
            if self._at == len(self._block) and not self._advance():
                raise BadTarError("the layer ends in the middle of a file")
            count = min(size, len(self._block) - self._at)
            start, self._at = self._at, self._at + count
            self._left -= count
            size -= count
            yield self._block[start : start + count]

    def _expect(self, stored: int) -> None:
        self._left = stored
        self._padding = -stored % BLOCK

    def _header(self) -> Entry | None:
        head = self._next_head()
        if head is None:
            return None
        if head == _ZEROS:
            second = self._next_head()
            if second is not None and second != _ZEROS:
                raise BadTarError("a tar has a header after an empty one: the layer is damaged")
            return None
        entry = parse(head)
        self._expect(entry.stored)
        if entry.kind == SPARSE:
            sparse.from_gnu(entry, head, self._raw_block)
        return entry

    def _next_head(self) -> bytes | None:
        self._skip()
        if self._at == len(self._block) and not self._advance():
            return None
        return self._raw_block()

    def _raw_block(self) -> bytes:
        """The next 512 bytes, which belong to no entry's data."""
        if self._at == len(self._block):
            self._advance()
        start, self._at = self._at, self._at + BLOCK
        block = bytes(self._block[start : self._at])
        if len(block) < BLOCK:
            raise BadTarError("the layer ends in the middle of a tar header")
        return block

    def _extra(self, entry: Entry) -> bytes:
        if entry.stored > _LARGEST_EXTRA:
            raise BadTarError(f"a tar has a name or pax header of {entry.stored} bytes")
        return self.read(entry.stored)

    def _skip(self) -> None:
        """Pass over what is left of the entry before; the end of the tar may cut its padding."""
        for _ in self.pieces(self._left):
            pass
        left, self._padding = self._padding, 0
        while left:
            if self._at == len(self._block) and not self._advance():
                return
            count = min(left, len(self._block) - self._at)
            self._at += count
            left -= count

    def _advance(self) -> bool:
        block = self._next_block()
        if block is None:
            self._block, self._at = memoryview(b""), 0
            return False
        self._block, self._at = block, 0
        return True

    def _drain(self) -> None:
        """Bytes after the end belong to the layer's digest, so they must come."""
        while self._advance():
            pass
