"""The files on the disk: space, contents, hashes, and the manifest that is written last."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from download.common import STATE, DownloadError, RefusedError, RemoteFile

MANIFEST = "weights.manifest.json"
_BLOCK = 8 << 20
_GIB = 1 << 30
_MARGIN = 64 << 20


def check_listing(files: Sequence[RemoteFile], source: str) -> None:
    """Refuse a source that can hold no model: empty, or with an empty weights file."""
    if not files:
        message = f"{source} holds no file. Set download.source to the folder of a model."
        raise RefusedError(message)
    for file in files:
        if file.size == 0 and file.path.endswith((".safetensors", ".bin", ".pth", ".gguf")):
            message = f"{source}/{file.path} is empty: the upload failed. Upload it again."
            raise RefusedError(message)


def check_space(files: Sequence[RemoteFile], folder: Path, free: int) -> None:
    """Refuse a disk with less than the missing bytes, one per cent and 64 MiB free."""
    missing = sum(file.size for file in files) - sum(_present(files, folder))
    need = missing + missing // 100 + _MARGIN
    if free < need:
        message = (
            f"The disk has {free / _GIB:.1f} GiB free and the download needs {need / _GIB:.1f} "
            f"GiB. Set download.claim.sizeGiB to {-(-sum(f.size for f in files) // _GIB) + 2} "
            "or more, in a new release, since a claim cannot shrink or move."
        )
        raise RefusedError(message)


def _present(files: Iterable[RemoteFile], folder: Path) -> Iterator[int]:
    for file in files:
        path = folder / file.path
        if path.is_file():
            yield min(path.stat().st_size, file.size)


def settle(files: Sequence[RemoteFile], folder: Path) -> None:
    """Leave exactly ``files`` below ``folder``, plain files with their sizes; remove leftovers."""
    wanted = {file.path: file.size for file in files}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            message = f"{name} is a symbolic link, which may lead out of the disk: remove it."
            raise RefusedError(message)
        if not stat.S_ISDIR(mode) and name not in wanted:
            path.unlink()
    for name, size in wanted.items():
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            had = "is missing" if found is None else f"has {found} bytes instead of {size}"
            message = f"{name} {had} after the download."
            raise DownloadError(message)


def check_index(folder: Path) -> None:
    """Refuse a model whose ``*.safetensors.index.json`` names a shard that is not there."""
    for index in sorted(folder.rglob("*.index.json")):
        try:
            shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError):
            message = f"{index.name} is not an index of shards: it has no weight_map."
            raise RefusedError(message) from None
        absent = sorted(name for name in shards if not (index.parent / str(name)).is_file())
        if absent and index.name.endswith(".safetensors.index.json"):
            message = f"{index.name} names {absent[0]}, which the source lacks: upload it too."
            raise RefusedError(message)


def hashes(
    files: Sequence[RemoteFile], folder: Path, told: Callable[[int], None] = lambda _: None
) -> dict[str, str]:
    """sha256 of each file by path, on as many threads as there are cores; digests compared.

    ``told`` is given the size of each block.  A file that differs from its digest is removed, so
    that the next attempt brings it anew.
    """
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return dict(pool.map(lambda file: (file.path, _verified(file, folder, told)), files))


def _verified(file: RemoteFile, folder: Path, told: Callable[[int], None]) -> str:
    path = folder / file.path
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    wants_git = file.digest.startswith("git:")
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            told(len(block))
            sha256.update(block)
            if wants_git:
                git.update(block)
    found = f"git:{git.hexdigest()}" if wants_git else f"sha256:{sha256.hexdigest()}"
    if file.digest and found != file.digest:
        path.unlink()
        message = f"{file.path} is {found}, not {file.digest}: removed, to be downloaded again."
        raise DownloadError(message)
    return sha256.hexdigest()


def readable(root: Path, folder: Path) -> None:
    """Let everybody read ``folder`` and enter it from ``root``: the server has another user."""
    parents = [parent for parent in folder.parents if root in parent.parents]
    for path in [*parents, folder, *folder.rglob("*")]:
        extra = 0o555 if path.is_dir() else 0o444
        path.chmod(path.stat().st_mode | extra)


def write_manifest(
    root: Path, folder: Path, files: Sequence[RemoteFile], sha256: dict[str, str]
) -> str:
    """Write the manifest atomically after all data is on the disk; gives its own sha256.

    It is a JSON list of ``{path, size, sha256}``, paths from the disk's root, sorted by path.
    """
    prefix = folder.relative_to(root).as_posix()
    entries = [
        {"path": f"{prefix}/{file.path}", "size": file.size, "sha256": sha256[file.path]}
        for file in sorted(files, key=lambda file: file.path)
    ]
    text = (json.dumps(entries, indent=1) + "\n").encode()
    shutil.rmtree(root / STATE, ignore_errors=True)
    _sync(root)
    draft = root / f".{MANIFEST}.tmp"
    with draft.open("wb") as target:
        target.write(text)
        target.flush()
        os.fsync(target.fileno())
    draft.chmod(0o644)
    draft.replace(root / MANIFEST)
    _sync(root)
    return hashlib.sha256(text).hexdigest()


def _sync(root: Path) -> None:
    """syncfs(2) on the disk: unlike sync(2) it reports an error, such as a device that is full."""
    handle = os.open(root, os.O_RDONLY)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(handle):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(root))
    finally:
        os.close(handle)
