"""Blocks of a layer's tar, one after another, as they come from the thread that decompresses."""

from __future__ import annotations

from pylib.guest.payload.buffers import Buffer, Channel


class Blocks:
    """Each is given back when the next is asked for, unless somebody else keeps it."""

    def __init__(self, channel: Channel[Buffer | None]) -> None:
        self._channel = channel
        self._present: Buffer | None = None

    def next(self) -> memoryview | None:
        """Memory of the next block; ``None`` at the end."""
        if self._present is not None:
            self._present.release()
        self._present = self._channel.get()
        return None if self._present is None else self._present.view[: self._present.length]

    def present(self) -> Buffer:
        """The block that :meth:`next` gave last."""
        if self._present is None:
            raise RuntimeError("no block is there to be kept")
        return self._present
