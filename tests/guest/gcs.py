"""fake-gcs-server, an emulator of Cloud Storage by others, filled by ``gcloud storage``."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SERVER = ROOT / ".tools" / "bin" / "fake-gcs-server"
_SECONDS = 20.0


def why_not() -> str:
    """Why it cannot run here; empty when it can."""
    if not _SERVER.exists():
        return "fake-gcs-server is not built; run scripts/install-tools disk"
    return "" if shutil.which("gcloud") else "gcloud is not on PATH"


@dataclass(frozen=True)
class Storage:
    """A server with the bucket ``models``; ``settings`` make gcloud talk to it, and to no other."""

    url: str
    settings: dict[str, str]

    def upload(self, folder: Path, target: str) -> None:
        """``gcloud storage cp`` of a folder's content."""
        words = ["gcloud", "storage", "cp", "--recursive", "--quiet", *map(str, folder.iterdir())]
        subprocess.run([*words, target], env=self.settings, check=True, capture_output=True)

    def listed(self, folder: str) -> list[tuple[str, int, str]]:
        """Path below a folder, size and generation of each object there, as gcloud tells them."""
        words = ["gcloud", "storage", "objects", "list", f"{folder}**", "--format=json"]
        done = subprocess.run(words, env=self.settings, check=True, capture_output=True, text=True)
        prefix = folder.removeprefix("gs://").partition("/")[2]
        return [
            (it["name"].removeprefix(prefix), int(it["size"]), str(it["generation"]))
            for it in json.loads(done.stdout)
        ]


@contextmanager
def storage(folder: Path) -> Iterator[Storage]:
    """A server that keeps its objects below ``folder``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    words: list[str | Path] = [_SERVER, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    words += ["-backend", "filesystem", "-filesystem-root", folder / "gcs"]
    words += ["-public-host", f"127.0.0.1:{port}", "-external-url", url]
    with (folder / "gcs.log").open("wb") as log, subprocess.Popen(words, stderr=log) as server:
        try:
            _wait(server, port)
            _make_bucket(url)
            yield Storage(url, _settings(url, folder))
        finally:
            server.terminate()


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("fake-gcs-server does not start")


def _make_bucket(url: str) -> None:
    request = urllib.request.Request(  # noqa: S310  # loopback
        f"{url}/storage/v1/b?project=demo-project",
        b'{"name": "models"}',
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=10.0).close()  # noqa: S310


def _settings(url: str, folder: Path) -> dict[str, str]:
    """https://cloud.google.com/sdk/docs/properties: each can be set by such a variable."""
    return {
        **os.environ,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{url}/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "CLOUDSDK_CORE_PROJECT": "demo-project",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
    }
