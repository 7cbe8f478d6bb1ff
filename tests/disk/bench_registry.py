"""``python -m tests.disk.bench_registry BLOBS PORT``: hands out blobs and manifests by digest.

Any repository has every blob of the folder; ranges are answered, and sendfile does the copying, so
that the registry costs those who are measured as little as can be.
"""

from __future__ import annotations

import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_PATH = re.compile(r"/v2/[^?]*/(?:manifests|blobs)/(sha256:[0-9a-f]{64})(?:\?.*)?")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_LARGEST_MANIFEST = 1 << 20


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the distribution specification."""

    protocol_version = "HTTP/1.1"
    blobs = Path()

    def do_HEAD(self) -> None:
        """A blob's length, or that the registry is one."""
        self._answer()

    def do_GET(self) -> None:
        """The same, with the body."""
        self._answer()

    def log_message(self, *_: object) -> None:
        """Nothing: it would cost time."""

    def _answer(self) -> None:
        found = _PATH.fullmatch(self.path)
        blob = self.blobs / found[1] if found else None
        if blob is None or not blob.is_file():
            self.send_response(200 if self.path.startswith("/v2/?") or self.path == "/v2/" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with blob.open("rb") as file:
            self._send(file.fileno(), blob)

    def _send(self, descriptor: int, blob: Path) -> None:
        size = os.fstat(descriptor).st_size
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        stop = min(size, int(asked[2]) + 1) if asked and asked[2] else size
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Content-Type", _kind(blob, size))
        self.send_header("Docker-Content-Digest", blob.name)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        self.wfile.flush()
        while self.command == "GET" and start < stop:
            start += os.sendfile(self.connection.fileno(), descriptor, start, stop - start)


def _kind(blob: Path, size: int) -> str:
    if size < _LARGEST_MANIFEST and blob.read_bytes()[:1] == b"{":
        kind = json.loads(blob.read_bytes()).get("mediaType")
        return str(kind or "application/vnd.oci.image.config.v1+json")
    return "application/octet-stream"


class Server(ThreadingHTTPServer):
    """A client that goes away early is none of its business."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Silence."""


def main() -> None:
    """Serve until killed."""
    Handler.blobs = Path(sys.argv[1])
    Server(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()


if __name__ == "__main__":
    main()
