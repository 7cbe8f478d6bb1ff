"""A secret of Secret Manager, read with the VM's service account; it never leaves memory.

https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
"""

from __future__ import annotations

import base64
import json

from pylib.guest.payload.caller import Caller
from pylib.guest.payload.crc32c import crc32c
from pylib.guest.payload.failure import GuestError


def read_secret(endpoint: str, name: str, caller: Caller) -> str:
    """Text of ``projects/P/secrets/S/versions/V``, without what surrounds it.

    Raises :class:`GuestError` that says what to grant, and nothing of what came.
    """
    status, body = caller.read(f"{endpoint.rstrip('/')}/v1/{name}:access")
    if status in {401, 403}:
        raise GuestError(
            f"{name}: Secret Manager answers {status}: give the VM's service account the role "
            "roles/secretmanager.secretAccessor on the secret, and the VM the scope cloud-platform"
        )
    if status == 404:
        raise GuestError(f"{name}: Secret Manager answers 404: no such secret, or no such version")
    if status != 200:
        raise GuestError(f"{name}: Secret Manager answers {status}")
    try:
        return _text(body)
    except (KeyError, TypeError, ValueError):
        raise GuestError(f"{name}: what Secret Manager answers is no text, or damaged") from None


def _text(body: bytes) -> str:
    payload = json.loads(body)["payload"]
    data = bytearray(base64.b64decode(payload["data"], validate=True))
    if not data or int(payload.get("dataCrc32c", crc32c(data, len(data)))) != crc32c(
        data, len(data)
    ):
        raise ValueError
    return data.decode().strip()
