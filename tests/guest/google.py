"""Cloud Storage, Secret Manager and a VM's metadata server in this process: strict, and unkind.

https://cloud.google.com/storage/docs/json_api/v1/objects
https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import parse_qs, unquote, urlsplit

from pylib.guest.payload.crc32c import crc32c

_POLYNOMIAL = 0x82F63B78
_SLOW = 1 << 20
"""Bytes from which on a sum takes a second and more."""
_TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (_POLYNOMIAL if _byte & 1 else 0)
    _TABLE.append(_byte)


def slow_crc32c(content: bytes) -> int:
    """Byte by byte, as RFC 3720 has it: judges the guest's, and shares nothing with it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@dataclass
class Answer:
    """What goes back; ``cut`` bytes of the body are missing."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0


@dataclass
class Object:
    """An object; ``crc32c`` and ``encoding`` as its metadata tell them."""

    content: bytes
    generation: str
    crc32c: str
    encoding: str = ""


@dataclass
class Google:
    """``asked`` are the targets of all requests; ``unkind`` may answer in its place."""

    private: bool = False
    page: int = 1000
    unkind: Callable[[str, Answer], Answer] = lambda _target, answer: answer
    objects: dict[str, Object] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    lifetime: int = 3599
    refused_tokens: set[str] = field(default_factory=set)
    url: str = ""
    lock: Lock = field(default_factory=Lock)

    def put(self, name: str, content: bytes, generation: str = "1700000000000001") -> None:
        """An object ``bucket/name``."""
        crc = (
            slow_crc32c(content)
            if len(content) < _SLOW
            else crc32c(bytearray(content), len(content))
        )
        encoded = base64.b64encode(crc.to_bytes(4, "big")).decode()
        self.objects[name] = Object(content, generation, encoded)

    def answer(self, target: str, authorization: str, asked_range: str) -> Answer:
        """To one request."""
        with self.lock:
            self.asked.append(target)
            url = urlsplit(target)
            if url.path.endswith("/service-accounts/default/token"):
                return self._token()
            if refusal := self._refusal(authorization, url.path):
                return refusal
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            return self.unkind(target, self._found(url.path, query, asked_range))

    def _token(self) -> Answer:
        token = f"ya29.token-{len(self.tokens)}"
        self.tokens.append(token)
        return Answer(
            body=json.dumps({"access_token": token, "expires_in": self.lifetime}).encode()
        )

    def _refusal(self, authorization: str, path: str) -> Answer | None:
        if not self.private and not path.startswith("/v1/"):
            return None
        token = authorization.removeprefix("Bearer ")
        if token in self.tokens and token not in self.refused_tokens:
            return None
        return Answer(401)

    def _found(self, path: str, query: dict[str, str], asked_range: str) -> Answer:
        if found := re.fullmatch(r"/v1/(projects/.+/versions/[^:]+):access", path):
            return self._secret(found[1])
        if found := re.fullmatch(r"/storage/v1/b/([^/]+)/o", path):
            return self._listed(found[1], query)
        if found := re.fullmatch(r"/storage/v1/b/([^/]+)/o/([^/]+)", path):
            return self._media(f"{found[1]}/{unquote(found[2])}", query, asked_range)
        return Answer(400)

    def _secret(self, name: str) -> Answer:
        if name not in self.secrets:
            return Answer(404)
        data = self.secrets[name]
        payload = {"data": base64.b64encode(data).decode(), "dataCrc32c": str(slow_crc32c(data))}
        return Answer(body=json.dumps({"name": name, "payload": payload}).encode())

    def _listed(self, bucket: str, query: dict[str, str]) -> Answer:
        if set(query) - {"prefix", "fields", "maxResults", "pageToken"}:
            return Answer(400)
        names = sorted(name for name in self.objects if name.startswith(f"{bucket}/"))
        if not names:
            return Answer(404)
        names = [name for name in names if name.startswith(f"{bucket}/{query['prefix']}")]
        start = int(query.get("pageToken", 0))
        stop = start + min(self.page, int(query["maxResults"]))
        page: dict[str, object] = {"items": [self._about(name) for name in names[start:stop]]}
        if not page["items"]:
            del page["items"]
        if stop < len(names):
            page["nextPageToken"] = str(stop)
        return Answer(body=json.dumps(page).encode())

    def _about(self, name: str) -> dict[str, str]:
        held = self.objects[name]
        about = {
            "name": name.partition("/")[2],
            "size": str(len(held.content)),
            "generation": held.generation,
            "crc32c": held.crc32c,
            "contentEncoding": held.encoding,
        }
        return {key: value for key, value in about.items() if value}

    def _media(self, name: str, query: dict[str, str], asked_range: str) -> Answer:
        held = self.objects.get(name)
        if query.get("alt") != "media" or held is None or query["generation"] != held.generation:
            return Answer(404)
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", asked_range)
        if part is None:
            return Answer(body=held.content)
        start, stop = int(part[1]), min(len(held.content), int(part[2]) + 1)
        if start >= len(held.content):
            return Answer(416)
        span = f"bytes {start}-{stop - 1}/{len(held.content)}"
        return Answer(206, held.content[start:stop], {"Content-Range": span})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    google: Google

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away early is none of its business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """One of the three services."""
        secret, asked = self.headers.get("Authorization", ""), self.headers.get("Range", "")
        answer = self.server.google.answer(self.path, secret, asked)
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) - answer.cut])
        self.close_connection = self.close_connection or bool(answer.cut)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def serving(google: Google) -> Iterator[Google]:
    """All three at one address of this machine."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.google = google
    google.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield google
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
