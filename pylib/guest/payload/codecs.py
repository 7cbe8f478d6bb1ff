"""Decompressors that write straight into the buffers of a layer: gzip, zstd, none.

What a layer is compressed with is told by its first bytes, as containerd does; media types lie.
"""

from __future__ import annotations

import ctypes
from typing import Protocol

from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.isal import inflater
from pylib.guest.payload.native import c_text, library

GZIP_MAGIC = b"\x1f\x8b\x08"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
"""Bytes 1 to 3 of a skippable frame, with which some writers begin: RFC 8878 section 3.1.2."""


class Codec(Protocol):
    """Fed with ``push``, drained with ``fill``; input must be drained before the next push."""

    def push(self, address: int, length: int) -> None:
        """Offer ``length`` bytes of input, which stay where they are until drained."""

    def fill(self, address: int, room: int) -> int:
        """Write at most ``room`` bytes; less only when all input is used up."""

    def finish(self) -> None:
        """Raise :class:`GuestError` unless the input ended where it may end."""


def codec_for(head: bytes) -> Codec:
    """The decompressor for a blob that begins with ``head``, four bytes if it has so many."""
    if head.startswith(GZIP_MAGIC):
        return inflater().make()
    if head.startswith(ZSTD_MAGIC) or (head[1:4] == _SKIPPABLE and 0x50 <= head[0] <= 0x5F):
        return Zstd()
    return Plain()


class Plain:
    """No compression: a copy."""

    def __init__(self) -> None:
        self._address = self._left = 0

    def push(self, address: int, length: int) -> None:
        """See :class:`Codec`."""
        self._address, self._left = address, length

    def fill(self, address: int, room: int) -> int:
        """See :class:`Codec`."""
        count = min(room, self._left)
        ctypes.memmove(address, self._address, count)
        self._address += count
        self._left -= count
        return count

    def finish(self) -> None:
        """A tar may end anywhere; its reader tells."""


class _ZstdBuffer(ctypes.Structure):
    """``ZSTD_inBuffer`` and ``ZSTD_outBuffer`` of zstd.h."""

    _fields_ = (("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("pos", ctypes.c_size_t))


class Zstd:
    """Any number of zstd frames, skippable ones among them."""

    def __init__(self) -> None:
        self._zstd = library("libzstd.so.1", "libzstd1")
        self._zstd.ZSTD_createDStream.restype = ctypes.c_void_p
        self._zstd.ZSTD_decompressStream.restype = ctypes.c_size_t
        self._zstd.ZSTD_isError.argtypes = [ctypes.c_size_t]
        self._zstd.ZSTD_getErrorName.argtypes = [ctypes.c_size_t]
        self._zstd.ZSTD_getErrorName.restype = ctypes.c_char_p
        self._context = ctypes.c_void_p(self._zstd.ZSTD_createDStream())
        self._input, self._output = _ZstdBuffer(), _ZstdBuffer()
        self._expects = 1

    def push(self, address: int, length: int) -> None:
        """See :class:`Codec`."""
        self._input.data, self._input.size, self._input.pos = address, length, 0

    def fill(self, address: int, room: int) -> int:
        """See :class:`Codec`."""
        put, take = self._output, self._input
        put.data, put.size, put.pos = address, room, 0
        while put.pos < room:
            before = put.pos, take.pos
            code = self._zstd.ZSTD_decompressStream(
                self._context, ctypes.byref(put), ctypes.byref(take)
            )
            if self._zstd.ZSTD_isError(code):
                raise GuestError(f"is no good zstd: {c_text(self._zstd.ZSTD_getErrorName(code))}")
            if (put.pos, take.pos) == before:
                break  # all input is used, and all that was decoded is out
            self._expects = code
        return int(put.pos)

    def finish(self) -> None:
        """See :class:`Codec`."""
        if self._expects:
            raise GuestError("is no good zstd: it ends in the middle")

    def __del__(self) -> None:
        self._zstd.ZSTD_freeDStream(self._context)
