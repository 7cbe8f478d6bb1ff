"""A file put together from pieces of others: read, hashed and written by a thread each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pylib.guest.payload.buffers import Buffer, Channel, Flow, Ring

_BLOCK = 4 << 20
_BLOCKS = 8

Blocks = Channel[Buffer | None]
Piece = tuple[Path, int, int]
"""A file, and the first byte in it and the one after the last."""


def copy(
    head: bytes, pieces: Sequence[Piece], place: Path, size: int, told: Callable[[int], None]
) -> str:
    """sha256 in hex of a new file of ``size`` bytes: ``head``, then all ``pieces``.

    ``told`` is given the size of each block.  Raises :class:`OSError`, also for a piece that is not
    there in full.
    """
    sha256 = hashlib.sha256(head)
    with place.open("xb", buffering=0) as made:
        os.posix_fallocate(made.fileno(), 0, size)
        made.write(head)
        flow = Flow()
        to_hash: Blocks = flow.channel()
        to_write: Blocks = flow.channel()
        flow.spawn(partial(_hash, to_hash, sha256.update))
        flow.spawn(partial(_write, to_write, made.fileno(), len(head), told))
        flow.run(partial(_read, flow, pieces, (to_hash, to_write)))
    return sha256.hexdigest()


def _read(flow: Flow, pieces: Sequence[Piece], outputs: tuple[Blocks, ...]) -> None:
    ring = Ring(flow, _BLOCKS, _BLOCK)
    for file, start, stop in pieces:
        with file.open("rb", buffering=0) as opened:
            for at in range(start, stop, _BLOCK):
                buffer = ring.take()
                buffer.length = min(_BLOCK, stop - at)
                _fill(opened.fileno(), buffer, at)
                buffer.share(len(outputs))
                for output in outputs:
                    output.put(buffer)
    for output in outputs:
        output.put(None)


def _fill(descriptor: int, buffer: Buffer, offset: int) -> None:
    done = 0
    while done < buffer.length:
        count = os.preadv(descriptor, [buffer.view[done : buffer.length]], offset + done)
        if count == 0:
            raise OSError(f"a file of the model ends at {offset + done}, before its last tensor")
        done += count


def _hash(blocks: Blocks, update: Callable[[memoryview], None]) -> None:
    while (buffer := blocks.get()) is not None:
        update(buffer.view[: buffer.length])
        buffer.release()


def _write(blocks: Blocks, descriptor: int, at: int, told: Callable[[int], None]) -> None:
    while (buffer := blocks.get()) is not None:
        done = 0
        while done < buffer.length:
            done += os.pwrite(descriptor, buffer.view[done : buffer.length], at + done)
        at += buffer.length
        told(buffer.length)
        buffer.release()
