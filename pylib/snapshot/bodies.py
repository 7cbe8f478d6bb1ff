"""Reading objects that a server, or a file, wrote: a field of a wrong shape is an absent one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Body = Mapping[str, Any]
"""One Kubernetes object, or a part of one."""


def dig(body: Any, *path: str) -> Any:
    """The value at a path of keys, ``None`` as soon as a step is missing."""
    for step in path:
        if not isinstance(body, Mapping):
            return None
        body = body.get(step)
    return body


def word(body: Any, *path: str) -> str:
    """The string at a path, else an empty one."""
    found = dig(body, *path)
    return found if isinstance(found, str) else ""


def number(body: Any, *path: str) -> int | None:
    """The whole number at a path, else ``None``."""
    found = dig(body, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def part(body: Any, *path: str) -> Body:
    """The mapping at a path, else an empty one."""
    found = dig(body, *path)
    return found if isinstance(found, Mapping) else {}


def words(body: Any, *path: str) -> dict[str, str]:
    """The strings of the mapping at a path, as labels and annotations are."""
    return {key: value for key, value in part(body, *path).items() if isinstance(value, str)}


def parts(body: Any, *path: str) -> list[Body]:
    """The mappings of the list at a path."""
    found = dig(body, *path)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def texts(body: Any, *path: str) -> list[str]:
    """The strings of the list at a path."""
    found = dig(body, *path)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def name_of(body: Any) -> str:
    """``metadata.name``."""
    return word(body, "metadata", "name")


def ref_of(body: Any) -> str:
    """``Kind/name``, as kubectl takes it."""
    return f"{word(body, 'kind')}/{name_of(body)}"


def named(items: list[Body], name: str, key: str = "name") -> Body:
    """The first of ``items`` that is called so, else an empty mapping."""
    return next((item for item in items if word(item, key) == name), {})


def condition(body: Any, kind: str) -> Body:
    """The condition of a type in ``status.conditions``, else an empty mapping."""
    return named(parts(body, "status", "conditions"), kind, "type")
