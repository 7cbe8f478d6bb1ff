"""Container images for tests: layers written entry by entry, manifests of both kinds."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"
TIME = 1_700_000_000


def digest_of(content: bytes) -> str:
    """Its name in a registry."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Layer:
    """A tar archive, entry by entry, in the order of the calls."""

    def __init__(self, form: int = tarfile.PAX_FORMAT) -> None:
        self._bytes = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._bytes, mode="w", format=form)

    def add(self, name: str, kind: bytes = tarfile.REGTYPE, **about: Any) -> Layer:
        """One entry; ``about``: content, mode, uid, gid, mtime, link, device, xattrs."""
        content = about.get("content", b"")
        info = tarfile.TarInfo(name)
        info.type = kind
        info.size = len(content)
        info.mode = about.get("mode", 0o755 if kind == tarfile.DIRTYPE else 0o644)
        info.uid, info.gid = about.get("uid", 0), about.get("gid", 0)
        info.mtime = about.get("mtime", TIME)
        info.linkname = about.get("link", "")
        info.devmajor, info.devminor = about.get("device", (0, 0))
        xattrs: Mapping[str, str] = about.get("xattrs", {})
        info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in xattrs.items()}
        self._tar.addfile(info, io.BytesIO(content))
        return self

    def file(self, name: str, content: bytes = b"", **about: Any) -> Layer:
        """A regular file."""
        return self.add(name, content=content, **about)

    def folder(self, name: str, **about: Any) -> Layer:
        """A directory."""
        return self.add(name, tarfile.DIRTYPE, **about)

    def symlink(self, name: str, target: str, **about: Any) -> Layer:
        """A symbolic link."""
        return self.add(name, tarfile.SYMTYPE, link=target, mode=0o777, **about)

    def link(self, name: str, target: str) -> Layer:
        """A hard link."""
        return self.add(name, tarfile.LNKTYPE, link=target)

    def gone(self, name: str) -> Layer:
        """A whiteout of ``name``."""
        folder, _, base = name.rpartition("/")
        return self.file(f"{folder}/.wh.{base}" if folder else f".wh.{base}")

    def opaque(self, folder: str) -> Layer:
        """What lies below ``folder`` in lower layers is hidden."""
        return self.file(f"{folder}/.wh..wh..opq")

    def tar(self) -> bytes:
        """The whole archive."""
        self._tar.close()
        return self._bytes.getvalue()


@dataclass
class Image:
    """``manifest`` of a media type, all blobs, and the manifests that an index lists, by digest."""

    manifest: bytes
    media_type: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Name of the manifest."""
        return digest_of(self.manifest)


@dataclass(frozen=True)
class Packed:
    """A layer as a registry holds it: compressed somehow, and the digest of its archive."""

    blob: bytes
    diff_id: str
    suffix: str


def gzipped(layer: Layer | bytes) -> Packed:
    """A gzip layer; the same bytes each time."""
    tar = layer if isinstance(layer, bytes) else layer.tar()
    return Packed(gzip.compress(tar, 6, mtime=0), digest_of(tar), "gzip")


def zstd(layer: Layer | bytes) -> Packed:
    """A zstd layer, by the program of that name."""
    tar = layer if isinstance(layer, bytes) else layer.tar()
    words = ("zstd", "-q", "-c")
    packed = subprocess.run(words, input=tar, capture_output=True, check=True)
    return Packed(packed.stdout, digest_of(tar), "zstd")


def plain(layer: Layer | bytes) -> Packed:
    """A layer as it is."""
    tar = layer if isinstance(layer, bytes) else layer.tar()
    return Packed(tar, digest_of(tar), "")


def image(layers: Sequence[Packed], *, docker: bool = False, architecture: str = "amd64") -> Image:
    """An image of an OCI manifest, or of Docker's schema 2."""
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [it.diff_id for it in layers]},
        }
    ).encode()
    family = f"{DOCKER}.distribution" if docker else OCI
    kind = f"{family}.manifest.v2+json" if docker else f"{OCI}.manifest.v1+json"
    body = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {
                "mediaType": f"{DOCKER}.container.image.v1+json"
                if docker
                else f"{OCI}.config.v1+json",
                "digest": digest_of(config),
                "size": len(config),
            },
            "layers": [
                {
                    "mediaType": _layer_type(it, docker=docker),
                    "digest": digest_of(it.blob),
                    "size": len(it.blob),
                }
                for it in layers
            ],
        }
    ).encode()
    blobs = {digest_of(it.blob): it.blob for it in layers}
    return Image(body, kind, {**blobs, digest_of(config): config})


def _layer_type(layer: Packed, *, docker: bool) -> str:
    if docker:
        return f"{DOCKER}.image.rootfs.diff.tar" + (f".{layer.suffix}" if layer.suffix else "")
    return f"{OCI}.layer.v1.tar" + (f"+{layer.suffix}" if layer.suffix else "")


def index(images: Sequence[tuple[str, Image]], *, docker: bool = False) -> Image:
    """A list of images, one for each architecture; ``unknown`` is that of an attestation."""
    kind = f"{DOCKER}.distribution.manifest.list.v2+json" if docker else f"{OCI}.index.v1+json"
    rows = [
        {
            "mediaType": it.media_type,
            "digest": it.digest,
            "size": len(it.manifest),
            "platform": {
                "architecture": name,
                "os": "unknown" if name == "unknown" else "linux",
            },
        }
        for name, it in images
    ]
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": rows}).encode()
    held = {digest: blob for _, it in images for digest, blob in it.blobs.items()}
    return Image(body, kind, held, {it.digest: (it.manifest, it.media_type) for _, it in images})
