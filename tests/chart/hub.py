"""A local stand-in for Hugging Face's file API: trees by page, ranges, redirects, gates, faults."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = "google/gemma-7b"
PAGE = 2


@dataclass
class Hub:
    """What the server holds, what it must do wrong, and what it saw."""

    files: dict[str, bytes] = field(default_factory=dict)
    token: str = ""
    redirect: bool = False
    ranges: bool = True
    errors: list[int] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    lies: dict[str, bytes] = field(default_factory=dict)
    stall: threading.Event | None = None
    stalled: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    seen: list[tuple[str, str, str | None, str | None]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        """Address for ``HF_ENDPOINT``."""
        return f"http://127.0.0.1:{self.port}"

    def ranges_asked(self) -> list[str]:
        """The ranges that were asked for."""
        return [asked for _, _, _, asked in self.seen if asked]


def entry(path: str, content: bytes) -> dict[str, object]:
    """What the API says about one file: large-file storage for weights, git for the rest."""
    blob = b"blob %d\0" % len(content)
    git = hashlib.sha1(blob + content, usedforsecurity=False).hexdigest()
    item: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": git}
    if path.endswith((".safetensors", ".bin")):
        item["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
    return item


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        host = self.headers["Host"].partition(":")[0]
        token = self.headers["Authorization"]
        self.hub.seen.append((host, url.path, token, self.headers["Range"]))
        if self.hub.errors:
            return self._end(self.hub.errors.pop(0))
        if host != "localhost" and self.hub.token and token != f"Bearer {self.hub.token}":
            return self._end(401)
        tree = f"/api/models/{MODEL}/tree/{COMMIT}"
        if url.path == tree:
            return self._tree(parse_qs(url.query))
        found = re.fullmatch(rf"(/cdn)?/{MODEL}/resolve/{COMMIT}/(.+)", url.path)
        path = unquote(found[2]) if found else ""
        if path not in self.hub.files:
            return self._end(404)
        if self.hub.redirect and host != "localhost":
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.hub.port}/cdn{url.path}")
            return self.end_headers()
        return self._content(self.hub.lies.get(path, self.hub.files[path]))

    def _tree(self, query: dict[str, list[str]]) -> None:
        start = int(query.get("cursor", ["0"])[0])
        items = [entry(*item) for item in self.hub.files.items()]
        items.insert(0, {"type": "directory", "path": "sub", "size": 0, "oid": ""})
        body = json.dumps(items[start : start + PAGE]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if start + PAGE < len(items):
            following = f"{self.hub.endpoint}{self.path.partition('?')[0]}?cursor={start + PAGE}"
            self.send_header("Link", f'<{following}>; rel="next"')
        self.end_headers()
        self.wfile.write(body)

    def _content(self, content: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        start = int(asked[1]) if asked and self.hub.ranges else 0
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        end = self.hub.cut.pop(0) if self.hub.cut else len(body)
        self.wfile.write(body[:end])
        self.wfile.flush()
        if self.hub.stall and end < len(body):
            self.hub.stalled.set()
            self.hub.stall.wait()

    def _end(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """``hub`` on a free local port, until the block ends."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        hub.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            if hub.stall:
                hub.stall.set()
            server.shutdown()
            thread.join()
