"""What an image cache holds: from the guest's report, from a published image, into the lock."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pylib.bake.watch import Report
from pylib.cloud.records import Image
from pylib.errors import BakeError
from pylib.lock import CachedImage, LockedCache

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Content:
    """(reference, digest) of each container image, bytes of all trees, digest of the whole."""

    images: tuple[tuple[str, str], ...]
    tree_bytes: int
    digest: str

    def data(self) -> dict[str, Any]:
        """As a journal keeps it."""
        return {
            "images": [list(pair) for pair in self.images],
            "bytes": self.tree_bytes,
            "digest": self.digest,
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Content:
        """What :meth:`data` wrote."""
        pairs = tuple((str(reference), str(digest)) for reference, digest in data["images"])
        return cls(pairs, int(data["bytes"]), str(data["digest"]))


def content_of(report: Report, wanted: tuple[str, ...]) -> Content:
    """What the guest says that it unpacked.

    Raises :class:`BakeError` when that is not what was asked for, each image with a digest: a
    report that lacks them is no success.
    """
    try:
        listed = report.facts["images"]
        images = tuple((str(it["reference"]), str(it["digest"])) for it in listed)
        size = int(report.facts.get("tree_bytes") or sum(int(it["bytes"]) for it in listed))
    except (KeyError, TypeError, ValueError):
        raise BakeError("the guest reported success without a list of images.") from None
    missing = sorted(set(wanted) - {reference for reference, _ in images})
    bad = [reference for reference, digest in images if not _DIGEST.fullmatch(digest)]
    if missing or bad or not report.digest:
        named = ", ".join([*missing, *bad]) or "all"
        raise BakeError(f"the guest reported success without these images or digests: {named}")
    return Content(images, size, report.digest)


def content_of_image(image: Image) -> Content | None:
    """What a published image says of itself; ``None`` when its description is not ours."""
    try:
        found = json.loads(image.description)
        return Content.of({**found, "images": found.get("images", []), "digest": ""})
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def locked(image: Image, content: Content | None, wanted: tuple[str, ...]) -> LockedCache:
    """The lock's entry for ``image``."""
    known = dict(content.images) if content else {}
    return LockedCache(
        project=image.project,
        name=image.name,
        id=image.id,
        images=tuple(CachedImage(reference=ref, digest=known.get(ref)) for ref in wanted),
    )
