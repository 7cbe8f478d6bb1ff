"""Journals on this machine: which runs a process works on now, and which none may go on with."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Journals:
    """Runs by their journal: ``live`` ones another process holds; ``free`` ones are held here, so
    that no bake goes on with one meanwhile."""

    live: dict[str, Path] = field(default_factory=dict)
    free: dict[str, Path] = field(default_factory=dict)


@contextmanager
def journals(paths: Iterable[Path]) -> Iterator[Journals]:
    """Look into the journals; what is no journal, or not there, names no run."""
    found = Journals()
    with contextlib.ExitStack() as stack:
        for path in (path for path in paths if path.is_file()):
            file = stack.enter_context(path.open("rb"))
            kind = found.free if _shared(file.fileno()) else found.live
            kind.update(dict.fromkeys(_runs(file.read()), path))
        yield found


def _shared(handle: int) -> bool:
    """A bake locks its journal for itself alone; two that tidy up may share it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _runs(text: bytes) -> set[str]:
    found = set()
    for line in text.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found.add(str(json.loads(line)["data"]["run"]))
    return found
