"""Writing the lock file: whole, at once, and only the part that a bake knows about."""

from __future__ import annotations

from pathlib import Path

from pylib.files import write_whole
from pylib.lock import Lock, LockedCache, LockedRevision, LockedWeights, load_lock
from pylib.yamlio import dump

_HEADER = "# What was baked and made for {config}, by id and digest; written by bake, committed.\n"


def keep_cache(path: Path, config: str, cache: LockedCache) -> None:
    """Put ``cache`` into the lock file at ``path``, and leave the rest of it as it is.

    Raises ConfigError when the file cannot be read or written.
    """
    _write(path, config, load_lock(path).model_copy(update={"imageCache": cache}))


def keep_revision(path: Path, config: str, revision: LockedRevision) -> bool:
    """Put ``revision`` into the lock file at ``path``, beside the ones that are there; one of the
    same name keeps its disks.  Returns whether it is the current one: the first is, and a later
    one once disks are made of it.

    Raises ConfigError when the file cannot be read or written.
    """
    lock = load_lock(path)
    kept = lock.weights.revisions if lock.weights else ()
    current = lock.weights.current if lock.weights else revision.name
    known = {it.name: it for it in kept}
    if revision.name in known:
        revision = revision.model_copy(update={"disks": known[revision.name].disks})
    known[revision.name] = revision
    weights = LockedWeights(current=current, revisions=tuple(known.values()))
    _write(path, config, lock.model_copy(update={"weights": weights}))
    return current == revision.name


def _write(path: Path, config: str, lock: Lock) -> None:
    found = lock.model_dump(mode="json", exclude_none=True)
    write_whole(path, _HEADER.format(config=config) + dump(found))
