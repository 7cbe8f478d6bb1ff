"""Writing the lock file: whole, at once, and only the part that a bake knows about."""

from __future__ import annotations

from pathlib import Path

from pylib.files import write_whole
from pylib.lock import (
    Lock,
    LockedCache,
    LockedDisk,
    LockedPool,
    LockedRevision,
    LockedWeights,
    load_lock,
)
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


def keep_spare(path: Path, config: str, revision: LockedRevision) -> None:
    """Put ``revision`` beside the others, unless one of its name is there."""
    lock = load_lock(path)
    kept = lock.weights.revisions if lock.weights else ()
    if all(it.name != revision.name for it in kept):
        _with_revisions(path, config, lock, (*kept, revision))


def keep_disk(path: Path, config: str, revision: str, cell: str, disk: LockedDisk) -> None:
    """Note the disk of a cell and revision."""
    lock = load_lock(path)
    kept = lock.weights.revisions if lock.weights else ()
    changed = tuple(
        it.model_copy(update={"disks": {**it.disks, cell: disk}}) if it.name == revision else it
        for it in kept
    )
    _with_revisions(path, config, lock, changed)


def make_current(path: Path, config: str, revision: str) -> None:
    """Let pods mount ``revision`` from the next release on."""
    lock = load_lock(path)
    if lock.weights is not None and lock.weights.current != revision:
        weights = lock.weights.model_copy(update={"current": revision})
        _write(path, config, lock.model_copy(update={"weights": weights}))


def drop_revision(path: Path, config: str, revision: str) -> None:
    """Forget a revision that is not the current one."""
    lock = load_lock(path)
    kept = lock.weights.revisions if lock.weights else ()
    _with_revisions(path, config, lock, tuple(it for it in kept if it.name != revision))


def replace_lock(path: Path, config: str, lock: Lock) -> None:
    """Write ``lock`` in place of what is there, where that differs."""
    if path.exists() and lock != load_lock(path):
        _write(path, config, lock)


def keep_pool(path: Path, config: str, cell: str, name: str, plain: str) -> None:
    """Note the node pool of a cell, where it has another name than the ``plain`` one."""
    lock = load_lock(path)
    pools = dict(lock.pools or {})
    pools.pop(cell, None)
    if name != plain:
        pools[cell] = LockedPool(name=name)
    if pools != (lock.pools or {}):
        _write(path, config, lock.model_copy(update={"pools": pools or None}))


def _with_revisions(
    path: Path, config: str, lock: Lock, revisions: tuple[LockedRevision, ...]
) -> None:
    if lock.weights is None:
        weights = LockedWeights(current=revisions[0].name, revisions=revisions)
    else:
        weights = lock.weights.model_copy(update={"revisions": revisions})
    if weights != lock.weights:
        _write(path, config, lock.model_copy(update={"weights": weights}))


def _write(path: Path, config: str, lock: Lock) -> None:
    found = lock.model_dump(mode="json", exclude_none=True)
    write_whole(path, _HEADER.format(config=config) + dump(found))
