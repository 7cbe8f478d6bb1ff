"""Gzip by ISA-L's inflate, which takes less than half of zlib's time, where it is there.

Debian's boot image has no ISA-L.  The host sends the one in its own package ``isal``, an extension
of CPython that holds the library and exports its functions, and the startup script says where it
lies.  Whatever is wrong with it, zlib does the work.
"""

from __future__ import annotations

import ctypes
import logging
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from pylib.guest.payload.failure import GuestError, message_of
from pylib.guest.payload.inflate import Z_BLOCK, Gzip
from pylib.guest.payload.native import c_text, libc
from pylib.guest.payload.pool import run_all

SETTING = "VFS_INFLATE"
"""The environment variable with the library's path."""
_AFTER_HEADER = 128
"""The bit of zlib's ``data_type`` that tells that a header is over: zlib.h, ``Z_BLOCK``."""
_BLOCK_FINISH = 5
_WRONG = {-1: "block", -2: "symbol", -3: "distance"}
"""What its errors of the compressed data mean."""
_TRAILER = 8
"""Bytes of CRC and length after a member: RFC 1952 section 2.2."""
_LOG = logging.getLogger(__name__)


class _State(ctypes.Structure):
    """``inflate_state`` up to the field that is read, and room for the rest.

    https://github.com/intel/isa-l/blob/v2.31.1/include/igzip_lib.h
    """

    _fields_ = (
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_uint32),
        ("total_out", ctypes.c_uint32),
        ("next_in", ctypes.c_void_p),
        ("read_in", ctypes.c_uint64),
        ("avail_in", ctypes.c_uint32),
        ("read_in_length", ctypes.c_int32),
        ("lit_short", ctypes.c_uint32 * 4096),
        ("lit_long", ctypes.c_uint16 * 1264),
        ("dist_short", ctypes.c_uint16 * 1024),
        ("dist_long", ctypes.c_uint16 * 80),
        ("block_state", ctypes.c_int),
        ("rest", ctypes.c_uint8 * (128 << 10)),  # some 65 KiB are used
    )


class FastGzip(Gzip):
    """zlib reads each member's header, ISA-L what is compressed; the trailer is passed over."""

    def __init__(self, isal: ctypes.CDLL) -> None:
        super().__init__()
        self._isal = isal
        self._state = _State()
        self._state_by_reference = ctypes.byref(self._state)
        isal.isal_inflate_init(self._state_by_reference)
        self._trailer_left = 0
        self._step = self._header

    def fill(self, address: int, room: int) -> int:
        """See :class:`Gzip`."""
        self._stream.next_out = self._state.next_out = address  # zlib insists, and writes nothing
        self._state.avail_out = room
        while self._state.avail_out:
            before = self._step, self._stream.avail_in, self._state.avail_out
            self._step()
            if before == (self._step, self._stream.avail_in, self._state.avail_out):
                break
        return room - int(self._state.avail_out)

    def _header(self) -> None:
        if not self._stream.avail_in:
            return
        self._inflate(Z_BLOCK)
        if self._stream.data_type & _AFTER_HEADER:
            self._isal.isal_inflate_reset(self._state_by_reference)
            self._step = self._body

    def _body(self) -> None:
        """Without input too: output may wait inside."""
        stream, state = self._stream, self._state
        state.next_in, state.avail_in = stream.next_in, stream.avail_in
        code = self._isal.isal_inflate(self._state_by_reference)
        if code < 0:
            raise GuestError(f"is no good gzip: invalid {_WRONG.get(code)} (ISA-L code {code})")
        stream.next_in, stream.avail_in = state.next_in, state.avail_in
        if state.block_state == _BLOCK_FINISH:
            self._trailer_left = _TRAILER
            self._step = self._trailer

    def _trailer(self) -> None:
        """At its end ISA-L gives back what it had read ahead, at most eight bytes.  They may have
        come with an earlier push and be gone, but they are of the trailer, which nobody reads."""
        count = min(self._trailer_left, self._stream.avail_in)
        self._stream.next_in += count
        self._stream.avail_in -= count
        self._trailer_left -= count
        if not self._trailer_left:
            self._inside = False
            self._step = self._header


@dataclass(frozen=True)
class Inflater:
    """Whose inflate it is, and how to begin with a blob."""

    name: str
    make: Callable[[], Gzip]


@cache
def inflater() -> Inflater:
    """The fastest that works here, found once; processes forked after that know it."""
    try:
        isal = load(os.environ.get(SETTING, ""))
        run_all([partial(_prove, isal)], 1)  # apart, since a library can also end its process
    except (OSError, GuestError) as error:
        _LOG.info("gzip by zlib; not by ISA-L: %s", message_of(error))
        return Inflater("zlib", Gzip)
    _LOG.info("gzip by ISA-L")
    return Inflater("isal", partial(FastGzip, isal))


def load(path: str) -> ctypes.CDLL:
    """The library; raises :class:`GuestError` when it cannot be loaded.

    It may be made for another CPython than this one, which lacks some function that its Python half
    calls, so functions are looked up when they are called.  ``CDLL`` itself does it at once.
    """
    if not path:
        raise GuestError("it did not come along")
    c = libc()
    c.dlopen.restype, c.dlerror.restype = ctypes.c_void_p, ctypes.c_char_p
    handle = c.dlopen(path.encode(), os.RTLD_LAZY)
    if not handle:
        raise GuestError(c_text(c.dlerror()))
    return ctypes.CDLL(path, handle=handle)


def _prove(isal: ctypes.CDLL) -> None:
    """Raise :class:`GuestError` unless it decompresses blocks of every kind, in portions."""
    data = b"".join(b"%d " % (number * number) for number in range(40_000))
    kinds = ((0, zlib.Z_DEFAULT_STRATEGY), (6, zlib.Z_FIXED), (6, zlib.Z_DEFAULT_STRATEGY))
    packed = b"".join(_packed(data, *kind) for kind in kinds)
    if decompressed(FastGzip(isal), packed, 20_011, 65_521) != data * len(kinds):
        raise GuestError("it decompresses wrongly")


def _packed(data: bytes, level: int, strategy: int) -> bytes:
    packer = zlib.compressobj(level, wbits=31, strategy=strategy)
    return packer.compress(data) + packer.flush()


def decompressed(codec: Gzip, packed: bytes, step: int, room: int) -> bytes:
    """What a codec makes of ``packed``, in portions of ``step`` to at most ``room`` bytes."""
    out = b""
    source, target = ctypes.create_string_buffer(packed), ctypes.create_string_buffer(room)
    for at in range(0, len(packed), step):
        codec.push(ctypes.addressof(source) + at, min(step, len(packed) - at))
        while True:
            count = codec.fill(ctypes.addressof(target), room)
            out += target.raw[:count]
            if count < room:
                break
    codec.finish()
    return out
