"""The HTTP side, on loopback only."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from pylib.emulator.world import Response

_IDLE_SECONDS = 300


class Serves(Protocol):
    """Answers requests; ``None`` drops the connection."""

    def handle(
        self, verb: str, target: str, headers: dict[str, str], raw: bytes
    ) -> Response | None:
        """The answer to one request; names of headers are in lower case."""


class Server:
    """A server in a thread of its own; ``port`` 0 is any that is free; ``now`` dates answers."""

    def __init__(self, serves: Serves, port: int = 0, now: Callable[[], float] = time.time) -> None:
        self._http = _Http(("127.0.0.1", port), serves, now)
        self.port = int(self._http.server_address[1])
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.05,), name="emulator-http", daemon=True
        )

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on, and end those that are open."""
        self._http.shutdown()
        self._http.server_close()
        self._http.hang_up()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a request that is held up on purpose must not hold up the stop
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], serves: Serves, now: Callable[[], float]) -> None:
        super().__init__(address, _Handler)
        self.serves = serves
        self.now = now
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Know the connection, so that it can be ended."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The connection is over."""
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End every connection: kept-alive ones would outlive the server."""
        for connection in list(self._open):
            self.shutdown_request(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True  # else each answer waits for the client's delayed ACK
    wbufsize = -1

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        raw = self.rfile.read(int(headers.get("content-length", "0")))
        found = self.server.serves.handle(self.command, self.path, headers, raw)
        if found is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(found.status)
        if found.status != 204:
            self.send_header("Content-Type", found.kind)
            self.send_header("Content-Length", str(len(found.body)))
        for name, value in found.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if found.status != 204:
            self.wfile.write(found.body)
        self.wfile.flush()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The emulator's time, which a test may have moved."""
        return super().date_time_string(self.server.now() if timestamp is None else timestamp)

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        """The journal has it."""
