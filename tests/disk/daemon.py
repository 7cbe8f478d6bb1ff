"""The judge: containerd itself, as a daemon of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pylib.proc import run
from tests.disk.guest import ROOT

_CONFIG = """\
version = 2
root = "{root}/root"
state = "{root}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{root}/socket"
[plugins."io.containerd.gc.v1.scheduler"]
startup_delay = "9h"
schedule_delay = "9h"
"""
"""Garbage is not collected: the views that tell where a tree lies would go with it."""


def program(name: str) -> Path | None:
    """The project's own, if it was built."""
    path = ROOT / ".tools" / "bin" / name
    return path if path.exists() else None


@dataclass(frozen=True)
class Daemon:
    """``ctr`` are the words that begin each call of its client."""

    ctr: tuple[str | Path, ...]

    def pull(self, reference: str) -> None:
        """Pull and unpack an image for amd64."""
        run([*self.ctr, "images", "pull", "--plain-http", "--platform=linux/amd64", reference])

    def listed(self) -> str:
        """What it says of its images."""
        return run([*self.ctr, "images", "ls"]).stdout

    def tree(self, chain: str) -> Path:
        """The folder that the layer of a chain ID was unpacked to."""
        view = f"view-{os.urandom(8).hex()}"  # images share layers
        run([*self.ctr, "snapshots", "view", view, chain])
        text = run([*self.ctr, "snapshots", "mounts", "/nowhere", view]).stdout
        # Of several layers an overlay, the newest first; of one alone a bind mount.
        found = text.partition("lowerdir=")[2] or text.partition("-t bind ")[2]
        return Path(found.replace(":", " ").replace(",", " ").split()[0])


@contextmanager
def containerd(root: Path) -> Iterator[Daemon]:
    """A daemon with nothing in it."""
    root.mkdir()
    (root / "config.toml").write_text(_CONFIG.format(root=root), encoding="utf-8")
    server, client = program("containerd"), program("ctr")
    assert server is not None
    assert client is not None
    with (root / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [server, "--config", root / "config.toml"], stdout=log, stderr=log
        )
        found = Daemon((client, "--address", root / "socket", "--namespace", "k8s.io"))
        try:
            _until_up(found, daemon, root / "log")
            yield found
        finally:
            daemon.terminate()
            daemon.wait()
            shutil.rmtree(root)


def _until_up(found: Daemon, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while run([*found.ctr, "version"], ok_codes=tuple(range(256))).code != 0:
        text = log.read_text(encoding="utf-8")
        assert daemon.poll() is None, text
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
