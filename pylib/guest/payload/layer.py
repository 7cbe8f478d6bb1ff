"""One layer, from the registry to the disk: download, decompress, hash and write at once.

    lanes ─► pieces in order ─► decompress ─┬─► SHA-256 of what comes out
                                            └─► tar reader ─┬─► small files
                                                            └─► large files ─► read back
Each arrow is a thread of this layer's process, each buffer is one of a few; so memory does not grow
with the layer, and one large layer uses as many cores as it has stages.  On few cores the SHA-256
of what comes out is no thread of its own: it is summed where and while a core's cache has it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pylib.guest.payload.bigfile import BigFiles
from pylib.guest.payload.blob import Blob, Download
from pylib.guest.payload.blocks import Blocks
from pylib.guest.payload.buffers import Buffer, Channel, Flow, Ring
from pylib.guest.payload.codecs import Codec, codec_for
from pylib.guest.payload.create import Creator
from pylib.guest.payload.disk import sync
from pylib.guest.payload.failure import GuestError, line_of
from pylib.guest.payload.image import Layer
from pylib.guest.payload.readback import ReadBack
from pylib.guest.payload.registry import Repository
from pylib.guest.payload.space import explained
from pylib.guest.payload.tarstream import TarStream
from pylib.guest.payload.tree import Record, records_of
from pylib.guest.payload.unpack import Unpacker

_BLOCK = 1 << 20
_BLOCKS = 8
_SLICE = 256 << 10
"""What is decompressed in one go, and is still in a core's own cache then."""
_FEW_CORES = 2

Output = Channel[Buffer | None]


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


def hashes_apart() -> bool:
    """Whether there are cores for one more thread of a layer that always has work."""
    return (os.cpu_count() or 1) > _FEW_CORES


def _work(flow: Flow, layer: Layer, root: bytes, progress: Callable[[int], None]) -> Unpacker:
    download = Download(flow, Blob(Repository(layer.address), layer.digest, layer.size))
    tar: Output = flow.channel()
    blocks, read_back = Blocks(tar), ReadBack(flow)
    big = BigFiles(flow, read_back.end)
    unpacker = Unpacker(root, Creator(blocks, big, read_back), is_first=not layer.parent)
    ring, sums = Ring(flow, _BLOCKS, _BLOCK), DiffId(layer.diff_id)
    if hashes_apart():
        apart: Output = flow.channel()
        out = _Output(ring, (tar, apart), None)
        flow.spawn(lambda: sums.read(apart))
    else:
        out = _Output(ring, (tar,), sums)
    download.start()
    flow.spawn(lambda: _decompress(download, out, progress))
    unpacker.unpack(TarStream(blocks.next))
    big.end()
    return unpacker


class DiffId:
    """Holds the sum of all that comes out against ``wanted``."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._digest = hashlib.sha256()

    def update(self, memory: memoryview) -> None:
        """Add what came out."""
        self._digest.update(memory)

    def read(self, blocks: Output) -> None:
        """Add all blocks until their end, and :meth:`prove`."""
        while (block := blocks.get()) is not None:
            self.update(block.view[: block.length])
            block.release()
        self.prove()

    def prove(self) -> None:
        """Raises :class:`GuestError` when it is another."""
        if f"sha256:{self._digest.hexdigest()}" != self._wanted:
            raise GuestError(
                f"unpacks to sha256:{self._digest.hexdigest()}, but its image's config says "
                f"{self._wanted}: the registry sent other bytes than were pushed, or the image was "
                "made wrongly"
            )


def _decompress(download: Download, out: _Output, progress: Callable[[int], None]) -> None:
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
    """Whole blocks to all readers, of which only the last may be short; ``here`` sums what fills
    them at once."""

    def __init__(self, ring: Ring, outputs: Sequence[Output], here: DiffId | None) -> None:
        self._ring, self._outputs, self._here = ring, outputs, here
        self._block: Buffer | None = None

    def fill_from(self, codec: Codec) -> bool:
        """Whether the codec may have more."""
        block = self._block
        if block is None:
            block = self._block = self._ring.take()
            block.length = 0
        room = min(_SLICE, self._ring.size - block.length)
        count = codec.fill(block.address + block.length, room)
        if self._here is not None:
            self._here.update(block.view[block.length : block.length + count])
        block.length += count
        if block.length == self._ring.size:
            self._send(block)
        return count == room

    def end(self) -> None:
        if self._block is not None and self._block.length:
            self._send(self._block)
        for output in self._outputs:
            output.put(None)
        if self._here is not None:
            self._here.prove()

    def _send(self, block: Buffer) -> None:
        self._block = None
        block.share(len(self._outputs))
        for output in self._outputs:
            output.put(block)
