"""What lies on the disk is what containerd itself unpacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylib.guest.inflater import extension
from pylib.guest.payload import isal
from tests.disk.daemon import Daemon
from tests.disk.guest import GIB, do, job, loop, mounted
from tests.disk.hurtful import IMAGES, Make
from tests.disk.registry import Registry
from tests.disk.trees import differences


@pytest.mark.fault("G11")
@pytest.mark.parametrize("make", IMAGES, ids=lambda make: make.__name__)
def test_each_layer_is_unpacked_as_containerd_unpacks_it(
    make: Make, judge: Daemon, registry: Registry, device: str, file: Path, tmp_path: Path
) -> None:
    reference = registry.push(f"{make.__name__.replace('_', '-')}:v1", make(tmp_path))
    judge.pull(reference)

    report = do(job(device, reference), tmp_path / "work")

    assert report["result"] == "ok", report["log"]
    with mounted(file) as disk:
        lines = (disk / "snapshots.metadata").read_text(encoding="utf-8").splitlines()
        assert lines
        for chain, place, _ in (line.split() for line in lines):
            assert differences(disk / place, judge.tree(chain)) == []


@pytest.mark.skipif(extension() is None, reason="the package isal has no library here")
@pytest.mark.parametrize("make", IMAGES, ids=lambda make: make.__name__)
def test_whoever_inflates_the_digest_is_the_same(
    make: Make, registry: Registry, device: str, tmp_path: Path
) -> None:
    reference = registry.push(f"{make.__name__.replace('_', '-')}:v1", make(tmp_path))

    fast = do(job(device, reference), tmp_path / "work")
    with loop(tmp_path / "other.raw", 10 * GIB) as other:
        slow = do(job(other, reference), tmp_path / "work", more={isal.SETTING: ""})

    assert (fast["facts"]["inflate"], slow["facts"]["inflate"]) == ("isal", "zlib")
    assert fast["digest"] == slow["digest"]
