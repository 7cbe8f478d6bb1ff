"""The image cache: container images, unpacked for a node's secondary boot disk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pylib.bake.recipe import Content
from pylib.bake.watch import Report
from pylib.cloud.records import Image
from pylib.errors import BakeError
from pylib.facts.gke_bake import GOOGLE_HOST
from pylib.lock import CachedImage, LockedCache
from pylib.names import label_value

READ_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_only",)
"""Enough to pull from Artifact Registry and to read a bucket:
https://cloud.google.com/artifact-registry/docs/access-control#gce."""

LABELLED_IMAGES = 20
"""A resource has 64 labels at most:
https://cloud.google.com/compute/docs/labeling-resources#requirements."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class CacheRecipe:
    """The images to unpack, who unpacks them, and where they are asked for first."""

    images: tuple[str, ...]
    payload: str = "direct"
    auth: str = "none"
    endpoints: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Of the guest's job and of the journal."""
        return "image"

    @property
    def outside(self) -> tuple[str, ...]:
        """Images that are on no registry of Google's."""
        return tuple(image for image in self.images if not GOOGLE_HOST.match(image))

    @property
    def scopes(self) -> tuple[str, ...]:
        """To pull."""
        return READ_SCOPES

    def summary(self) -> tuple[str, ...]:
        """The images."""
        return self.images

    def inputs(self) -> dict[str, Any]:
        """The images, whose order plays no part, and the way of unpacking."""
        return {"images": sorted(set(self.images)), "payload": self.payload}

    def job(self) -> dict[str, Any]:
        """The guest's job, less what every job has."""
        found = {"images": list(self.images), "payload": self.payload, "auth": self.auth}
        return {**found, "endpoints": dict(self.endpoints)} if self.endpoints else found

    def content(self, report: Report) -> Content:
        """What the guest says that it unpacked; raises BakeError unless it is every image, each
        with a digest."""
        try:
            listed = report.facts["images"]
            images = [[str(it["reference"]), str(it["digest"])] for it in listed]
            size = report.facts.get("tree_bytes")
            size = int(sum(int(it["bytes"]) for it in listed) if size is None else size)
        except (KeyError, TypeError, ValueError):
            raise BakeError("the guest reported success without a list of images.") from None
        missing = sorted(set(self.images) - {reference for reference, _ in images})
        bad = [reference for reference, digest in images if not _DIGEST.fullmatch(digest)]
        if missing or bad or not report.digest:
            named = ", ".join([*missing, *bad]) or "all"
            raise BakeError(f"the guest reported success without these images or digests: {named}")
        return Content(report.digest, size, {"images": images})

    def alike(self, found: Content, wanted: Content) -> bool:
        """Whether the list of images is the same: the digest is that of the trees."""
        known = wanted.parts.get("images")
        return known is None or sorted(found.parts["images"]) == sorted(known)

    def labels(self, content: Content) -> dict[str, str]:
        """Name and tag without dots, and 12 hex digits of the digest, for as many images as labels
        allow."""
        images = content.parts["images"]
        found = {"cached-images": str(len(images))}
        for number, (reference, digest) in enumerate(images[:LABELLED_IMAGES]):
            found[f"image-{number}"] = label_value(reference.split("@")[0].rsplit("/", 1)[-1])
            found[f"digest-{number}"] = digest.removeprefix("sha256:")[:12]
        return found


def locked_cache(image: Image, content: Content, wanted: tuple[str, ...]) -> LockedCache:
    """The lock's entry for ``image``; digests are left out where nobody knows them."""
    known = {str(name): str(digest) for name, digest in content.parts.get("images", [])}
    return LockedCache(
        project=image.project,
        name=image.name,
        id=image.id,
        images=tuple(CachedImage(reference=ref, digest=known.get(ref)) for ref in wanted),
    )
