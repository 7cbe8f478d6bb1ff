"""What the modules of the download share: the record of a file, errors, and safe paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

STATE = ".download"
"""Folder at the disk's root for what a resumed download needs; the manifest is written after it."""


class DownloadError(Exception):
    """The download failed; another attempt may succeed.  Exit code 1."""

    exit_code = 1


class RefusedError(DownloadError):
    """The input is wrong, so that no further attempt can succeed.  Exit code 2."""

    exit_code = 2


@dataclass(frozen=True)
class RemoteFile:
    """A file of the source: path below the model's folder, size in bytes, and how to verify it.

    ``digest`` is ``sha256:<hex>``, ``git:<hex>`` (a blob's SHA-1) or empty when the transfer
    itself verifies.
    """

    path: str
    size: int
    digest: str = ""


class Source(Protocol):
    """Where a model comes from."""

    def files(self) -> Sequence[RemoteFile]:
        """Every file of the model, in any order."""

    def fetch(self, files: Sequence[RemoteFile], folder: Path, state: Path) -> None:
        """Bring ``files`` below ``folder``; keep what a second attempt can use in ``state``."""


def safe_path(path: str) -> str:
    """``path`` when it is plain and stays below its folder; raises :class:`RefusedError` if not."""
    parts = PurePosixPath(path).parts
    plain = path and path.isprintable() and "\\" not in path
    if not plain or path.startswith("/") or ".." in parts or path != "/".join(parts):
        message = (
            f"The path {path!r} is refused: a path is relative, without '.', '..', '//', "
            "backslashes or control characters."
        )
        raise RefusedError(message)
    return path
