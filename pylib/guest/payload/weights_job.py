"""The job of a weights bake, as the host writes it into the VM's metadata.

    {"version": 1, "kind": "weights", "nonce": "…", "device": "/dev/disk/by-id/google-vfs-target",
     "device_bytes": 64424509440, "source": "gs://bucket/dir/name" or "hf://org/name",
     "revision": "40 hex digits, of hf", "directory": "dir/name", "auth": "none",
     "listing": "64 hex digits, of gs", "shards": 8,
     "token_secret": "projects/P/secrets/S/versions/V", "endpoints": {"storage": "https://…"}}

A bake needs source and directory, and revision from Hugging Face.  With
``"verify": {"digest": "…"}`` it is the check of a disk made from an image instead, and needs none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.job import AUTHS, DEVICE, one_of, parsed, refuse_others

ENDPOINTS: Mapping[str, str] = {
    "storage": "https://storage.googleapis.com",
    "hf": "https://huggingface.co",
    "secretmanager": "https://secretmanager.googleapis.com",
}
_FORMS = {
    "source": re.compile(r"gs://[^/]+/.+|hf://[^/]+/[^/]+"),
    "revision": re.compile(r"|[0-9a-f]{40}"),
    "listing": re.compile(r"|[0-9a-f]{64}"),
    "token_secret": re.compile(r"|projects/[^/]+/secrets/[^/]+/versions/[^/]+"),
}
_VERIFY = re.compile(r"|[0-9a-f]{64}")
_KNOWN = frozenset(
    [
        *("version", "kind", "nonce", "device", "device_bytes", "source", "revision", "directory"),
        *("auth", "listing", "shards", "token_secret", "endpoints", "verify"),
    ]
)


@dataclass(frozen=True)
class WeightsJob:
    """``verify_digest`` is ``None`` for a bake, else the manifest's sha256 in hex, empty for any;
    ``device_bytes`` 0 for any size; ``shards`` 0 to leave the files as they are; texts are empty
    where the job says nothing."""

    nonce: str
    device: str = DEVICE
    device_bytes: int = 0
    source: str = ""
    revision: str = ""
    directory: str = ""
    auth: str = "none"
    listing: str = ""
    shards: int = 0
    token_secret: str = ""
    verify_digest: str | None = None
    endpoints: Mapping[str, str] = field(default_factory=lambda: dict(ENDPOINTS))


def parse_weights_job(text: str) -> WeightsJob:
    """Raises :class:`GuestError` for a job that this payload does not understand."""
    return parsed(text, _weights_job)


def _weights_job(found: Mapping[str, Any]) -> WeightsJob:
    refuse_others(found, "weights", _KNOWN)
    job = WeightsJob(
        nonce=str(found["nonce"]),
        device=str(found["device"]),
        device_bytes=int(found.get("device_bytes", 0)),
        source=str(found.get("source", "")),
        revision=str(found.get("revision", "")),
        directory=str(found.get("directory", "")),
        auth=one_of("auth", found.get("auth", AUTHS[0]), AUTHS),
        listing=str(found.get("listing", "")),
        shards=int(found.get("shards", 0)),
        token_secret=str(found.get("token_secret", "")),
        verify_digest=str(found["verify"]["digest"]) if "verify" in found else None,
        endpoints={**ENDPOINTS, **found.get("endpoints", {})},
    )
    _check(job)
    return job


def _check(job: WeightsJob) -> None:
    if not job.nonce:
        raise GuestError("the job in the VM's metadata has no nonce")
    if job.verify_digest is not None:
        if not _VERIFY.fullmatch(job.verify_digest):
            raise GuestError(f"the job's verify.digest is {job.verify_digest!r}: no sha256 in hex")
        return
    for name, form in _FORMS.items():
        if not form.fullmatch(getattr(job, name)):
            given = (
                "" if name == "token_secret" else f" {getattr(job, name)!r},"
            )  # it may be a token
            raise GuestError(f"the job's {name} is{given} not of the form {form.pattern}")
    if job.source.startswith("hf://") and not job.revision:
        raise GuestError(f"the job names no commit (revision) of {job.source}")
    if job.shards < 0:
        raise GuestError(f"the job's shards are {job.shards}")
