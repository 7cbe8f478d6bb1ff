"""The safetensors format: u64 length, JSON header, bytes of the tensors without gaps.

https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylib.guest.payload.failure import GuestError

_LENGTH = 8
_ALIGNMENT = 8
"""The header is padded, so that the data begin at a multiple of this."""
_LARGEST_HEADER = 100_000_000
"""MAX_HEADER_SIZE of huggingface/safetensors, safetensors/src/tensor.rs."""
_METADATA = "__metadata__"
_WIDTHS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
}
"""Bytes of an element, by dtype; all others are no wider than one, in tensor.rs as above."""


@dataclass(frozen=True)
class Tensor:
    """One tensor: where its bytes are in ``file``, from the file's start."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stop - self.start

    @property
    def width(self) -> int:
        """Bytes of an element, which its place in a file must be a multiple of."""
        return _WIDTHS.get(self.dtype, 1)


@dataclass(frozen=True)
class Contents:
    """What a file's header says; ``tensors`` in the order of their bytes."""

    metadata: Mapping[str, str]
    tensors: tuple[Tensor, ...]


def read_header(file: Path) -> Contents:
    """Raises :class:`GuestError` for a file that is not as the format wants it."""
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(_LENGTH), "little")
            if length > _LARGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(opened.read(length))
        return _contents(file, header, _LENGTH + length)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise GuestError(f"{file.name} is no safetensors file: {error!r}") from None


def _contents(file: Path, header: dict[str, Any], begin: int) -> Contents:
    metadata = header.pop(_METADATA, {})
    tensors = [_tensor(name, about, file, begin) for name, about in header.items()]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.stop))
    at = begin
    for tensor in tensors:
        if tensor.start != at or tensor.stop < at:
            raise ValueError(f"{tensor.name} is at {tensor.start}, not at {at}")
        at = tensor.stop
    if (size := file.stat().st_size) != at:
        raise ValueError(f"it has {size} bytes, and its header tells of {at}")
    return Contents(metadata, tuple(tensors))


def _tensor(name: str, about: Mapping[str, Any], file: Path, begin: int) -> Tensor:
    start, stop = about["data_offsets"]
    shape = tuple(int(length) for length in about["shape"])
    return Tensor(name, str(about["dtype"]), shape, file, begin + start, begin + stop)


def aligned(tensors: Iterable[Tensor]) -> list[Tensor]:
    """The wider elements first, else in their order: so each lies where a reader can map it, as the
    format's own writer has it (tensor.rs, ``prepare``)."""
    return sorted(tensors, key=lambda tensor: -tensor.width)


def header_of(tensors: Sequence[Tensor], metadata: Mapping[str, str]) -> bytes:
    """Length and header of a file that holds ``tensors`` one after the other."""
    entries: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    at = 0
    for tensor in tensors:
        entries[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.size],
        }
        at += tensor.size
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH, "little") + text
