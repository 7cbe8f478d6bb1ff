"""The quick checksum by which a file read back from the disk is held against what was written.

XXH3 of 64 bits by the libxxhash that apt brings: it runs at memory speed, where md5 would cost as
much again as the whole unpacking does.  It need not withstand an attacker, since the tree's digest,
over md5 sums, is checked from the finished image as well.
https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from pylib.guest.payload.native import library

_NAME = "libxxhash.so.0"


@cache
def _xxhash() -> ctypes.CDLL:
    loaded = library(_NAME, "libxxhash0")
    loaded.XXH3_createState.restype = ctypes.c_void_p
    loaded.XXH3_freeState.argtypes = [ctypes.c_void_p]
    loaded.XXH3_64bits_reset.argtypes = [ctypes.c_void_p]
    loaded.XXH3_64bits_update.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    loaded.XXH3_64bits_digest.argtypes = [ctypes.c_void_p]
    loaded.XXH3_64bits_digest.restype = ctypes.c_uint64
    return loaded


@cache
def _whole() -> Callable[[int | bytes, int], int]:
    """The sum of memory in one call, in which Python's lock is kept: a small file's takes less time
    than to hand the lock to another thread and to wait for it again."""
    _xxhash()
    function = ctypes.PyDLL(_NAME).XXH3_64bits
    function.restype = ctypes.c_uint64
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    found: Callable[[int | bytes, int], int] = function
    return found


def check_of(content: bytes) -> str:
    """Checksum of a whole file."""
    return f"{_whole()(content, len(content)):016x}"


def check_at(address: int, length: int) -> str:
    """Checksum of memory that is a whole file."""
    return f"{_whole()(address, length):016x}"


class Check:
    """Checksum of a file that comes in pieces."""

    def __init__(self) -> None:
        self._library = _xxhash()
        self._state = self._library.XXH3_createState()
        self._library.XXH3_64bits_reset(self._state)

    def update(self, address: int, length: int) -> None:
        """Add ``length`` bytes of memory."""
        self._library.XXH3_64bits_update(self._state, address, length)

    def hexdigest(self) -> str:
        """The sum so far."""
        return f"{self._library.XXH3_64bits_digest(self._state):016x}"

    def __del__(self) -> None:
        self._library.XXH3_freeState(self._state)
