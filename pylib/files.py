"""Reading a user's file whole, or saying why not; writing one whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from pylib.errors import ConfigError, Problem

MAX_BYTES = 1_000_000
"""Most that a config, lock or values file may have: a release needs some tens of kilobytes."""


def read_text(path: Path) -> str:
    """The file as UTF-8 text.  Raises :class:`ConfigError` saying why it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        fix = "Name an existing file; python -m pylib init writes a config to start from."
        raise _refused(path, f"cannot be read: {error.strerror}", fix) from None
    if len(data) > MAX_BYTES:
        message = f"is {len(data)} bytes long; more than {MAX_BYTES} are not read"
        raise _refused(path, message, "Name a config, lock or values file.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start})"
        raise _refused(path, message, "Save the file as UTF-8.") from None


def write_whole(path: Path, text: str) -> None:
    """Put ``text`` where ``path`` is, at once: a reader sees the old file or the new one.

    Raises :class:`ConfigError` when the place cannot be written.
    """
    import tempfile  # takes 5 ms to load, which reading need not

    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise _refused(path, message, "Name a writable place.") from None


def _refused(path: Path, message: str, fix: str) -> ConfigError:
    return ConfigError(str(path), [Problem("", message, fix)])
