"""One layer, from the registry to the disk: download, decompress, hash and write at once.

    lanes ─► pieces in order, SHA-256 of the blob ─► decompress ─┬─► SHA-256 of what comes out
                                                                └─► tar reader ─► small files
                                                                               └─► large files
Each arrow is a thread of this layer's process, each buffer is one of a few; so memory does not grow
with the layer, and one large layer uses as many cores as it has stages.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pylib.guest.payload.bigfile import BigFiles
from pylib.guest.payload.blob import Blob, Download
from pylib.guest.payload.buffers import Buffer, Channel, Flow, Ring
from pylib.guest.payload.codecs import Codec, codec_for
from pylib.guest.payload.disk import sync
from pylib.guest.payload.failure import GuestError, line_of
from pylib.guest.payload.image import Layer
from pylib.guest.payload.registry import Repository
from pylib.guest.payload.space import explained
from pylib.guest.payload.tarstream import TarStream
from pylib.guest.payload.tree import Record, records_of
from pylib.guest.payload.unpack import Unpacker

_BLOCK = 1 << 20
_BLOCKS = 12

Outputs = tuple[Channel[Buffer | None], Channel[Buffer | None]]


@dataclass(frozen=True)
class Unpacked:
    """What came of a layer: records lie in ``records``; ``implied`` are folders to settle."""

    records: Path
    implied: tuple[bytes, ...]
    paths: int
    tree_bytes: int


def unpack_layer(
    layer: Layer, root: bytes, records: Path, progress: Callable[[int], None]
) -> Unpacked:
    """Fill the empty folder ``root``; raises :class:`GuestError` that names the layer.

    ``progress`` is told the compressed bytes that went in so far.
    """
    os.umask(0)
    flow = Flow()
    try:
        unpacker = flow.run(lambda: _work(flow, layer, root, progress))
        unpacker.finish()
        with ThreadPoolExecutor(1) as aside:
            # while this and others still compute, and not all in the end
            synced = aside.submit(sync, Path(os.fsdecode(root)))
            found = records_of(unpacker.nodes)
            synced.result()
    except GuestError as error:
        told = GuestError(f"layer {layer.digest}: {error}", line_of(error))
        raise told from None
    except OSError as error:
        raise explained(error, root) from error
    records.write_bytes(pickle.dumps(found))
    implied = tuple(path for path, node in unpacker.nodes.items() if node.implied)
    size = sum(record.size for record in found if record.check and record.path == record.group)
    return Unpacked(records, implied, len(found), size)


def load_records(file: Path) -> list[Record]:
    """What :func:`unpack_layer` left."""
    found: list[Record] = pickle.loads(file.read_bytes())
    return found


def _work(flow: Flow, layer: Layer, root: bytes, progress: Callable[[int], None]) -> Unpacker:
    download = Download(flow, Blob(Repository(layer.address), layer.digest, layer.size))
    blocks = Ring(flow, _BLOCKS, _BLOCK)
    outputs: Outputs = (flow.channel(), flow.channel())
    big = BigFiles(flow)
    unpacker = Unpacker(root, big, is_first=not layer.parent)
    download.start()
    flow.spawn(lambda: _decompress(download, blocks, outputs, progress))
    flow.spawn(lambda: _check_diff_id(outputs[1], layer.diff_id))
    unpacker.unpack(TarStream(_Blocks(outputs[0]).next))
    big.end()
    return unpacker


class _Blocks:
    """Blocks for the tar reader, each given back when it asks for the next."""

    def __init__(self, channel: Channel[Buffer | None]) -> None:
        self._channel = channel
        self._present: Buffer | None = None

    def next(self) -> memoryview | None:
        if self._present is not None:
            self._present.release()
        self._present = self._channel.get()
        return None if self._present is None else self._present.view[: self._present.length]


def _decompress(
    download: Download, ring: Ring, outputs: Outputs, progress: Callable[[int], None]
) -> None:
    out = _Output(ring, outputs)
    codec: Codec | None = None
    done = 0
    for address, length in download.parts():
        codec = codec or codec_for(ctypes.string_at(address, min(4, length)))
        codec.push(address, length)
        while out.fill_from(codec):
            pass
        done += length
        progress(done)
    if codec is not None:
        codec.finish()
    out.end()


class _Output:
    """Whole blocks to both readers; only the last may be short."""

    def __init__(self, ring: Ring, outputs: Outputs) -> None:
        self._ring, self._outputs = ring, outputs
        self._block: Buffer | None = None

    def fill_from(self, codec: Codec) -> bool:
        """Whether the codec may have more."""
        block = self._block
        if block is None:
            block = self._block = self._ring.take()
            block.length = 0
        room = self._ring.size - block.length
        count = codec.fill(block.address + block.length, room)
        block.length += count
        if block.length == self._ring.size:
            self._send(block)
        return count == room

    def end(self) -> None:
        if self._block is not None and self._block.length:
            self._send(self._block)
        for output in self._outputs:
            output.put(None)

    def _send(self, block: Buffer) -> None:
        self._block = None
        block.share(len(self._outputs))
        for output in self._outputs:
            output.put(block)


def _check_diff_id(blocks: Channel[Buffer | None], diff_id: str) -> None:
    digest = hashlib.sha256()
    while (block := blocks.get()) is not None:
        digest.update(block.view[: block.length])
        block.release()
    if f"sha256:{digest.hexdigest()}" != diff_id:
        raise GuestError(
            f"unpacks to sha256:{digest.hexdigest()}, but its image's config says {diff_id}"
        )
