"""An HTTP server that answers as it is told: one answer for each request, in order."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Answer:
    """``body`` as JSON, or ``raw`` as it stands; ``drop`` closes the connection instead."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: str | None = None
    drop: bool = False


@dataclass(frozen=True)
class Asked:
    """One request; query parameters appear once each."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


def refusal(status: int, reason: str, message: str = "no") -> Answer:
    """An error as Google's JSON APIs write it."""
    error = {"code": status, "message": message, "errors": [{"reason": reason}]}
    return Answer({"error": error}, status)


class Stub:
    """Running; ``answers`` are used up, the last one stays."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: list[Answer] = []
        self.asked: list[Asked] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("content-length", "0"))
                raw = self.rfile.read(length)
                parts = urlsplit(self.path)
                query = {key: value[0] for key, value in parse_qs(parts.query).items()}
                body = _json(raw)
                stub.asked.append(
                    Asked(self.command, parts.path, query, dict(self.headers.items()), body)
                )
                answer = stub.answers[0] if len(stub.answers) == 1 else stub.answers.pop(0)
                if answer.drop:
                    self.close_connection = True
                    return
                text = answer.raw if answer.raw is not None else json.dumps(answer.body)
                self.send_response(answer.status)
                for key, value in answer.headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_GET(self) -> None:
                self._serve()

            def do_POST(self) -> None:
                self._serve()

            def do_PATCH(self) -> None:
                self._serve()

            def do_DELETE(self) -> None:
                self._serve()

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            # The handshake is the connection's own thread's, or one that fails would end them all.
            self.server.socket = tls.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
            vars(self.server)["handle_error"] = lambda *_: None  # the client hangs up: expected
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_address[1]}"


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode()


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Stub]:
    """A stub that serves meanwhile."""
    stub = Stub(tls)
    thread = threading.Thread(target=stub.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.server.shutdown()
        stub.server.server_close()
        thread.join()
