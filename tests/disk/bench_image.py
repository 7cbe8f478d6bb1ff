"""Images for the bench, made once of this machine's own files and kept in a folder.

``whole`` has seven layers, of which one is dominant, as in vLLM's images: 90,000 files from /usr
and from Python's folders, the folders whole and in a seeded order, then files of 256 KiB and more
until the size is reached.  Once all are used they come again below another folder, with 16 seeded
bytes changed in each 64 KiB, so that no content comes twice.  ``one`` is the dominant layer alone,
``four`` the same tree cut into four layers, ``quarter`` the first of those.  Layers are gzip of
level 6, as docker pushes them.  The same machine with the same seed gives the same digests.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import stat
import sys
import sysconfig
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEED = 20261124
BIG = 256 << 10
LAYERS = {
    "base": (6_000, 0.02),
    "packages": (16_000, 0.10),
    "toolkit": (4_000, 0.13),
    "python": (48_000, 0.60),
    "kernels": (6_000, 0.12),
    "examples": (9_900, 0.03),
    "entrypoint": (100, 0.0),
}
"""Small files, and share of all bytes; in the order of the image."""
DOMINANT = "python"
_STAMP_EVERY, _STAMP = 64 << 10, 16
_LINK_EVERY = 500
"""One file in so many gets a second name."""
_LARGEST = 512 << 20
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Source:
    """A file or link of this machine, as its ``copy``-th appearance in the image."""

    path: str
    size: int
    copy: int = 0

    @property
    def name(self) -> str:
        """What it is called in the layer."""
        return f"opt/copy{self.copy}{self.path}" if self.copy else self.path.lstrip("/")


@dataclass(frozen=True)
class Built:
    """One layer: names and sizes of what was pushed and of what it unpacks to."""

    digest: str
    size: int
    diff_id: str
    tree_bytes: int
    files: int


@dataclass(frozen=True)
class Made:
    """One image: ``compressed`` and ``tree_bytes`` add up its layers."""

    name: str
    digest: str
    layers: int
    files: int
    compressed: int
    tree_bytes: int


def images(folder: Path, gib: float) -> dict[str, Made]:
    """The images by name, made in ``folder`` when they are not there."""
    listing = folder / "images.json"
    wanted = {
        "gib": gib,
        "seed": SEED,
        "order": "folders",
        "layers": json.loads(json.dumps(LAYERS)),
    }
    if listing.exists():
        found = json.loads(listing.read_text(encoding="utf-8"))
        if found["spec"] == wanted:
            return {name: Made(**image) for name, image in found["images"].items()}
    (folder / "blobs").mkdir(parents=True, exist_ok=True)
    for stale in (folder / "blobs").iterdir():
        stale.unlink()
    made = _make(folder / "blobs", int(gib * (1 << 30)))
    content = {"spec": wanted, "images": {name: vars(image) for name, image in made.items()}}
    listing.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return made


def _make(blobs: Path, size: int) -> dict[str, Made]:
    chosen = _choose(size)
    parts = _cut(chosen[DOMINANT], 4)
    members = chosen | {f"{DOMINANT}{number}": part for number, part in enumerate(parts)}
    order = sorted(members, key=lambda name: -sum(it.size for it in members[name]))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(_layer, [blobs] * len(order), [members[name] for name in order])
        built = dict(zip(order, done, strict=True))
    quarters = [f"{DOMINANT}{number}" for number in range(len(parts))]
    made = {"whole": list(LAYERS), "one": [DOMINANT], "four": quarters, "quarter": quarters[:1]}
    return {
        name: _image(blobs, name, [built[layer] for layer in layers])
        for name, layers in made.items()
    }


def _choose(size: int) -> dict[str, list[Source]]:
    """What each layer holds, sorted by name."""
    small, large = _sources()
    small.sort(key=lambda it: (_shuffled(str(Path(it.path).parent)), it.path))
    large.sort(key=lambda it: _shuffled(it.path))
    smalls, larges = _endless(small), _endless(large)
    chosen = {}
    for name, (count, share) in LAYERS.items():
        found = list(itertools.islice(smalls, count))
        left = int(size * share) - sum(it.size for it in found)
        for source in larges if left > BIG else ():
            if source.size <= max(left, BIG):
                found.append(source)
                left -= source.size
            if left < BIG:
                break
        chosen[name] = sorted(found, key=lambda it: it.name)
    return chosen


def _shuffled(path: str) -> bytes:
    """A place in a seeded order."""
    return hashlib.sha256(f"{SEED} {path}".encode()).digest()


def _endless(sources: Sequence[Source]) -> Iterator[Source]:
    for copy in itertools.count():
        yield from (Source(it.path, it.size, copy) for it in sources)


def _sources() -> tuple[list[Source], list[Source]]:
    """Small and large files of this machine, and links among the small."""
    places = sysconfig.get_paths()
    roots = sorted({"/usr", places["stdlib"], places["purelib"]})
    found = {}
    for root in roots:
        for path in _files(root):
            status = path.lstat()
            if status.st_size <= _LARGEST and os.access(path, os.R_OK, follow_symlinks=False):
                size = status.st_size if stat.S_ISREG(status.st_mode) else 0
                found[str(path)] = Source(str(path), size)
    ordered = [found[path] for path in sorted(found)]
    return [it for it in ordered if it.size < BIG], [it for it in ordered if it.size >= BIG]


def _files(root: str) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_symlink() or path.is_file():
                yield path


def _cut(members: Sequence[Source], count: int) -> list[list[Source]]:
    """Parts of about the same number of bytes, in order."""
    parts: list[list[Source]] = [[] for _ in range(count)]
    total, before = sum(it.size for it in members) + 1, 0
    for member in members:
        parts[before * count // total].append(member)
        before += member.size
    return parts


class _Sink(io.RawIOBase):
    """Where a tar goes: hashed, compressed, hashed, written."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self.tar_digest, self.blob_digest = hashlib.sha256(), hashlib.sha256()
        self.size = 0
        self._file = file
        self._zip = zlib.compressobj(6, wbits=31)

    def write(self, data: Any) -> int:
        self.tar_digest.update(data)
        self._put(self._zip.compress(data))
        return len(data)

    def finish(self) -> None:
        self._put(self._zip.flush())

    def _put(self, data: bytes) -> None:
        self.blob_digest.update(data)
        self.size += self._file.write(data)


def _layer(blobs: Path, members: Iterable[Source]) -> Built:
    scratch = blobs / f"{os.getpid()}.part"
    size = files = 0
    with scratch.open("wb") as file:
        sink = _Sink(file)
        with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for header, content in _members(members):
                tar.addfile(header, io.BytesIO(content))
                size += len(content)
                files += not header.isdir()
        sink.finish()
    digest = f"sha256:{sink.blob_digest.hexdigest()}"
    scratch.rename(blobs / digest)
    return Built(digest, sink.size, f"sha256:{sink.tar_digest.hexdigest()}", size, files)


def _members(members: Iterable[Source]) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    folders: set[str] = set()
    for number, source in enumerate(members):
        yield from _folders(source.name, folders)
        header, content = _member(source)
        yield header, content
        if number % _LINK_EVERY == 0 and header.isreg():
            link = tarfile.TarInfo(f"{header.name}.linked")
            link.type, link.linkname, link.mtime = tarfile.LNKTYPE, header.name, header.mtime
            link.mode, link.uid, link.gid = header.mode, header.uid, header.gid
            yield link, b""


def _folders(name: str, known: set[str]) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for parent in reversed(Path(name).parents):
        if str(parent) not in known and str(parent) != ".":
            known.add(str(parent))
            header = tarfile.TarInfo(f"{parent}/")
            header.type, header.mode, header.mtime = tarfile.DIRTYPE, 0o755, SEED
            yield header, b""


def _member(source: Source) -> tuple[tarfile.TarInfo, bytes]:
    path = Path(source.path)
    status = path.lstat()
    header = tarfile.TarInfo(source.name)
    header.mode, header.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
    header.uid, header.gid = status.st_uid, status.st_gid
    if stat.S_ISLNK(status.st_mode):
        header.type, header.linkname = tarfile.SYMTYPE, str(path.readlink())
        return header, b""
    content = path.read_bytes()
    if source.copy:
        content = _stamped(content, source)
    header.size = len(content)
    return header, content


def _stamped(content: bytes, source: Source) -> bytes:
    changed = bytearray(content)
    for start in range(0, len(content), _STAMP_EVERY):
        end = min(start + _STAMP, len(content))
        stamp = hashlib.sha256(f"{SEED} {source.name} {start}".encode()).digest()
        changed[start:end] = stamp[: end - start]
    return bytes(changed)


def _image(blobs: Path, name: str, layers: Sequence[Built]) -> Made:
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    kept = _document(blobs, _CONFIG, config)
    entries = [
        {"mediaType": _LAYER, "digest": layer.digest, "size": layer.size} for layer in layers
    ]
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": kept, "layers": entries}
    digest = _document(blobs, _MANIFEST, manifest)["digest"]
    return Made(
        name=name,
        digest=digest,
        layers=len(layers),
        files=sum(layer.files for layer in layers),
        compressed=sum(layer.size for layer in layers),
        tree_bytes=sum(layer.tree_bytes for layer in layers),
    )


def _document(blobs: Path, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(content).encode()
    digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
    (blobs / digest).write_bytes(text)
    return {"mediaType": kind, "digest": digest, "size": len(text)}


if __name__ == "__main__":
    images(Path(sys.argv[1]), float(sys.argv[2]))
