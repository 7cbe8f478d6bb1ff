"""CRC32C of an object, by table: for the small ones that an emulator keeps, and on any system."""

from __future__ import annotations

import base64

_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, reflected: RFC 3720, appendix B.4."""
_ONES = 0xFFFFFFFF


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(_entry(byte) for byte in range(256))


def encoded_crc32c(content: bytes) -> str:
    """As Cloud Storage writes it, base64 of the big-endian sum:
    https://cloud.google.com/storage/docs/data-validation."""
    table, crc = _TABLE, _ONES
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return base64.b64encode((crc ^ _ONES).to_bytes(4, "big")).decode("ascii")
