"""CRC32C, which Cloud Storage keeps of every object, over pieces that come in any order.

https://cloud.google.com/storage/docs/data-validation: base64 of the big-endian sum.  The sum itself
comes from libext2fs, which mkfs.ext4 needs: it takes and gives the register, without the inversions
before and after that the name CRC32C implies (e2fsprogs, lib/ext2fs/crc32c.c).
"""

from __future__ import annotations

import base64
import ctypes
import mmap
from functools import cache

from pylib.guest.payload.native import address_of, library

_ONES = 0xFFFFFFFF
_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, lowest power in the highest bit: RFC 3720, appendix B.4."""
_ONE = 1 << 31
_X_TO_8 = 1 << 23


@cache
def _ext2fs() -> ctypes.CDLL:
    loaded = library("libext2fs.so.2", "libext2fs2")
    loaded.ext2fs_crc32c_le.restype = ctypes.c_uint32
    loaded.ext2fs_crc32c_le.argtypes = [ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t]
    return loaded


def crc32c(memory: mmap.mmap | bytearray, length: int, before: int = 0) -> int:
    """Sum of the first ``length`` bytes of ``memory``, after bytes whose sum is ``before``."""
    address = address_of(memory)
    return int(_ext2fs().ext2fs_crc32c_le(before ^ _ONES, address, length)) ^ _ONES


def combined(first: int, second: int, second_length: int) -> int:
    """Sum of two pieces one after the other, from the sums of each.

    The first's is moved on by the second's length, which multiplies it by x^(8·length): as Mark
    Adler's crc32_combine does in zlib's crc32.c.
    """
    return _product(_shift(second_length), first) ^ second


@cache
def _shift(length: int) -> int:
    """x^(8·length), by squaring."""
    power, square = _ONE, _X_TO_8
    while length:
        if length & 1:
            power = _product(square, power)
        square, length = _product(square, square), length >> 1
    return power


def _product(one: int, other: int) -> int:
    """Of two polynomials over GF(2), modulo the CRC's."""
    product = 0
    for power in range(31, -1, -1):
        if one >> power & 1:
            product ^= other
        other = other >> 1 ^ (_POLYNOMIAL if other & 1 else 0)
    return product


def encoded(crc: int) -> str:
    """As Cloud Storage writes it."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode("ascii")
