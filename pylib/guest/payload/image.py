"""From a reference to layers with their chain IDs: indexes, manifests and configs.

https://github.com/opencontainers/image-spec/blob/main/image-index.md, manifest.md, config.md
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.job import ImageJob, Wanted
from pylib.guest.payload.reference import DIGEST
from pylib.guest.payload.registry import (
    DOCKER,
    INDEXES,
    MANIFESTS,
    Address,
    Document,
    Repository,
    address_of,
)
from pylib.guest.payload.web import Session

_LAYER_TYPES = (
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)
_DEEPEST_INDEX = 3


@dataclass(frozen=True)
class Layer:
    """One layer at its place in a chain; sizes in bytes, compressed."""

    address: Address
    digest: str
    size: int
    diff_id: str
    chain_id: str
    parent: str


@dataclass(frozen=True)
class Image:
    """``digest``, ``media_type`` are those of what the reference names, be it an index; ``size``
    adds up that, the manifest, the config and the layers."""

    name: str
    digest: str
    media_type: str
    size: int
    platform: str
    platforms: tuple[str, ...]
    config_digest: str
    layers: tuple[Layer, ...]


def resolve(wanted: Wanted, job: ImageJob, session: Session) -> Image:
    """Ask the registry; raises :class:`GuestError`, also when the digest is not the job's."""
    try:
        return _Resolver(wanted, job, session).image()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise GuestError(
            f"{wanted.reference.text}: its manifest or config is malformed: {error!r}"
        ) from None


class _Resolver:
    def __init__(self, wanted: Wanted, job: ImageJob, session: Session) -> None:
        self._wanted, self._job, self._session = wanted, job, session
        self._name = wanted.reference.text
        self._repository = Repository(address_of(wanted.reference, job))

    def image(self) -> Image:
        top = self._document("manifests", self._wanted.reference.target)
        self._check_digest(top)
        manifest, size, platforms = self._manifest(top, _DEEPEST_INDEX)
        body = _parsed(manifest, self._name)
        config_entry = body["config"]
        config = _parsed(self._document("blobs", config_entry["digest"]), self._name)
        if not platforms:
            platforms = (self._platform_of(config),)
        layers = self._layers(body["layers"], config)
        return Image(
            name=self._name,
            digest=top.digest,
            media_type=_type_of(top, _parsed(top, self._name)),
            size=size + int(config_entry["size"]) + sum(layer.size for layer in layers),
            platform=self._job.platform,
            platforms=platforms,
            config_digest=str(config_entry["digest"]),
            layers=layers,
        )

    def _document(self, kind: str, target: str) -> Document:
        return self._repository.document(kind, target, self._session)

    def _check_digest(self, top: Document) -> None:
        if self._wanted.digest not in {"", top.digest}:
            raise GuestError(
                f"{self._name} is now {top.digest}, not {self._wanted.digest} as the job says: the "
                "tag was moved since; plan the bake again, or name the image by its digest"
            )

    def _manifest(self, found: Document, depth: int) -> tuple[Document, int, tuple[str, ...]]:
        """The platform's manifest, the bytes of all read on the way, all platforms of an index."""
        body = _parsed(found, self._name)
        kind = _type_of(found, body)
        if kind in MANIFESTS:
            return found, len(found.body), ()
        if kind not in INDEXES or depth == 0:
            raise GuestError(f"{self._name}: {_refusal(kind)}")
        entry = self._entry(body["manifests"])
        inner, size, _ = self._manifest(self._document("manifests", entry["digest"]), depth - 1)
        return inner, size + len(found.body), _platforms(body["manifests"])

    def _entry(self, entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        named = [(_platform(entry), entry) for entry in entries]
        wanted = self._job.platform
        for accepted in (wanted, f"{wanted}/v1", ""):  # an entry without a platform may be any
            for platform, entry in named:
                if platform == accepted:
                    return entry
        there = ", ".join(sorted({platform for platform, _ in named}))
        raise GuestError(f"{self._name} is not made for {wanted}; it is for {there}")

    def _platform_of(self, config: Mapping[str, Any]) -> str:
        found = f"{config.get('os')}/{config.get('architecture')}"
        if found != self._job.platform:
            raise GuestError(f"{self._name} is made for {found}, not for {self._job.platform}")
        return found

    def _layers(
        self, entries: Sequence[Mapping[str, Any]], config: Mapping[str, Any]
    ) -> tuple[Layer, ...]:
        diff_ids = config["rootfs"]["diff_ids"]
        if len(diff_ids) != len(entries) or not entries:
            raise GuestError(
                f"{self._name} has {len(entries)} layers, and its config {len(diff_ids)} diff IDs"
            )
        layers: list[Layer] = []
        chain = ""
        for entry, diff_id in zip(entries, diff_ids, strict=True):
            parent, chain = chain, chain_id(chain, diff_id)
            layers.append(self._layer(entry, diff_id, chain, parent))
        return tuple(layers)

    def _layer(self, entry: Mapping[str, Any], diff_id: str, chain: str, parent: str) -> Layer:
        kind, digest = str(entry["mediaType"]), str(entry["digest"])
        if not kind.startswith(_LAYER_TYPES) or kind.endswith("+encrypted"):
            raise GuestError(f"{self._name} has a layer of type {kind}, which is no plain tar")
        if not DIGEST.fullmatch(digest) or not DIGEST.fullmatch(diff_id):
            raise GuestError(f"{self._name} names a layer by {digest} and {diff_id}: not SHA-256")
        address = self._repository.address
        return Layer(address, digest, int(entry["size"]), diff_id, chain, parent)


def chain_id(parent: str, diff_id: str) -> str:
    """Name of the tree that ``diff_id`` on top of ``parent`` gives; ``parent`` empty for none.

    https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
    """
    if not parent:
        return diff_id
    return f"sha256:{hashlib.sha256(f'{parent} {diff_id}'.encode()).hexdigest()}"


def _parsed(found: Document, name: str) -> Mapping[str, Any]:
    try:
        body = json.loads(found.body)
    except ValueError as error:
        raise GuestError(f"{name}: its registry answers no JSON: {error}") from None
    if not isinstance(body, dict):
        raise GuestError(f"{name}: its registry answers JSON that is no object")
    return body


def _type_of(found: Document, body: Mapping[str, Any]) -> str:
    """The type that the document itself says wins; some registries send text/plain."""
    if body.get("schemaVersion") == 1:
        return f"{DOCKER}.v1+json"
    said = str(body.get("mediaType") or found.media_type)
    if said in MANIFESTS or said in INDEXES:
        return said
    if "manifests" in body:
        return "application/vnd.oci.image.index.v1+json"
    return "application/vnd.oci.image.manifest.v1+json" if "layers" in body else said


def _refusal(kind: str) -> str:
    if ".v1" in kind and kind.startswith(DOCKER):
        return (
            "its manifest has Docker's schema 1, which has no digests of unpacked layers, and "
            "which containerd no longer takes: push the image again with a current docker or crane"
        )
    return f"its registry answers {kind or 'no media type'}, which is no image"


def _platform(entry: Mapping[str, Any]) -> str:
    found = entry.get("platform") or {}
    words = (found.get("os"), found.get("architecture"), found.get("variant"))
    return "/".join(str(word) for word in words if word)


def _platforms(entries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """All that a list names, but for "unknown", which attestations have: containerd#10257."""
    named = {_platform(entry) for entry in entries} - {""}
    return tuple(sorted(name for name in named if "unknown" not in name.split("/")[:2]))
