"""Models small enough for a test, and a reader of safetensors that shares nothing with the guest's.

https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path

Tensors = dict[str, tuple[str, list[int], bytes]]
"""dtype, shape and bytes by name."""


def packed(tensors: Tensors, metadata: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file, the tensors in their order."""
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(content)]}
        at += len(content)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(it[2] for it in tensors.values())


def unpacked(file: Path) -> tuple[Tensors, dict[str, str]]:
    """Tensors and metadata of a file; strict where readers are."""
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert (8 + length) % 8 == 0, "the data are not aligned"
    data, metadata, at = content[8 + length :], header.pop("__metadata__", {}), 0
    found: Tensors = {}
    for name, about in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start, stop = about["data_offsets"]
        assert start == at, f"a gap before {name}"
        width = {"F64": 8, "I64": 8, "F32": 4, "BF16": 2, "F16": 2}.get(about["dtype"], 1)
        assert start % width == 0, f"{name} is not aligned"
        found[name], at = (about["dtype"], about["shape"], data[start:stop]), stop
    assert at == len(data), "bytes behind the last tensor"
    return found, metadata


def noise(seed: object, length: int) -> bytes:
    """Bytes without a pattern, the same for the same seed."""
    return hashlib.shake_128(repr(seed).encode()).digest(length)


def tensors(seed: int, count: int, elements: int = 1000, prefix: str = "layer") -> Tensors:
    """Tensors of several dtypes and sizes, the same for the same seed."""
    widths = {"I64": 8, "F32": 4, "BF16": 2, "F8_E4M3": 1}
    found: Tensors = {}
    for number in range(count):
        kind, *size = noise((seed, number), 3)
        dtype = list(widths)[kind % len(widths)]
        length = 1 + int.from_bytes(size) % (2 * elements)
        content = noise((seed, number, "content"), length * widths[dtype])
        found[f"{prefix}.{number}"] = (dtype, [length], content)
    # As the format's own writer does, so that each lies where it can be mapped.
    return dict(sorted(found.items(), key=lambda item: -widths[item[1][0]]))


def model(shards: int = 2, count: int = 6, elements: int = 1000) -> dict[str, bytes]:
    """Files of a whole model by path."""
    names = [f"model-{number:05}-of-{shards:05}.safetensors" for number in range(1, shards + 1)]
    files: dict[str, bytes] = {"config.json": b'{"model_type": "gemma"}', "sub/notes é.txt": b"n"}
    weight_map: dict[str, str] = {}
    total = 0
    for number, name in enumerate(names):
        held = tensors(number, count, elements, f"shard{number}")
        files[name] = packed(held, {"format": "pt"})
        weight_map |= dict.fromkeys(held, name)
        total += sum(len(it[2]) for it in held.values())
    index = {"metadata": {"total_size": total, "license": "x"}, "weight_map": weight_map}
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    return files


def place(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
