"""Names inside one layer's tree: cleaned, and with the layer's own symbolic links followed.

Paths are relative to the tree, without a slash at either end; the tree itself is ``b""``.
"""

from __future__ import annotations

from collections.abc import Callable

from pylib.guest.payload.tarhead import BadTarError

_MOST_LINKS = 255
"""As many as containerd follows before it calls them a circle."""


def clean(name: bytes) -> bytes:
    """``name`` without empty parts, ``.`` and ``..``; nothing is above the tree."""
    if b"." not in name and b"//" not in name:
        return name.strip(b"/")
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in {b"", b"."}:
            parts.append(part)
    return b"/".join(parts)


def split(path: bytes) -> tuple[bytes, bytes]:
    """Folder and last part."""
    folder, _, base = path.rpartition(b"/")
    return folder, base


def join(folder: bytes, base: bytes) -> bytes:
    """The path of ``base`` in ``folder``."""
    return folder + b"/" + base if folder else base


def resolve(path: bytes, link_at: Callable[[bytes], bytes | None]) -> bytes:
    """``path`` with all links followed, the last part's too; what does not exist stays as it is.

    ``link_at`` gives the target of the symbolic link at a path, ``None`` when there is none.
    Raises :class:`BadTarError` for links in a circle.
    """
    done: bytes = b""
    rest = path.split(b"/") if path else []
    followed = 0
    while rest:
        here = join(done, rest.pop(0))
        target = link_at(here)
        if target is None:
            done = here
            continue
        followed += 1
        if followed > _MOST_LINKS:
            raise BadTarError(f"symbolic links lead in a circle at {path!r}")
        whole = target if target.startswith(b"/") else join(done, target)
        cleaned = clean(b"/".join([whole, *rest]))
        rest = cleaned.split(b"/") if cleaned else []
        done = b""
    return done
