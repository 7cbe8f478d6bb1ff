"""Authorization at a registry: bearer tokens by challenge, and Google's by service account.

https://distribution.github.io/distribution/spec/auth/token/
https://cloud.google.com/artifact-registry/docs/docker/authentication#token
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.metadata import Metadata, Token
from pylib.guest.payload.web import Request, Session

_PARAMETER = re.compile(r'([a-zA-Z]+)="([^"]*)"')
_LARGEST = 1 << 20


def is_google(host: str) -> bool:
    """Whether a registry takes Google's tokens, which nobody else may see."""
    return host == "gcr.io" or host.endswith((".gcr.io", ".pkg.dev"))


@dataclass
class Authority:
    """What to send as Authorization for one repository; shared by the threads of a process."""

    repository: str
    with_account: bool
    fetch_token: Callable[[], Token] = field(default_factory=lambda: Metadata().token)
    _token: Token | None = None
    _headers: dict[str, str] = field(default_factory=dict)

    def header(self, endpoint: str) -> str:
        """The last that :meth:`renew` got; empty before."""
        return self._headers.get(endpoint, "")

    def renew(self, endpoint: str, challenges: list[str], session: Session) -> bool:
        """Get a new header after a 401; ``False`` when this repository cannot be had so."""
        for challenge in challenges:
            scheme, _, rest = challenge.partition(" ")
            if scheme.lower() == "bearer":
                self._headers[endpoint] = self._bearer(endpoint, rest, session)
                return True
            if scheme.lower() == "basic" and self.with_account:
                self._headers[endpoint] = self._basic()
                return True
        return False

    def _basic(self) -> str:
        if self._token is None or not self._token.is_fresh():
            self._token = self.fetch_token()
        pair = f"oauth2accesstoken:{self._token.secret}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    def _bearer(self, endpoint: str, challenge: str, session: Session) -> str:
        asked = dict(_PARAMETER.findall(challenge))
        realm = asked.get("realm", "")
        query = {"service": asked["service"]} if "service" in asked else {}
        query["scope"] = asked.get("scope") or f"repository:{self.repository}:pull"
        headers = {}
        if self.with_account and _may_see_account(endpoint, realm):
            headers["Authorization"] = self._basic()
        mark = "&" if "?" in realm else "?"
        reply = session.send(Request(f"{realm}{mark}{urlencode(query)}", headers))
        body = reply.read(_LARGEST)
        if reply.status != 200:
            raise GuestError(
                f"{urlsplit(realm).netloc} gives no token for {self.repository}: status "
                f"{reply.status}{hint(with_account=self.with_account)}"
            )
        found = json.loads(body)
        return f"Bearer {found.get('token') or found['access_token']}"


def _may_see_account(endpoint: str, realm: str) -> bool:
    """The registry names the realm, and so could name anybody's."""
    at, to = urlsplit(endpoint), urlsplit(realm)
    same = (at.scheme, at.netloc) == (to.scheme, to.netloc)
    return same or (to.scheme == "https" and is_google(to.hostname or ""))


def hint(*, with_account: bool) -> str:
    """What to do about a refusal."""
    if with_account:
        return "; give the VM's service account the role roles/artifactregistry.reader"
    return "; for a private repository of Google's, bake with a service account that may read it"
