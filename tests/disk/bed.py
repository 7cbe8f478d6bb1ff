"""``python -m tests.disk.bed -f CONFIG -- COMMAND…``: a Google Cloud to bake in, on this machine.

An emulator of Google Cloud, whose bucket has a small model where the config's lies, and a registry,
which has a small image for each of the config's image cache; the command runs with VFS_ENDPOINT,
and with VFS_MIRROR for ``bake --mirror``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pylib.config.model import Config
from pylib.config.parse import load_config
from pylib.config.types import GS_SOURCE
from pylib.emulator import Emulator, Settings
from tests.cloud.emulated import Raw, put_objects
from tests.cloud.emulated_bake import fill
from tests.disk.layers import Image, Layer, gzipped, image
from tests.disk.registry import Registry, serving
from tests.guest.models import model


def main() -> int:
    """Start both, and run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.disk.bed", description=__doc__)
    parser.add_argument("-f", "--config", type=Path, required=True, help="whose images there are")
    parser.add_argument("command", nargs="+", help="what to run")
    args = parser.parse_args()
    config = load_config(args.config)
    settings = Settings(project=config.project)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Registry()) as registry,
        Emulator(Path(folder), settings=settings, guest="auto") as emulator,
    ):
        guests = "real: the VM's script and payload run, on loop devices"
        if emulator.simulated:
            emulator.stop()
            emulator.guest_program = fill
            emulator.start()
            guests = f"simulated ({emulator.why_simulated}); the disk image holds nothing"
        hosts = set()
        for reference in config.imageCache.images:
            host, _, name = reference.partition("/")
            hosts.add(host)
            registry.push(name, _small())
        emulator.add_cluster(config.cluster.name, config.cluster.location or config.region)
        _put_model(emulator.url, config)
        _say(f"emulated: Google Cloud at {emulator.url}; guests are {guests}")
        _say("simulated: the registry and the bucket; images and model are of a few KiB")
        mirrors = " ".join(f"--mirror={host}=http://{registry.address}" for host in sorted(hosts))
        set_for_it = {"VFS_ENDPOINT": emulator.url, "VFS_MIRROR": mirrors}
        return subprocess.run(
            args.command, env={**os.environ, **set_for_it}, check=False
        ).returncode


def _small() -> Image:
    base = Layer().folder("usr").folder("usr/bin").file("usr/bin/vllm", b"#!/bin/sh\n", mode=0o755)
    return image([gzipped(base), gzipped(Layer().symlink("bin", "usr/bin"))])


def _put_model(url: str, config: Config) -> None:
    """A model of two files at the config's source."""
    match = GS_SOURCE.fullmatch(config.model.source or "")
    if match is None:
        return
    folder = match["path"].strip("/")
    files = {f"{folder}/{path}": content for path, content in model().items()}
    put_objects(Raw(url), config.project, match["bucket"], files)


def _say(line: str) -> None:
    sys.stderr.write(f"==> {line}\n")


if __name__ == "__main__":
    sys.exit(main())
