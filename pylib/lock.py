"""The lock file: what was baked and made, by id, digest and source.

It stands beside the config as ``<config>.lock.yaml`` and is committed.  A bake writes it; an entry
written by hand serves for what exists already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StrictInt, StrictStr

from pylib.config.model import Record
from pylib.config.parse import line_at, parse_document, parse_record
from pylib.config.types import (
    Digest,
    GiB,
    ImageReference,
    NumericId,
    ProjectId,
    ResourceName,
    RevisionName,
    Sha256,
    Zone,
)
from pylib.errors import ConfigError, Problem
from pylib.files import read_text
from pylib.names import REVISION_DIGITS, revision_of


class CachedImage(Record):
    """A container image on the image cache disk."""

    reference: ImageReference = Field(description="Reference that was unpacked.")
    digest: Digest | None = Field(default=None, description="Digest it had then.")


class LockedImage(Record):
    """A Compute Engine image."""

    project: ProjectId = Field(description="Project of the image.")
    name: ResourceName = Field(description="Name of the image.")
    id: NumericId | None = Field(default=None, description="Numeric id.")


class LockedCache(LockedImage):
    """The image cache: a Compute Engine image with unpacked container images."""

    images: tuple[CachedImage, ...] = Field(strict=False, description="What it holds.")


class LockedDisk(Record):
    """A weights disk."""

    name: ResourceName = Field(description="Disk name.")
    zone: Zone = Field(description="Zone of the disk.")
    id: NumericId | None = Field(default=None, description="Numeric id.")
    type: StrictStr = Field(description="Disk type.")
    sizeGiB: GiB = Field(description="Size in GiB.")


class LockedRevision(Record):
    """One revision of the weights and its disks."""

    name: RevisionName = Field(description="First 12 hex digits of manifestSha256, or a label.")
    manifestSha256: Sha256 | None = Field(
        default=None, description="sha256 of the weights manifest."
    )
    source: StrictStr | None = Field(default=None, description="Where the files came from.")
    origin: StrictStr | None = Field(
        default=None,
        description="Commit of a Hugging Face source, or digest of a bucket's listing.",
    )
    shards: Annotated[StrictInt, Field(ge=0)] | None = Field(
        default=None, description="Number of weight files that were asked for; 0 for as they came."
    )
    bytes: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Size of all files."
    )
    image: LockedImage | None = Field(default=None, description="Weights image.")
    disks: dict[str, LockedDisk] = Field(description="Weights disk of each cell.")


class LockedWeights(Record):
    """Every revision that is kept, and the one that serves."""

    current: RevisionName = Field(description="Revision that pods mount.")
    revisions: tuple[LockedRevision, ...] = Field(strict=False, description="Revisions kept.")


class LockedPool(Record):
    """A node pool, by the name that it was made under."""

    name: ResourceName = Field(description="Node pool name.")


class Lock(Record):
    """One lock file."""

    version: Literal[1] = Field(description="Version of this file's format.")
    imageCache: LockedCache | None = Field(default=None, description="Image cache.")
    weights: LockedWeights | None = Field(default=None, description="Weights disks.")
    pools: dict[str, LockedPool] | None = Field(
        default=None, description="Node pool of each cell, where it is not as in the config."
    )


def lock_path(config: Path) -> Path:
    """``config.yaml`` → ``config.lock.yaml``, in the same folder."""
    return config.with_name(f"{config.stem}.lock.yaml")


def load_lock(path: Path) -> Lock:
    """The lock file at ``path``, or an empty lock when there is no such file.

    Raises :class:`ConfigError` with all problems.
    """
    if not path.exists():
        return Lock(version=1)
    return parse_lock(read_text(path), str(path))


def parse_lock(text: str, file: str = "config.lock.yaml") -> Lock:
    """The lock that ``text`` says.  Raises :class:`ConfigError` with all problems."""
    document = parse_document(text, file)
    lock = parse_record(Lock, document, file)
    problems = [
        Problem(p.path, p.message, p.fix, line_at(document, p.path)) for p in _problems(lock)
    ]
    if problems:
        raise ConfigError(file, sorted(problems, key=lambda p: p.line or 0))
    return lock


def _problems(lock: Lock) -> Iterator[Problem]:
    if lock.weights is None:
        return
    names = [revision.name for revision in lock.weights.revisions]
    for name, count in Counter(names).items():
        if count > 1:
            yield Problem(
                "weights.revisions", f"revision {name!r} stands twice", "Keep one of the two."
            )
    if lock.weights.current not in names:
        yield Problem(
            "weights.current",
            f"{lock.weights.current!r} is not among the revisions ({', '.join(names) or 'none'})",
            "Write the name of one of them.",
        )
    for index, revision in enumerate(lock.weights.revisions):
        yield from _revision_problems(f"weights.revisions[{index}]", revision)


def _revision_problems(path: str, revision: LockedRevision) -> Iterator[Problem]:
    digest = revision.manifestSha256
    looks_hashed = len(revision.name) == REVISION_DIGITS and set(revision.name) <= set(
        "0123456789abcdef"
    )
    if digest and looks_hashed and revision.name != revision_of(digest):
        yield Problem(
            f"{path}.name",
            f"{revision.name!r} is not the start of manifestSha256 {digest}",
            f"Write name: {revision_of(digest)}",
        )
