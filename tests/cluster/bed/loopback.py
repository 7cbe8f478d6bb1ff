"""A small HTTP server on loopback that answers GET by a function: what stand-ins are made of."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """A GET: its path without percent signs, its query's last values, its headers in lower case."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    queries: Mapping[str, list[str]] = field(default_factory=dict)
    """All values of the query's keys."""
    client: str = ""
    """Common name of the client's certificate; empty without one that the server trusts."""


@dataclass(frozen=True)
class Answer:
    """A status, a body (text, or anything that JSON can say) and headers of its own."""

    status: int
    body: Any
    headers: Mapping[str, str]
    talk: Callable[[BufferedIOBase], None] | None = None
    """After a 101: what goes on over the connection, which ends with it."""


def answer(status: int, body: Any, **headers: str) -> Answer:
    """An answer; header names are given with underscores."""
    return Answer(status, body, {key.replace("_", "-"): value for key, value in headers.items()})


class Loopback:
    """Serves from a thread of its own; after a stop it can start again on the same port."""

    def __init__(
        self, respond: Callable[[Request], Answer], tls: ssl.SSLContext | None = None
    ) -> None:
        self._respond = respond
        self._tls = tls
        self._server: _Server | None = None
        self.port = 0

    def start(self) -> None:
        """Listen; ready when this returns."""
        self._server = _Server(("127.0.0.1", self.port), self._respond, self._tls)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on; the port stays this server's by agreement only."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a request that is held up on purpose must not hold up the stop

    def __init__(
        self,
        address: tuple[str, int],
        respond: Callable[[Request], Answer],
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(address, _Handler)
        self.respond = respond
        if tls is not None:
            # The handshake waits for the request's own thread, lest one client block the others.
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, or a handshake that fails, is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 60

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        queries = parse_qs(url.query)
        query = {key: values[-1] for key, values in queries.items()}
        headers = {key.lower(): value for key, value in self.headers.items()}
        request = Request(unquote(url.path), query, headers, queries, self._client())
        found = self.server.respond(request)
        data = found.body if isinstance(found.body, str) else json.dumps(found.body)
        kind = "text/plain" if isinstance(found.body, str) else "application/json"
        encoded = data.encode()
        if found.talk is not None:
            self._upgrade(found)
            return
        self.send_response(found.status)
        sent = {"Content-Type": kind, "Content-Length": str(len(encoded)), **found.headers}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(encoded)

    def _upgrade(self, found: Answer) -> None:
        # Version 1.1, for an answer in 1.0 upgrades nothing.
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            *(f"{k}: {v}" for k, v in found.headers.items()),
        ]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode())
        self.close_connection = True
        if found.talk is not None:
            found.talk(self.wfile)

    def _client(self) -> str:
        """The certificate is known once the request has been read: the handshake is over then."""
        if not isinstance(self.connection, ssl.SSLSocket):
            return ""
        subject: Any = (self.connection.getpeercert() or {}).get("subject", ())
        names = [value for part in subject for key, value in part if key == "commonName"]
        return str(names[0]) if names else ""

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        """The tests ask what was asked for; nothing is written."""
