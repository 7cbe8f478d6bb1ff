"""Writing the lock file: whole, at once, and only the part that a bake knows about."""

from __future__ import annotations

from pathlib import Path

from pylib.files import write_whole
from pylib.lock import LockedCache, load_lock
from pylib.yamlio import dump

_HEADER = "# What was baked and made for {config}, by id and digest; written by bake, committed.\n"


def keep_cache(path: Path, config: str, cache: LockedCache) -> None:
    """Put ``cache`` into the lock file at ``path``, and leave the rest of it as it is.

    Raises ConfigError when the file cannot be read or written.
    """
    lock = load_lock(path).model_copy(update={"imageCache": cache})
    found = lock.model_dump(mode="json", exclude_none=True)
    write_whole(path, _HEADER.format(config=config) + dump(found))
