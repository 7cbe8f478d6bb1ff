"""gke-disk-image-builder's own verifier on our disk, where it is at hand.

``DISK_IMAGE_BUILDER_VERIFIER`` names its ``script/verify.sh``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pylib.proc import run
from tests.disk import builder
from tests.disk.guest import loop
from tests.disk.made import Made

_SETTING = "DISK_IMAGE_BUILDER_VERIFIER"
pytestmark = pytest.mark.skipif(_SETTING not in os.environ, reason=f"{_SETTING} is not set")


def verified(disk: Path, folder: Path) -> str:
    """What the verifier prints about the disk."""
    programs = builder.programs(folder, "echo Server:")  # it asks only whether containerd runs
    with loop(disk) as node:
        words = builder.words(node, Path(os.environ[_SETTING]), "verify_snapshots")
        return run(words, settings=builder.settings(programs)).stdout


def test_it_takes_our_disk(made: Made, tmp_path: Path) -> None:
    said = verified(made.copy(tmp_path), tmp_path)
    assert "Disk image verification succeeds." in said
    assert said.count("Verification succeeds for snapshot sha256:") >= 2


def test_it_finds_a_changed_byte(made: Made, tmp_path: Path) -> None:
    said = verified(made.tampered(tmp_path), tmp_path)
    assert "Verification fails for snapshot sha256:" in said
    assert "Disk image verification succeeds." not in said
