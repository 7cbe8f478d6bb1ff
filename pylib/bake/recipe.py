"""What a bake puts on a disk: the part in which the kinds of bake differ.

A recipe says what the guest is to do, and reads what the guest found; disks, VMs, images and their
order are the same for all (:mod:`pylib.bake.make`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pylib import __version__
from pylib.bake.watch import Report

DESCRIPTION_LIMIT = 2048
"""Longest description that is written; longer lists stand in the lock file alone."""


@dataclass(frozen=True)
class Content:
    """What a disk holds, as a guest found it: digest of all of it, bytes of its files, and what
    the kind adds, as JSON (images by reference and digest; files and shards)."""

    digest: str
    bytes: int
    parts: Mapping[str, Any]

    def data(self) -> dict[str, Any]:
        """As a journal keeps it."""
        return {"digest": self.digest, "bytes": self.bytes, "parts": dict(self.parts)}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Content:
        """What :meth:`data` wrote."""
        return cls(str(data["digest"]), int(data["bytes"]), dict(data["parts"]))


class Recipe(Protocol):
    """One kind's half of a bake; frozen data, so that a journal can tell whether it changed."""

    @property
    def kind(self) -> str:
        """``image`` or ``weights``: of the guest's job and of the journal."""

    @property
    def outside(self) -> tuple[str, ...]:
        """What the VM reads from hosts that Private Google Access does not reach."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """OAuth scopes of the VM's service account, where it has one."""

    def summary(self) -> tuple[str, ...]:
        """What goes onto the disk, for people, a line each."""

    def inputs(self) -> Mapping[str, Any]:
        """What the content depends on, as JSON: two that are alike make the same disk."""

    def job(self) -> Mapping[str, Any]:
        """The guest's job, less what every job has."""

    def content(self, report: Report) -> Content:
        """What the guest says is on the disk.

        Raises BakeError when that is not what was asked for: such a report is no success.
        """

    def alike(self, found: Content, wanted: Content) -> bool:
        """Whether two contents of one digest agree in what that digest does not cover."""

    def labels(self, content: Content) -> Mapping[str, str]:
        """Labels of the image that tell what is inside."""


def description(inputs: str, content: Content) -> str:
    """JSON: whole digests, sizes, the tool's version; the digest of the parts if they are long."""
    base: dict[str, Any] = {
        "tool": f"vllm-fast-start {__version__}",
        "inputs": inputs,
        "bytes": content.bytes,
        "digest": content.digest,
    }
    full = json.dumps({**base, **content.parts}, separators=(",", ":"))
    if len(full) <= DESCRIPTION_LIMIT:
        return full
    digest = hashlib.sha256(json.dumps(dict(content.parts)).encode()).hexdigest()
    return json.dumps({**base, "partsSha256": digest}, separators=(",", ":"))


def described(text: str) -> Content | None:
    """The content that :func:`description` told of; ``None`` when the text is not one of ours."""
    try:
        found = json.loads(text)
        parts = {key: found[key] for key in found if key not in _BASE}
        return Content(str(found["digest"]), int(found["bytes"]), parts)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


_BASE = frozenset({"tool", "inputs", "bytes", "digest", "partsSha256"})
