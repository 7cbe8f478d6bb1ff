"""A tree as a list of everything that another one could differ in."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

RUN_TIME = 1_750_000_000
"""Later times than this are of the unpacking itself, and differ from one to the next."""
_BLOCK = 1 << 20


def tree(root: Path) -> dict[bytes, tuple[object, ...]]:
    """Each path below ``root``, and it: type and mode, owner, device, time, xattrs, content, and
    the first path of its hard links."""
    top = os.fsencode(root)
    first: dict[int, bytes] = {}
    found = {b".": _about(top, b".", first)}
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = folder + b"/" + name
            short = os.path.relpath(path, top)
            found[short] = _about(path, short, first)
    return found


def differences(ours: Path, theirs: Path) -> list[str]:
    """What two trees differ in, but for times that the second got while it was unpacked."""
    left, right = tree(ours), tree(theirs)
    found = [f"only ours: {path!r}" for path in left.keys() - right.keys()]
    found += [f"only theirs: {path!r}" for path in right.keys() - left.keys()]
    for path in sorted(left.keys() & right.keys()):
        if "run time" in right[path]:
            left[path] = (*left[path][:3], "run time", *left[path][4:])
        if left[path] != right[path]:
            found.append(f"{path!r}: {left[path]}, not {right[path]}")
    return found


def _about(path: bytes, short: bytes, first: dict[int, bytes]) -> tuple[object, ...]:
    status = os.lstat(path)
    mode, linked = status.st_mode, status.st_nlink > 1
    content = ""
    if stat.S_ISREG(mode):
        content = _digest(path, status)
    elif stat.S_ISLNK(mode):
        content = repr(Path(os.fsdecode(path)).readlink())
    names = sorted(os.listxattr(path, follow_symlinks=False))
    return (
        oct(mode),
        (status.st_uid, status.st_gid),
        status.st_rdev if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else 0,
        status.st_mtime_ns if status.st_mtime < RUN_TIME else "run time",
        tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names),
        content,
        first.setdefault(status.st_ino, short) if linked and not stat.S_ISDIR(mode) else b"",
    )


def _digest(path: bytes, status: os.stat_result) -> str:
    """Of every aligned block that is not all zeros: those are skipped, whether an unpacker made
    holes of them or not, since four GiB of them take seconds."""
    found = hashlib.sha256(str(status.st_size).encode())
    with Path(os.fsdecode(path)).open("rb", buffering=0) as file:
        at = 0
        while (start := _data(file.fileno(), at, status.st_size)) < status.st_size:
            at = start - start % _BLOCK
            block = os.pread(file.fileno(), _BLOCK, at)
            if block.count(0) != len(block):
                found.update(b"%d:" % at + block)
            at += _BLOCK
    return found.hexdigest()


def _data(descriptor: int, at: int, size: int) -> int:
    """Where the next bytes are that are written; ``size`` when there are none."""
    try:
        return os.lseek(descriptor, at, os.SEEK_DATA)
    except OSError:
        return size
