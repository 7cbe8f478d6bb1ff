"""A folder for what can be made again: schema bundles, versions of tools.

``VFS_CACHE_DIR`` wins, then ``$XDG_CACHE_HOME/vllm-fast-start``, then ``~/.cache/vllm-fast-start``.
Where none can be written, a temporary folder stands in and goes with the process; so too where the
path holds a character that kubeconform would read as part of a URL or of a template.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pylib.errors import ToolFailedError

_NAME = "vllm-fast-start"
_SPECIAL = frozenset("%#?{}")


def folder() -> Path:
    """The first candidate that can be written, made when it is not there yet."""
    for candidate in _candidates():
        if _usable(candidate):
            return candidate
    return Path(_temporary().name)


def write(path: Path, text: str) -> None:
    """``text`` into ``path`` below :func:`folder`, at once: no reader ever sees a part of it.

    Raises :class:`ToolFailedError` when the file system refuses, as when it is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        message = (
            f"{path}: cannot be written: {error.strerror}. "
            "Make room there, or set VFS_CACHE_DIR to another folder."
        )
        raise ToolFailedError(message) from None


def _usable(candidate: Path) -> bool:
    if _SPECIAL & set(str(candidate)):
        return False
    try:
        candidate.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(candidate, os.W_OK | os.X_OK)


def _candidates() -> Iterator[Path]:
    for variable, tail in (("VFS_CACHE_DIR", ""), ("XDG_CACHE_HOME", _NAME)):
        if value := os.environ.get(variable):
            yield Path(value).absolute() / tail
    try:
        yield Path.home() / ".cache" / _NAME
    except RuntimeError:  # no HOME, and the user is not in the password file
        return


@lru_cache(maxsize=1)
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix=f"{_NAME}-")
