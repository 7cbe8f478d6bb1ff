"""Write-ahead journal: what a run is about to do, on disk before it does it.

One JSON object a line.  The first line names the format; each later one is an :class:`Entry`.  A
line counts once it is whole, so that a machine which dies while writing loses only what had not
happened yet.  The file is locked while a run has it; the run that ends well removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pylib.errors import BakeError

VERSION = 1


class JournalError(BakeError):
    """The journal cannot be used: held by another run, broken, of another version, or not
    writable; nothing was changed."""


@dataclass(frozen=True)
class Entry:
    """One event of one step; ``at`` is in seconds since 1970.

    ``begin`` stands before a change and holds its ``request_id`` and the resource; ``done`` after.
    """

    step: str
    event: str
    at: float
    request_id: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


class Journal:
    """An open journal; use as a context manager, which gives the lock back."""

    def __init__(self, path: Path, kind: str) -> None:
        """Open or start the journal at ``path`` for runs of ``kind``.

        Raises :class:`JournalError`.
        """
        self.path = path
        self._handle = _locked(path)
        try:
            self.entries = self._read(kind)
        except BaseException:
            os.close(self._handle)
            raise

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lock back; the file stays unless :meth:`remove` was called."""
        os.close(self._handle)

    def append(self, entry: Entry) -> None:
        """Put ``entry`` on disk, and return only when it is there.

        Raises :class:`JournalError` when it is not, and leaves the file as it was.
        """
        record = {
            "step": entry.step,
            "event": entry.event,
            "at": round(entry.at, 3),
            "request_id": entry.request_id,
            "data": dict(entry.data),
        }
        self._write(record)
        self.entries.append(entry)

    def of(self, step: str) -> Iterator[Entry]:
        """Entries of one step, oldest first."""
        return (entry for entry in self.entries if entry.step == step)

    def last(self, step: str, event: str) -> Entry | None:
        """The newest entry of a step and event."""
        found = [entry for entry in self.of(step) if entry.event == event]
        return found[-1] if found else None

    def clear(self) -> None:
        """Forget all entries, on disk too: the run is over and left nothing."""
        os.ftruncate(self._handle, self._header_end)
        os.fsync(self._handle)
        self.entries.clear()

    def remove(self) -> None:
        """Take the file away: the run is over, and nothing needs it."""
        self.path.unlink(missing_ok=True)

    def _write(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        end = os.lseek(self._handle, 0, os.SEEK_END)
        try:
            written = 0
            while written < len(line):
                written += os.write(self._handle, line[written:])
            os.fsync(self._handle)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, end)
            message = (
                f"{self.path}: the journal cannot be written: {error.strerror}. Nothing was "
                "changed since; make room on that disk and run the same command again."
            )
            raise JournalError(message) from None

    def _read(self, kind: str) -> list[Entry]:
        lines = self._whole_lines()
        if not lines:
            self._write({"journal": VERSION, "kind": kind})
            _sync_folder(self.path.parent)
            self._header_end = os.lseek(self._handle, 0, os.SEEK_END)
            return []
        self._check_header(_parsed(lines[0]), kind)
        self._header_end = len(lines[0]) + 1
        entries = []
        for number, line in enumerate(lines[1:], start=2):
            entry = _entry(_parsed(line))
            if entry is None:
                message = (
                    f"{self.path}:{number}: is no journal entry, though lines follow it. Restore "
                    "the file, or delete it after you deleted what carries the label bake-run."
                )
                raise JournalError(message)
            entries.append(entry)
        return entries

    def _whole_lines(self) -> list[bytes]:
        """All lines that were written to their end; a last one that was not is cut off."""
        text = self.path.read_bytes()
        whole, newline, rest = text.rpartition(b"\n")
        if rest:
            os.ftruncate(self._handle, len(text) - len(rest))
        lines = whole.split(b"\n") if newline else []
        if lines and _parsed(lines[-1]) is None:
            # Blocks of a file may reach the disk in any order: its end may be zeros.
            lines.pop()
            os.ftruncate(self._handle, sum(len(line) + 1 for line in lines))
        return lines

    def _check_header(self, header: dict[str, Any] | None, kind: str) -> None:
        version = (header or {}).get("journal")
        if version != VERSION:
            said = f"of version {version}" if version is not None else "no journal"
            message = (
                f"{self.path}: is {said}; this program reads version {VERSION}. End the run with "
                "the program that began it, or delete the file after you deleted what carries "
                "the label bake-run."
            )
            raise JournalError(message)
        found = (header or {}).get("kind")
        if found != kind:
            raise JournalError(f"{self.path}: is the journal of a bake of {found!r}, not {kind!r}.")


def _locked(path: Path) -> int:
    """An open, locked file; of two runs that start together one gets it."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"{path}: the journal cannot be opened: {error.strerror}."
            raise JournalError(f"{message} Name a writable place with --journal.") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            message = (
                f"{path}: another run holds this journal. Wait for it, or name another with "
                "--journal."
            )
            raise JournalError(message) from None
        if _same(handle, path):
            return handle
        # The run before removed the file between our opening and our locking it.
        os.close(handle)


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _entry(record: dict[str, Any] | None) -> Entry | None:
    try:
        return (
            Entry(
                step=str(record["step"]),
                event=str(record["event"]),
                at=float(record["at"]),
                request_id=str(record["request_id"]),
                data=dict(record["data"]),
            )
            if record
            else None
        )
    except (KeyError, TypeError, ValueError):
        return None
