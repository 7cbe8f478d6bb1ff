"""All snapshots of a disk: which there are, their unpacking side by side, and their sums."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pylib.guest.payload import parents
from pylib.guest.payload.compare import Md5s
from pylib.guest.payload.image import Image, Layer
from pylib.guest.payload.layer import Unpacked, load_records, unpack_layer
from pylib.guest.payload.pool import Counters, run_all
from pylib.guest.payload.report import Report
from pylib.guest.payload.tree import Node, Record, about, snapshot_checksum, tree_digest

_NICE, _NICEST = 7, 19
"""Steps from one layer to the next smaller one, and the last that the kernel has."""


@dataclass(frozen=True)
class Place:
    """One snapshot: its layer, where it lies on the disk, and where its records are kept."""

    layer: Layer
    path: str
    records: Path


@dataclass(frozen=True)
class Summary:
    """``digest`` over all of a tree, ``checksum`` as in ``snapshots.metadata``."""

    digest: str
    checksum: str


def plan(images: Sequence[Image], work: Path) -> list[Place]:
    """Each chain ID once, in the order in which the images name them: lower layers first."""
    layers = {layer.chain_id: layer for image in images for layer in image.layers}
    return [
        Place(layer, f"snapshots/{number}/fs", work / f"{number}.records")
        for number, layer in enumerate(layers.values(), 1)
    ]


def write(places: Sequence[Place], folder: Path, report: Report) -> dict[str, Unpacked]:
    """Unpack all, by chain ID; the largest begin, so that none is left to run alone."""
    order = sorted(places, key=lambda place: -place.layer.size)
    counters = Counters(len(order))
    report.phase("write", sum(place.layer.size for place in order), counters.total)
    tasks = []
    for slot, place in enumerate(order):
        root = folder / place.path
        root.mkdir(mode=0o755, parents=True)
        progress = partial(counters.set, slot)
        work = partial(unpack_layer, place.layer, os.fsencode(root), place.records, progress)
        tasks.append(partial(_after, slot, work))
    done = run_all(tasks, layers_at_once())
    return {place.layer.chain_id: result for place, result in zip(order, done, strict=True)}


def _after(rank: int, work: Callable[[], Unpacked]) -> Unpacked:
    """Let larger layers have the cores when they want them: the largest takes longest, and what it
    loses to others while they run, it would work off alone in the end."""
    os.nice(min(rank * _NICE, _NICEST))
    return work()


def layers_at_once() -> int:
    """One for each core: a layer has threads enough to keep one busy, and more of them would only
    push each other's data out of the caches."""
    return max(2, os.cpu_count() or 1)


def settle(places: Sequence[Place], unpacked: Mapping[str, Unpacked], folder: Path) -> None:
    """Give implied folders their attributes, on the disk and in the records."""
    by_chain = {place.layer.chain_id: place for place in places}
    for place in places:
        lowers = []
        parent = place.layer.parent
        while parent:
            lowers.append(os.fsencode(folder / by_chain[parent].path))
            parent = by_chain[parent].layer.parent
        root = os.fsencode(folder / place.path)
        implied = parents.settle(root, unpacked[place.layer.chain_id].implied, lowers)
        if implied:
            records = [
                _settled(record, implied.get(record.path)) for record in load_records(place.records)
            ]
            place.records.write_bytes(pickle.dumps(records))


def _settled(record: Record, node: Node | None) -> Record:
    return record if node is None else record._replace(about=about(node, 1, record.path))


def summarize(places: Sequence[Place], md5s: Md5s) -> list[Summary]:
    """Sum up each snapshot, by what was read back of its files, in the order of places."""
    tasks = [partial(_summarize, place, md5s[place.path]) for place in places]
    return run_all(tasks, os.cpu_count() or 1)


def _summarize(place: Place, md5s: Mapping[bytes, str]) -> Summary:
    return summary_of(with_md5s(load_records(place.records), md5s))


def with_md5s(records: Sequence[Record], md5s: Mapping[bytes, str]) -> list[Record]:
    """Records of a tree, those of regular files with their sums."""
    return [it._replace(md5=md5s[it.group]) if it.group in md5s else it for it in records]


def summary_of(records: Sequence[Record]) -> Summary:
    """Sums of one tree."""
    return Summary(tree_digest(records), snapshot_checksum(records))


def disk_digest(summaries: Mapping[str, Summary]) -> str:
    """SHA-256 over all trees by chain ID: the same images give the same, whatever the disk."""
    digest = hashlib.sha256()
    for chain in sorted(summaries):
        digest.update(f"{chain} {summaries[chain].digest}\n".encode())
    return f"sha256:{digest.hexdigest()}"
