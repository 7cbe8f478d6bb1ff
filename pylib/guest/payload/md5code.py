"""The machine code of MD5 over eight lanes, put together for AVX2 or for AVX-512 as well.

The steps of MD5 depend each on the one before, so one sum leaves most of a core idle; a register of
256 bits takes the same step of eight sums.  A row is such a register in memory: one word of each
lane.  https://www.rfc-editor.org/rfc/rfc1321; encodings: https://www.felixcloutier.com/x86
"""

from __future__ import annotations

import struct
from math import floor, sin

LANES = 8
BLOCK = 64
"""Bytes that MD5 takes at a time."""
ROW = 4 * LANES
SCRATCH = (16 + 64) * ROW
"""Bytes of memory that the code works in: a block's words, then the steps' constants."""
_WORDS, _CONSTANTS = 0, 16 * ROW
_SHIFTS = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
_STRIDES = ((1, 0), (5, 1), (3, 5), (7, 0))
"""Which of a block's words a step takes: the step's number times the one, plus the other."""
_RDI, _RSI, _RCX = 7, 6, 1
_POINTERS = range(8, 16)
_MIXED, _ONES = 4, 6
"""Registers beside those of a, b, c and d, which are the first four."""
_P66, _PF3 = 1, 2
_ADD, _XOR, _AND, _OR, _EQUAL, _SHIFT, _SELECT = 0xFE, 0xEF, 0xDB, 0xEB, 0x76, 0x72, 0x25
_LEFT, _RIGHT, _ROTATE = 6, 2, 1
_SELECTS = (0xB8, 0xCA, 0x96, 0x65)
"""The four functions of RFC 1321 section 3.4, as tables of their results: the bits of d, b and c
make the number of a bit."""
_LOAD, _STORE = 0x6F, 0x7F
_LOW32, _HIGH32, _LOW64, _HIGH64, _HALVES = 0x62, 0x6A, 0x6C, 0x6D, 0x46


class _Code:
    """Instructions on registers of 256 bits, by their numbers."""

    def __init__(self) -> None:
        self.text = bytearray()

    def raw(self, text: str) -> None:
        self.text += bytes.fromhex(text)

    def of(self, op: int, to: int, one: int, two: int, immediate: int | None = None) -> None:
        """``to`` = ``one`` op ``two``, all registers."""
        self._vex(op, to, one, two, _P66, 1 if immediate is None else 3)
        self.text.append(0xC0 | (to & 7) << 3 | two & 7)
        if immediate is not None:
            self.text.append(immediate)

    def select(self, table: int, to: int, one: int, two: int) -> None:
        """Each bit of ``to`` = ``table``'s for those of ``to``, ``one`` and ``two`` (AVX-512)."""
        self._evex(_SELECT, to, one, two, 3)
        self.text += bytes((0xC0 | (to & 7) << 3 | two & 7, table))

    def rotate(self, to: int, bits: int) -> None:
        """``to`` rotated to the left (AVX-512)."""
        self._evex(_SHIFT, 0, to, to, 1)
        self.text += bytes((0xC0 | _ROTATE << 3 | to & 7, bits))

    def shift(self, direction: int, to: int, one: int, bits: int) -> None:
        """``to`` = ``one`` shifted."""
        self._vex(_SHIFT, 0, to, one, _P66, 1)
        self.text += bytes((0xC0 | direction << 3 | one & 7, bits))

    def add_memory(self, to: int, base: int, offset: int) -> None:
        """``to`` += memory at ``base`` + ``offset``."""
        self._vex(_ADD, to, to, base, _P66, 1)
        self._memory(to, base, offset)

    def move(self, op: int, register: int, base: int, offset: int) -> None:
        """Load or store, from wherever."""
        self._vex(op, register, 0, base, _PF3, 1)
        self._memory(register, base, offset)

    def _vex(self, op: int, reg: int, vvvv: int, rm: int, prefix: int, table: int) -> None:
        high = (~reg & 8) << 4 | 0x40 | (~rm & 8) << 2 | table
        self.text += bytes((0xC4, high, (~vvvv & 15) << 3 | 4 | prefix, op))

    def _evex(self, op: int, reg: int, vvvv: int, rm: int, table: int) -> None:
        high = (~reg & 8) << 4 | 0x50 | (~rm & 8) << 2 | table
        self.text += bytes((0x62, high, (~vvvv & 15) << 3 | 4 | _P66, 0x28, op))

    def _memory(self, register: int, base: int, offset: int) -> None:
        self.text.append(0x80 | (register & 7) << 3 | base & 7)
        if base & 7 == 4:
            self.text.append(0x24)
        self.text += struct.pack("<i", offset)


def _transpose(code: _Code, half: int) -> None:
    """Eight words of each lane become eight rows of all lanes."""
    for lane, pointer in enumerate(_POINTERS):
        code.move(_LOAD, lane, pointer, half * ROW)
    for pair in range(0, 8, 2):
        code.of(_LOW32, 8 + pair, pair, pair + 1)
        code.of(_HIGH32, 9 + pair, pair, pair + 1)
    for quad in (0, 4):
        for odd in (0, 1):
            code.of(_LOW64, quad + 2 * odd, 8 + quad + odd, 10 + quad + odd)
            code.of(_HIGH64, quad + 2 * odd + 1, 8 + quad + odd, 10 + quad + odd)
    for word in range(8):
        code.of(_HALVES, 8, word % 4, word % 4 + 4, 0x31 if word >= 4 else 0x20)
        code.move(_STORE, 8, _RCX, _WORDS + (8 * half + word) * ROW)


def _step(code: _Code, number: int, a: int, b: int, c: int, d: int, *, wide: bool) -> None:
    """One of the 64: RFC 1321 section 3.4."""
    kind = number // 16
    times, plus = _STRIDES[kind]
    code.add_memory(a, _RCX, _WORDS + (number * times + plus) % 16 * ROW)
    code.add_memory(a, _RCX, _CONSTANTS + number * ROW)
    bits = _SHIFTS[kind][number % 4]
    if wide:
        code.of(_LOAD, _MIXED, 0, d)
        code.select(_SELECTS[kind], _MIXED, b, c)
        code.of(_ADD, a, a, _MIXED)
        code.rotate(a, bits)
    else:
        _mix(code, kind, b, c, d)
        code.of(_ADD, a, a, _MIXED)
        code.shift(_LEFT, _MIXED, a, bits)
        code.shift(_RIGHT, a, a, 32 - bits)
        code.of(_OR, a, a, _MIXED)
    code.of(_ADD, a, a, b)


def _mix(code: _Code, kind: int, b: int, c: int, d: int) -> None:
    """One of the four functions, with an operation less."""
    if kind == 0:
        code.of(_XOR, _MIXED, c, d)
        code.of(_AND, _MIXED, _MIXED, b)
        code.of(_XOR, _MIXED, _MIXED, d)
    elif kind == 1:
        code.of(_XOR, _MIXED, b, c)
        code.of(_AND, _MIXED, _MIXED, d)
        code.of(_XOR, _MIXED, _MIXED, c)
    elif kind == 2:
        code.of(_XOR, _MIXED, b, c)
        code.of(_XOR, _MIXED, _MIXED, d)
    else:
        code.of(_XOR, _MIXED, d, _ONES)
        code.of(_OR, _MIXED, _MIXED, b)
        code.of(_XOR, _MIXED, _MIXED, c)


def machine_code(*, wide: bool) -> bytes:
    """``void f(state *rdi, pointers *rsi, blocks rdx, scratch *rcx)``; blocks is not 0.

    With ``wide`` it takes AVX-512's instructions of three operands and of rotation, on the same
    registers: four instead of six wait for each other in a step.
    """
    code = _Code()
    code.raw("4154 4155 4156 4157")  # push r12 to r15
    for lane in range(LANES):
        code.raw(f"4c8b{0x46 | lane << 3:02x}{8 * lane:02x}")  # mov r8+lane, [rsi + 8 * lane]
    loop = len(code.text)
    for half in (0, 1):
        _transpose(code, half)
    for row in range(4):
        code.move(_LOAD, row, _RDI, row * ROW)
    code.of(_EQUAL, _ONES, _ONES, _ONES)
    for number in range(64):
        _step(code, number, *((row - number) % 4 for row in range(4)), wide=wide)
    for row in range(4):
        code.add_memory(row, _RDI, row * ROW)
        code.move(_STORE, row, _RDI, row * ROW)
    for lane in range(LANES):
        code.raw(f"4983{0xC0 | lane:02x}{BLOCK:02x}")  # add r8+lane, 64
    code.raw("48ffca 0f85")  # dec rdx; jnz loop
    code.text += struct.pack("<i", loop - len(code.text) - 4)
    code.raw("c5f877 415f 415e 415d 415c c3")  # vzeroupper; pop r15 to r12; ret
    return bytes(code.text)


def scratch() -> bytes:
    """What the memory that the code works in must hold before: RFC 1321 section 3.4."""
    constants = (floor(abs(sin(number + 1)) * (1 << 32)) for number in range(64))
    rows = (struct.pack("<I", constant) * LANES for constant in constants)
    return bytes(_CONSTANTS) + b"".join(rows)
