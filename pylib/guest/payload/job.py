"""The job of an image bake, as the host writes it into the VM's metadata.

    {"version": 1, "kind": "image", "nonce": "…", "device": "/dev/disk/by-id/google-vfs-target",
     "images": ["registry/name:tag", {"reference": "registry/name:tag", "digest": "sha256:…"}],
     "payload": "direct", "auth": "none", "verify": {"digest": "…"},
     "platform": "linux/amd64", "device_bytes": 64424509440,
     "endpoints": {"docker.io": ["https://mirror.gcr.io", "https://registry-1.docker.io"]}}

``images`` and the first four are needed.  ``verify`` asks to check a disk made earlier, instead:
it needs no ``images``, and with an empty digest it takes any tree that agrees with the disk's own
files.  The job of a weights bake is in :mod:`pylib.guest.payload.weights_job`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.reference import DIGEST, Reference, parse_reference

T = TypeVar("T")

VERSION = 1
KINDS = ("image", "weights")
DEVICE = "/dev/disk/by-id/google-vfs-target"
PAYLOADS = ("direct", "containerd")
AUTHS = ("none", "service-account")
ENDPOINTS: Mapping[str, tuple[str, ...]] = {
    "docker.io": ("https://mirror.gcr.io", "https://registry-1.docker.io"),
}
"""Google's mirror of Docker Hub first: it has no pull limit, and answers in a network without a way
out: https://cloud.google.com/artifact-registry/docs/pull-cached-dockerhub-images."""
_KNOWN = frozenset(
    [
        "version",
        "kind",
        "nonce",
        "device",
        "device_bytes",
        "images",
        "payload",
        "auth",
        "verify",
        "platform",
        "endpoints",
    ]
)


@dataclass(frozen=True)
class Wanted:
    """An image, and the digest that it must have; empty for any."""

    reference: Reference
    digest: str = ""


@dataclass(frozen=True)
class ImageJob:
    """``verify_digest`` is ``None`` for a bake, else what the tree on the disk must have, empty for
    any; ``device_bytes`` 0 for any size."""

    nonce: str
    images: tuple[Wanted, ...]
    device: str = DEVICE
    device_bytes: int = 0
    payload: str = "direct"
    auth: str = "none"
    verify_digest: str | None = None
    platform: str = "linux/amd64"
    endpoints: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(ENDPOINTS))

    def endpoints_of(self, host: str) -> tuple[str, ...]:
        """Base addresses to try for a registry, in order."""
        return self.endpoints.get(host) or (f"https://{host}",)


def nonce_of(text: str) -> str:
    """The nonce of a job that may be wrong otherwise; empty when there is none."""
    try:
        return str(json.loads(text)["nonce"])
    except (KeyError, TypeError, ValueError):
        return ""


def kind_of(text: str) -> str:
    """The kind of a job that may be wrong otherwise; empty when there is none."""
    try:
        return str(json.loads(text)["kind"])
    except (KeyError, TypeError, ValueError):
        return ""


def parse_job(text: str) -> ImageJob:
    """Raises :class:`GuestError` for a job that this payload does not understand."""
    return parsed(text, _image_job)


def parsed(text: str, parse: Callable[[Mapping[str, Any]], T]) -> T:
    """What ``parse`` makes of a job; raises :class:`GuestError` for whatever is wrong in it."""
    try:
        return parse(json.loads(text))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise GuestError(f"the job in the VM's metadata is wrong: {error!r}") from None


def refuse_others(found: Mapping[str, Any], kind: str, known: Collection[str]) -> None:
    """Raises :class:`GuestError` for another version or kind, and for unknown fields."""
    unknown = sorted(set(found) - set(known))
    if found["version"] != VERSION or found["kind"] != kind or unknown:
        raise GuestError(
            f"this payload does jobs of version {VERSION} and of the kinds {', '.join(KINDS)}; the "
            f"VM's metadata has version {found['version']!r}, kind {found['kind']!r}"
            + (f", and fields that are not known: {', '.join(unknown)}" if unknown else "")
        )


def _image_job(found: Mapping[str, Any]) -> ImageJob:
    refuse_others(found, "image", _KNOWN)
    endpoints = {host: tuple(urls) for host, urls in found.get("endpoints", {}).items()}
    job = ImageJob(
        nonce=str(found["nonce"]),
        images=tuple(_wanted(item) for item in found.get("images", ())),
        device=str(found["device"]),
        device_bytes=int(found.get("device_bytes", 0)),
        payload=one_of("payload", found.get("payload", PAYLOADS[0]), PAYLOADS),
        auth=one_of("auth", found.get("auth", AUTHS[0]), AUTHS),
        verify_digest=str(found["verify"]["digest"]) if "verify" in found else None,
        platform=str(found.get("platform", "linux/amd64")),
        endpoints={**ENDPOINTS, **endpoints},
    )
    if not (job.images or job.verify_digest is not None) or not job.nonce:
        raise GuestError("the job in the VM's metadata names no image, or has no nonce")
    return job


def _wanted(item: str | Mapping[str, str]) -> Wanted:
    reference = parse_reference(item if isinstance(item, str) else item["reference"])
    digest = "" if isinstance(item, str) else item.get("digest", "")
    if digest and not DIGEST.fullmatch(digest):
        raise GuestError(f"{reference.text}: {digest!r} is no digest")
    return Wanted(reference, digest or reference.digest)


def one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    """``value`` when it is known; raises :class:`GuestError` otherwise."""
    if value not in known:
        raise GuestError(f"the job's {name} is {value!r}; known are {', '.join(known)}")
    return value
