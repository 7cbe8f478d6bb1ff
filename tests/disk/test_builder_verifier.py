"""gke-disk-image-builder's own verifier on our disk, where it is at hand.

``DISK_IMAGE_BUILDER_VERIFIER`` names its ``script/verify.sh``:
https://github.com/GoogleCloudPlatform/ai-on-gke/tree/a9fc8964/gke-disk-image-builder/script
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pylib.proc import run
from tests.disk.guest import loop
from tests.disk.made import Made

_SETTING = "DISK_IMAGE_BUILDER_VERIFIER"
pytestmark = pytest.mark.skipif(_SETTING not in os.environ, reason=f"{_SETTING} is not set")

_DRIVE = """
for place in /dev/disk /mnt; do
  mkdir -p "$place" && mount -t tmpfs none "$place" || exit 9
done
mkdir -p /dev/disk/by-id && ln -s "$1" /dev/disk/by-id/google-secondary-disk-image-disk
. "$2"
verify_snapshots
"""
_PROGRAMS = {"sudo": 'exec "$@"', "ctr": "echo Server:", "apt": "", "apt-get": "", "systemctl": ""}
"""What stands in for those that install containerd, which the verifier then does not use."""


def verified(disk: Path, folder: Path) -> str:
    """What the verifier prints about the disk, run in a mount namespace of its own."""
    programs = folder / "programs"
    programs.mkdir()
    for name, body in _PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    with loop(disk) as node:
        words = ["unshare", "--mount", "bash", "-c", _DRIVE, "bash", node, os.environ[_SETTING]]
        return run(words, settings=path).stdout


def test_it_takes_our_disk(made: Made, tmp_path: Path) -> None:
    said = verified(made.copy(tmp_path), tmp_path)
    assert "Disk image verification succeeds." in said
    assert said.count("Verification succeeds for snapshot sha256:") >= 2


def test_it_finds_a_changed_byte(made: Made, tmp_path: Path) -> None:
    said = verified(made.tampered(tmp_path), tmp_path)
    assert "Verification fails for snapshot sha256:" in said
    assert "Disk image verification succeeds." not in said
