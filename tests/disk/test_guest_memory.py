"""The payload's memory has a bound, whatever the size of a layer or of a file in it."""

from __future__ import annotations

import gzip
import hashlib
import sys
from pathlib import Path

from tests.disk.guest import do, job, loop
from tests.disk.layers import Layer, Packed, digest_of, image
from tests.disk.registry import Registry

MIB = 1 << 20
BOUND_MIB = 128
"""Of one process: Python itself, the buffers of a layer, some slack."""
SPREAD_MIB = 16
_PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
open(sys.argv[1], "w").write(str(peak // 1024))
sys.exit(code)
"""


def layer(mib: int) -> Packed:
    """A layer of one large file and some small ones, in a gzip that is as large as they are."""
    some = hashlib.shake_128(b"seed").digest(MIB)
    made = Layer().file("large", some * (mib - 8))
    for number in range(40):
        made.file(f"small{number}", some[: 200 << 10])
    tar = made.tar()
    return Packed(gzip.compress(tar, 0, mtime=0), digest_of(tar), "gzip")


def peak_mib(mib: int, registry: Registry, work: Path) -> int:
    """Most memory that any process of a bake of such a layer had, in MiB."""
    work.mkdir()
    reference = registry.push("app:v1", image([layer(mib)]))
    with loop(work / "target.raw", 2048 * MIB) as device:
        words = (sys.executable, "-c", _PEAK, str(work / "peak"))
        assert do(job(device, reference), work / "work", *words)["result"] == "ok"
    return int((work / "peak").read_text(encoding="ascii"))


def test_a_layer_four_times_as_large_takes_no_more_memory(
    registry: Registry, tmp_path: Path
) -> None:
    small = peak_mib(80, registry, tmp_path / "small")
    large = peak_mib(320, registry, tmp_path / "large")
    assert large <= small + SPREAD_MIB
    assert large <= BOUND_MIB
