"""Gzip by zlib, which every Debian 12 has; :mod:`isal` has the faster way."""

from __future__ import annotations

import ctypes

from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.native import c_text, library

Z_BLOCK = 5
_Z_OK, _Z_STREAM_END, _Z_BUF_ERROR = 0, 1, -5
_GZIP_WINDOW = 31


class _ZStream(ctypes.Structure):
    """``z_stream`` of zlib.h."""

    _fields_ = (
        ("next_in", ctypes.c_void_p),
        ("avail_in", ctypes.c_uint),
        ("total_in", ctypes.c_ulong),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_uint),
        ("total_out", ctypes.c_ulong),
        ("msg", ctypes.c_char_p),
        ("state", ctypes.c_void_p),
        ("zalloc", ctypes.c_void_p),
        ("zfree", ctypes.c_void_p),
        ("opaque", ctypes.c_void_p),
        ("data_type", ctypes.c_int),
        ("adler", ctypes.c_ulong),
        ("reserved", ctypes.c_ulong),
    )


class Gzip:
    """A codec (see :mod:`codecs`) for any number of gzip members, one after another.

    The members' own CRC is not computed: both the blob and what comes out of it are held against
    a SHA-256, and the CRC would cost a seventh of the time.
    """

    def __init__(self) -> None:
        self._zlib = library("libz.so.1", "zlib1g")
        self._stream = _ZStream()
        self._by_reference = ctypes.byref(self._stream)
        self._zlib.zlibVersion.restype = ctypes.c_char_p
        size = ctypes.sizeof(_ZStream)
        version = self._zlib.zlibVersion()
        code = self._zlib.inflateInit2_(self._by_reference, _GZIP_WINDOW, version, size)
        if code == _Z_OK:
            code = self._zlib.inflateValidate(self._by_reference, 0)
        if code != _Z_OK:
            raise GuestError(f"zlib {version!r} does not start: code {code}")
        self._inside = True

    def push(self, address: int, length: int) -> None:
        """Offer ``length`` bytes of input, which stay where they are until drained."""
        self._stream.next_in = address
        self._stream.avail_in = length

    def fill(self, address: int, room: int) -> int:
        """Write at most ``room`` bytes; less only when all input is used up."""
        stream = self._stream
        stream.next_out = address
        stream.avail_out = room
        while stream.avail_out and stream.avail_in:
            self._inflate(0)
        return room - int(stream.avail_out)

    def finish(self) -> None:
        """Raise :class:`GuestError` unless the input ended with a member."""
        if self._inside:
            raise GuestError("is no good gzip: it ends in the middle")

    def _inflate(self, flush: int) -> None:
        """Go on, with the next member where one has ended."""
        if not self._inside:
            self._zlib.inflateReset(self._by_reference)
            self._zlib.inflateValidate(self._by_reference, 0)
            self._inside = True
        code = self._zlib.inflate(self._by_reference, flush)
        if code == _Z_STREAM_END:
            self._inside = False
        elif code not in {_Z_OK, _Z_BUF_ERROR}:
            said = c_text(self._stream.msg)
            raise GuestError(f"is no good gzip: {said} (zlib code {code})")

    def __del__(self) -> None:
        self._zlib.inflateEnd(self._by_reference)
