"""Who asks Google's APIs: nobody, or the VM's service account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.metadata import Metadata, Token
from pylib.guest.payload.web import BROKEN, RETRIED, TRIES, Reply, Request, Session, pause_before

_LARGEST = 64 << 20


@dataclass
class Caller:
    """One thread's client; the token is kept in memory, and renewed before it ends."""

    with_account: bool
    session: Session = field(default_factory=Session)
    fetch_token: Callable[[], Token] = field(default_factory=lambda: Metadata().token)
    _token: Token | None = None

    def send(self, url: str, headers: dict[str, str] | None = None) -> Reply:
        """One GET; a token that is refused is fetched anew, once."""
        reply = self.session.send(Request(url, {**(headers or {}), **self._secret()}))
        if reply.status == 401 and self.with_account:
            reply.drop()
            self._token = None
            reply = self.session.send(Request(url, {**(headers or {}), **self._secret()}))
        return reply

    def read(self, url: str) -> tuple[int, bytes]:
        """Status and body of a GET, as they are after all tries.

        Raises :class:`GuestError` when nobody answers.
        """
        for attempt in range(1, TRIES):
            try:
                reply = self.send(url)
                if reply.status not in RETRIED:
                    return reply.status, _whole(reply)
            except BROKEN:
                self.session.forget(url)
                pause_before(attempt)
                continue
            wait = reply.header("Retry-After")
            reply.drop()
            pause_before(attempt, wait)
        try:
            reply = self.send(url)
            return reply.status, _whole(reply)
        except BROKEN as error:
            raise GuestError(f"{url} does not answer: {error}") from None

    def _secret(self) -> dict[str, str]:
        if not self.with_account:
            return {}
        if self._token is None or not self._token.is_fresh():
            self._token = self.fetch_token()
        return {"Authorization": f"Bearer {self._token.secret}"}


def _whole(reply: Reply) -> bytes:
    """The body; http.client itself raises nothing when one of known length is cut."""
    body, length = reply.read(_LARGEST), reply.header("Content-Length")
    if length and len(body) != int(length):
        raise ConnectionError(f"{len(body)} bytes came instead of {length}")
    return body
