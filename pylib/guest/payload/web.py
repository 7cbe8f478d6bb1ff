"""HTTP as registries and the metadata server need it: connections kept open, redirects by hand.

An Authorization header goes to the host that it was made for and to no other: storage behind a
registry is another host, with its own signed addresses.
"""

from __future__ import annotations

import contextlib
import random
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urljoin, urlsplit

from pylib.guest.payload.failure import GuestError

TIMEOUT_SECONDS = 60.0
"""Longest silence of a server, for connecting and for each read."""
TRIES = 7
LONGEST_PAUSE = 30.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LONGEST_CHAIN = 5
RETRIED = frozenset({408, 429, 500, 502, 503, 504})
BROKEN = (OSError, HTTPException)
"""What a connection that breaks raises, ssl.SSLError among them."""


@dataclass(frozen=True)
class Request:
    """One request; ``headers`` may hold an Authorization for the host of ``url``."""

    url: str
    headers: Mapping[str, str]
    method: str = "GET"
    body: bytes | None = None


class Reply:
    """A response whose body is still to be read; ``url`` is where redirects ended."""

    def __init__(self, response: HTTPResponse, url: str) -> None:
        self._response = response
        self.url = url
        self.redirected = False
        self.status = response.status

    def header(self, name: str) -> str:
        """A header, empty when absent."""
        return self._response.getheader(name) or ""

    def headers(self, name: str) -> list[str]:
        """All headers of a name."""
        return self._response.headers.get_all(name) or []

    def read_into(self, view: memoryview) -> int:
        """Read some bytes, 0 at the end, be it right or too early."""
        return self._response.readinto(view)

    def read(self, limit: int) -> bytes:
        """The whole body; raises :class:`GuestError` when it is longer than ``limit`` bytes."""
        body = self._response.read(limit + 1)
        if len(body) > limit:
            raise GuestError(f"{self.url} answers more than {limit} bytes")
        return body

    def drop(self) -> None:
        """Be done with the response; a short rest is read, so that the connection can be used."""
        if (self._response.length or 0) <= 1 << 16:
            with contextlib.suppress(*BROKEN):
                self._response.read(1 << 16)
        self._response.close()


class Session:
    """Connections of one thread, one for each host."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], HTTPConnection] = {}
        self._tls: ssl.SSLContext | None = None

    def send(self, request: Request) -> Reply:
        """Send, and follow redirects; any status comes back.

        Raises what :data:`BROKEN` names, and :class:`GuestError` for redirects that lead nowhere.
        """
        url, headers = request.url, dict(request.headers)
        for hop in range(_LONGEST_CHAIN):
            reply = self._once(request, url, headers)
            reply.redirected = hop > 0
            target = reply.header("Location")
            if reply.status not in _REDIRECTS or not target:
                return reply
            reply.drop()
            url, headers = _redirected(url, urljoin(url, target), headers)
        raise GuestError(f"{request.url} redirects more than {_LONGEST_CHAIN} times")

    def _once(self, request: Request, url: str, headers: Mapping[str, str]) -> Reply:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        known = (parts.scheme, parts.netloc) in self._open
        try:
            return self._ask(parts, request, target, headers)
        except BROKEN:
            if not known:
                raise
        return self._ask(parts, request, target, headers)  # a kept connection had gone stale

    def _ask(
        self, parts: SplitResult, request: Request, target: str, headers: Mapping[str, str]
    ) -> Reply:
        connection = self._connection(parts)
        try:
            connection.request(request.method, target, body=request.body, headers=dict(headers))
            return Reply(connection.getresponse(), parts.geturl())
        except BROKEN:
            self.forget(parts.geturl())
            raise

    def _connection(self, parts: SplitResult) -> HTTPConnection:
        key = (parts.scheme, parts.netloc)
        if key not in self._open:
            self._open[key] = self._connect(parts)
        return self._open[key]

    def _connect(self, parts: SplitResult) -> HTTPConnection:
        if parts.scheme == "http":
            return HTTPConnection(parts.netloc, timeout=TIMEOUT_SECONDS)
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return HTTPSConnection(parts.netloc, timeout=TIMEOUT_SECONDS, context=self._tls)

    def forget(self, url: str) -> None:
        """Close the connection to the host of ``url``, which broke or has unread bytes."""
        parts = urlsplit(url)
        connection = self._open.pop((parts.scheme, parts.netloc), None)
        if connection is not None:
            connection.close()


def _redirected(old: str, new: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    before, after = urlsplit(old), urlsplit(new)
    if after.scheme not in {"http", "https"} or (before.scheme, after.scheme) == ("https", "http"):
        raise GuestError(f"{old} redirects to {new}, which is not https")
    if (before.scheme, before.netloc) == (after.scheme, after.netloc):
        return new, headers
    return new, {key: value for key, value in headers.items() if key != "Authorization"}


def pause_before(attempt: int, retry_after: str = "") -> None:
    """Wait before try number ``attempt`` (from 1): longer each time, as long as a server asks."""
    seconds = 0.25 * 2**attempt
    if retry_after.isdecimal():
        seconds = max(seconds, float(retry_after))
    time.sleep(min(LONGEST_PAUSE, seconds) * (0.75 + random.random() / 4))
