"""The weights image: one model's files, with their manifest, for disks that pods mount."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pylib.bake.cache import READ_SCOPES
from pylib.bake.recipe import Content
from pylib.bake.watch import Report
from pylib.cloud.records import Image
from pylib.errors import BakeError
from pylib.lock import LockedImage, LockedRevision
from pylib.names import REVISION_DIGITS, label_value, revision_of

CLOUD_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
"""Secret Manager takes no narrower one:
https://cloud.google.com/secret-manager/docs/accessing-the-api#oauth-scopes."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class WeightsRecipe:
    """The model's source, and where it lies below the disk's root.

    ``revision`` is the commit of ``hf://``, ``listing`` the digest of the objects of ``gs://``
    (:func:`pylib.guest.payload.listing.listing_digest`), ``claim`` what a claim's disk was filled
    by, when the guest downloads nothing; ``shards`` 0 leaves the files as they are.
    """

    source: str
    directory: str
    revision: str = ""
    listing: str = ""
    claim: str = ""
    shards: int = 0
    auth: str = "none"
    token_secret: str = ""
    endpoints: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Of the guest's job and of the journal."""
        return "weights"

    @property
    def outside(self) -> tuple[str, ...]:
        """Hugging Face is no service of Google's."""
        return (self.source,) if self.source.startswith("hf://") and not self.claim else ()

    @property
    def scopes(self) -> tuple[str, ...]:
        """To read a bucket; a secret asks for more."""
        return CLOUD_SCOPES if self.token_secret else READ_SCOPES

    @property
    def origin(self) -> str:
        """What tells two contents of one source apart."""
        return self.revision or self.listing or self.claim

    def summary(self) -> tuple[str, ...]:
        """Source, place on the disk, and form."""
        revision = f" at {self.revision}" if self.revision else ""
        shards = f", in {self.shards} files" if self.shards else ""
        return (f"{self.source}{revision}, at /{self.directory}{shards}",)

    def inputs(self) -> dict[str, Any]:
        """Source, its state, and the form in which the files are written."""
        return {
            "source": self.source,
            "origin": self.origin,
            "directory": self.directory,
            "shards": self.shards,
        }

    def job(self) -> dict[str, Any]:
        """The guest's job, less what every job has."""
        found: dict[str, Any] = {
            "source": self.source,
            "directory": self.directory,
            "revision": self.revision,
            "listing": self.listing,
            "shards": self.shards,
            "auth": self.auth,
            "token_secret": self.token_secret,
            "endpoints": dict(self.endpoints),
        }
        return {key: value for key, value in found.items() if value}

    def content(self, report: Report) -> Content:
        """What the guest says is on the disk: its digest is the manifest's sha256."""
        try:
            files, size = int(report.facts["files"]), int(report.facts["bytes"])
            shards = int(report.facts.get("shards", 0))
        except (KeyError, TypeError, ValueError):
            raise BakeError("the guest reported success without the number of files.") from None
        if not files or not size or not _SHA256.fullmatch(report.digest):
            raise BakeError("the guest reported success without files, or without their manifest.")
        parts = {"source": self.source, "origin": self.origin, "files": files, "shards": shards}
        return Content(report.digest, size, parts)

    def alike(self, found: Content, wanted: Content) -> bool:
        """The digest is that of the manifest, which names everything."""
        return found.bytes == wanted.bytes

    def labels(self, content: Content) -> dict[str, str]:
        """Source, revision, bytes and the first digits of the digests."""
        return {
            "weights-source": label_value(self.source.partition("://")[2]),
            "weights-origin": label_value(self.origin[:REVISION_DIGITS]),
            "weights-revision": revision_of(content.digest),
            "weights-bytes": str(content.bytes),
        }


def locked_revision(image: Image, content: Content, recipe: WeightsRecipe) -> LockedRevision:
    """The lock's entry for the revision that ``image`` holds; no disk is made of it yet."""
    return LockedRevision(
        name=revision_of(content.digest),
        manifestSha256=content.digest,
        source=recipe.source or None,
        origin=recipe.origin or None,
        shards=recipe.shards,
        bytes=content.bytes,
        image=LockedImage(project=image.project, name=image.name, id=image.id),
        disks={},
    )
