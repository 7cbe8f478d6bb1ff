"""A model's safetensors in another number of files of about the same size, tensors kept whole.

vLLM's prefetch reads with one thread for each file (docs.vllm.ai, ``--safetensors-load-strategy``):
a model in one file has one reader, and one of very unlike files waits for the largest.

The disk need not hold the model twice: the last new file is written first, from the ends of the old
ones, which are then cut off.  Killed on the way it leaves neither the old files nor the new ones.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from download.common import RemoteFile

from pylib.guest.payload.copying import copy
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.safetensors import Tensor, aligned, header_of, read_header

INDEX = "model.safetensors.index.json"
_SUFFIX = ".safetensors"
_DRAFT = ".draft"


@dataclass(frozen=True)
class Model:
    """The safetensors of a folder: ``names`` of the files, sorted; ``tensors`` in the order of
    files and bytes; ``about`` is what the index says beside the map."""

    folder: Path
    names: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    metadata: dict[str, str]
    about: dict[str, Any]


def shards_of(paths: Sequence[str]) -> list[str]:
    """The safetensors at the top of a model, sorted; raises :class:`GuestError` for none."""
    found = sorted(path for path in paths if path.endswith(_SUFFIX) and "/" not in path)
    if not found:
        raise GuestError("the model has no *.safetensors at its top, so there is nothing to shard")
    return found


def reshard(
    files: Sequence[RemoteFile], folder: Path, count: int, told: Callable[[int], None]
) -> list[RemoteFile]:
    """``files`` with ``count`` new shards and a new index in place of the old ones.

    ``told`` is given the size of each block that was copied.  Raises :class:`GuestError` for a
    model that cannot be cut so, before anything is changed, and :class:`OSError`.
    """
    model = read_model(folder, [file.path for file in files])
    groups = cut(model.tensors, count)
    names = [f"model-{number:05}-of-{count:05}{_SUFFIX}" for number in range(1, count + 1)]
    made = []
    for name, group in reversed(list(zip(names, groups, strict=True))):
        made.append(_write(model, name, aligned(group), told))
        _cut_off(model, group[0])
    for name in model.names:
        (folder / name).unlink(missing_ok=True)
    for name in names:
        (folder / (name + _DRAFT)).rename(folder / name)
    made.append(_write_index(model, names, groups))
    gone = {*model.names, INDEX}
    return [*(file for file in files if file.path not in gone), *made]


def read_model(folder: Path, paths: Sequence[str]) -> Model:
    """The shards that the index names, or all where there is no index."""
    index = _index(folder / INDEX) if INDEX in paths else {}
    named = index.get("weight_map", {})
    names = sorted(set(named.values())) or shards_of(paths)
    if strange := sorted(set(names) - set(paths)):
        raise GuestError(f"{INDEX} names {strange[0]}, which is no file of the model")
    headers = [read_header(folder / name) for name in names]
    tensors = [tensor for header in headers for tensor in header.tensors]
    _check_names(tensors, named)
    metadata = {key: text for header in headers for key, text in header.metadata.items()}
    return Model(folder, tuple(names), tuple(tensors), metadata, index.get("metadata", {}))


def _index(file: Path) -> dict[str, Any]:
    index: dict[str, Any] = json.loads(file.read_bytes())
    return index


def _check_names(tensors: Sequence[Tensor], named: dict[str, str]) -> None:
    seen: dict[str, Tensor] = {}
    for tensor in tensors:
        if tensor.name in seen:
            files = f"{seen[tensor.name].file.name} and {tensor.file.name}"
            raise GuestError(f"{files} both hold {tensor.name}, and no index says which counts")
        seen[tensor.name] = tensor
    for name, file in named.items():
        if name not in seen:
            raise GuestError(f"{INDEX} says that {file} holds {name}, which it does not")


def cut(tensors: Sequence[Tensor], count: int) -> list[Sequence[Tensor]]:
    """``count`` runs of ``tensors``, each cut where it comes next to its share of the bytes."""
    if count > len(tensors):
        raise GuestError(
            f"the model has {len(tensors)} tensors, which cannot be cut into {count} shards"
        )
    sums = [0, *accumulate(tensor.size for tensor in tensors)]
    edges = [0]
    for number in range(1, count):
        choice = range(edges[-1] + 1, len(tensors) - (count - number) + 1)
        edges.append(min(choice, key=lambda edge: abs(sums[edge] * count - sums[-1] * number)))
    edges.append(len(tensors))
    return [tensors[start:stop] for start, stop in pairwise(edges)]


def _write(
    model: Model, name: str, tensors: Sequence[Tensor], told: Callable[[int], None]
) -> RemoteFile:
    header = header_of(tensors, model.metadata)
    place = model.folder / (name + _DRAFT)
    size = len(header) + sum(tensor.size for tensor in tensors)
    sha256 = copy(header, [(it.file, it.start, it.stop) for it in tensors], place, size, told)
    return RemoteFile(name, size, f"sha256:{sha256}")


def _cut_off(model: Model, first: Tensor) -> None:
    """Give back what lies from ``first`` on: the files behind its own, and the end of that."""
    files = [model.folder / name for name in model.names]
    for file in files[files.index(first.file) + 1 :]:
        file.unlink(missing_ok=True)
    os.truncate(first.file, first.start)


def _write_index(
    model: Model, names: Sequence[str], groups: Sequence[Sequence[Tensor]]
) -> RemoteFile:
    total = sum(tensor.size for tensor in model.tensors)
    held = {
        "metadata": {**model.about, "total_size": total},
        "weight_map": {
            tensor.name: name for name, group in zip(names, groups, strict=True) for tensor in group
        },
    }
    content = (json.dumps(held, indent=2) + "\n").encode()
    (model.folder / INDEX).write_bytes(content)
    return RemoteFile(INDEX, len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")
