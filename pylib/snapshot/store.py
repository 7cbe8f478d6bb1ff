"""A snapshot as a file: JSON, the same for the same snapshot; read again from anybody's hands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from pylib.errors import ConfigError, Problem
from pylib.snapshot.bodies import number, part, parts, word, words
from pylib.snapshot.model import (
    FORMAT,
    Log,
    Revision,
    SecretKeys,
    Snapshot,
    Tenant,
    Unread,
)

T = TypeVar("T")


def to_json(snapshot: Snapshot) -> str:
    """The snapshot as indented JSON."""
    return json.dumps({"format": FORMAT, **asdict(snapshot)}, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str, file: str = "snapshot") -> Snapshot:
    """The snapshot in ``text``; fields of a wrong shape read as absent.

    Raises :class:`ConfigError` for what is no snapshot at all, or one of another format.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused(file, f"is not JSON: {error}") from None
    version = number(found, "format")
    if version is None:
        raise _refused(file, "is not a snapshot")
    if version != FORMAT:
        raise _refused(file, f"has format {version}; this version reads {FORMAT}")
    return Snapshot(
        taken=word(found, "taken"),
        context=word(found, "context"),
        release=word(found, "release"),
        namespace=word(found, "namespace"),
        kubernetes=word(found, "kubernetes"),
        objects=tuple(parts(found, "objects")),
        logs=_all(found, "logs", _log),
        secrets=_all(found, "secrets", _secret),
        revisions=_all(found, "revisions", _revision),
        tenants=_all(found, "tenants", _tenant),
        label_counts={
            key: count
            for key in part(found, "label_counts")
            if (count := number(found, "label_counts", key)) is not None
        },
        unread=_all(found, "unread", lambda item: Unread(word(item, "what"), word(item, "reason"))),
    )


def _all(found: Any, key: str, read: Callable[[Mapping[str, Any]], T]) -> tuple[T, ...]:
    return tuple(read(item) for item in parts(found, key))


def _log(item: Mapping[str, Any]) -> Log:
    return Log(
        word(item, "pod"),
        word(item, "container"),
        word(item, "text"),
        previous=item.get("previous") is True,
    )


def _secret(item: Mapping[str, Any]) -> SecretKeys:
    keys = words(item, "keys") if isinstance(item.get("keys"), Mapping) else None
    return SecretKeys(word(item, "name"), keys)


def _revision(item: Mapping[str, Any]) -> Revision:
    return Revision(number(item, "number") or 0, word(item, "status"), word(item, "modified"))


def _tenant(item: Mapping[str, Any]) -> Tenant:
    return Tenant(word(item, "node"), word(item, "pod"), number(item, "gpus") or 0)


def _refused(file: str, message: str) -> ConfigError:
    fix = "Name a file that `python -m pylib observe --save FILE` wrote."
    return ConfigError(file, [Problem("", message, fix)])
