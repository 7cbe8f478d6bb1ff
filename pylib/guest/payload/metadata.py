"""The VM's metadata server: attributes, guest attributes, tokens of the service account.

https://cloud.google.com/compute/docs/metadata/querying-metadata
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field

from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.web import BROKEN, RETRIED, TRIES, Reply, Request, Session, pause_before

_FLAVOR = {"Metadata-Flavor": "Google"}
_LARGEST = 1 << 20
_MARGIN_SECONDS = 120.0


def base() -> str:
    """Where the server is; Google's own libraries read the same variable."""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    return f"http://{host}/computeMetadata/v1"


@dataclass
class Metadata:
    """A client; each thread makes its own."""

    session: Session = field(default_factory=Session)

    def attribute(self, name: str) -> str:
        """An attribute of the instance; raises :class:`GuestError` when it is not there."""
        reply = self._send("GET", f"instance/attributes/{name}")
        body = reply.read(_LARGEST)
        if reply.status != 200:
            raise GuestError(f"the VM's metadata has no attribute {name}: status {reply.status}")
        return body.decode()

    def set_guest_attribute(self, path: str, value: bytes) -> int:
        """Write ``namespace/key``; the status is 200 or what the server says after all tries."""
        reply = self._send("PUT", f"instance/guest-attributes/{path}", value)
        reply.drop()
        return reply.status

    def token(self) -> Token:
        """An access token of the VM's service account."""
        reply = self._send("GET", "instance/service-accounts/default/token")
        body = reply.read(_LARGEST)
        if reply.status != 200:
            raise GuestError(
                "the metadata server gives no token of a service account (status "
                f"{reply.status}): run the bake VM with a service account that may read the "
                "registry, or set the images' registry to anonymous"
            )
        found = json.loads(body)
        lifetime = float(found.get("expires_in", 0))
        return Token(str(found["access_token"]), time.monotonic() + lifetime - _MARGIN_SECONDS)

    def _send(self, method: str, path: str, body: bytes | None = None) -> Reply:
        request = Request(f"{base()}/{path}", _FLAVOR, method, body)
        for attempt in range(1, TRIES):
            try:
                reply = self.session.send(request)
            except BROKEN:
                pause_before(attempt)
                continue
            if reply.status not in RETRIED:
                return reply
            wait = reply.header("Retry-After")
            reply.drop()
            pause_before(attempt, wait)
        try:
            return self.session.send(request)
        except BROKEN as error:
            raise GuestError(f"the metadata server does not answer: {error}") from None


@dataclass(frozen=True)
class Token:
    """A secret, so that it is not printed, and the monotonic time after which it is not used."""

    secret: str = field(repr=False)
    until: float

    def is_fresh(self) -> bool:
        """Whether it is good for a while yet."""
        return time.monotonic() < self.until
