"""A registry of container images, in this process: read-only, and unkind where a test wants it so.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.disk.layers import Image

_PATH = re.compile(r"/v2/(.+)/(manifests|blobs)/([^/?]+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class Answer:
    """What goes back in place of what is held; ``cut`` bytes of the body are missing."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    cut: int = 0


@dataclass
class Registry:
    """``asked`` are the paths of all requests in order.  ``unkind`` may answer in its place."""

    tokens: bool = False
    unkind: Callable[[str, Answer], Answer] = lambda _path, answer: answer
    asked: list[str] = field(default_factory=list)
    good_tokens: set[str] = field(default_factory=set)
    address: str = ""
    _documents: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    def push(self, name: str, image: Image) -> str:
        """Hold an image as ``repository:tag``; returns its reference at this registry."""
        repository, _, tag = name.partition(":")
        for digest, blob in image.blobs.items():
            self._documents[f"{repository}/blobs/{digest}"] = (blob, "application/octet-stream")
        whole = (image.manifest, image.media_type)
        for target, held in {**image.manifests, tag: whole, image.digest: whole}.items():
            self._documents[f"{repository}/manifests/{target}"] = held
        return f"{self.address}/{name}"

    def answer(self, path: str, authorization: str, asked_range: str) -> Answer:
        """To one request."""
        self.asked.append(path)
        if path.startswith("/token"):
            token = f"token-{len(self.good_tokens)}"
            self.good_tokens.add(f"Bearer {token}")
            return self.unkind(path, Answer(body=json.dumps({"token": token}).encode()))
        if self.tokens and authorization not in self.good_tokens:
            challenge = f'Bearer realm="http://{self.address}/token",service="test"'
            return Answer(401, headers=(("WWW-Authenticate", challenge),))
        return self.unkind(path, self._held(path, asked_range))

    def _held(self, path: str, asked_range: str) -> Answer:
        found = _PATH.fullmatch(path)
        held = self._documents.get(f"{found[1]}/{found[2]}/{found[3]}") if found else None
        if held is None:
            return Answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')
        body, kind = held
        about = (("Content-Type", kind),)
        part = _RANGE.fullmatch(asked_range)
        if part is None or found is None or found[2] == "manifests":
            return Answer(body=body, headers=about)
        start, end = int(part[1]), min(len(body) - 1, int(part[2] or len(body)))
        if start >= len(body):
            return Answer(416)
        span = ("Content-Range", f"bytes {start}-{end}/{len(body)}")
        return Answer(206, body[start : end + 1], (*about, span))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    registry: Registry

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away early is none of its business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """A manifest, a blob or a part of one."""
        self._answer()

    def do_HEAD(self) -> None:
        """What containerd asks a tag for."""
        self._answer()

    def _answer(self) -> None:
        secret = self.headers.get("Authorization", "")
        answer = self.server.registry.answer(self.path, secret, self.headers.get("Range", ""))
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(answer.body[: len(answer.body) - answer.cut])
        self.close_connection = self.close_connection or bool(answer.cut)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def serving(registry: Registry) -> Iterator[Registry]:
    """The registry at an address of this machine."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.registry = registry
    registry.address = f"127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
