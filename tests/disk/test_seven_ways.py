"""Seven ways in which a guest can leave its disk; two of them give an image that can be used.

``e2fsck -fn`` finds nothing wrong with any of the seven, and nodes mount with ``noload``, so that
what was not written by the end is just not there.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from pylib.guest.payload.disk import FEATURES
from pylib.proc import run
from tests.disk import ways
from tests.disk.guest import loop, mounted
from tests.disk.made import SIZE, Made, copied


def _left(how: ways.Way, content: Path, folder: Path) -> Path:
    """What an image of a disk with ``content`` holds that was left in this way."""
    file, place = folder / "left.raw", folder / "rw"
    place.mkdir()
    with loop(file, SIZE) as node:
        run(["mkfs.ext4", "-q", "-O", FEATURES, node])
        run(["mount", "-o", "commit=1", node, place])
        try:
            with ExitStack() as later:
                run(["cp", "-a", f"{content}/.", place])
                how(place, later)
                return copied(file, folder / "image.raw")
        finally:
            if place.is_mount():
                run(["umount", place])


@pytest.mark.fault("G1", "G3", "G18")
@pytest.mark.parametrize("way", [*ways.UNCLEAN, *ways.CLEAN])
def test_only_a_disk_that_was_unmounted_or_frozen_passes(
    way: ways.Way, made: Made, tmp_path: Path
) -> None:
    with mounted(made.copy(tmp_path)) as content:
        image = _left(way, content, tmp_path)
        # Of the others nothing is sure: whoever calls sync(2) on this machine writes them too.
        assert way not in {*ways.CLEAN, ways.synced} or _is_seen(image, content)
    assert run(["e2fsck", "-fn", image]).code == 0

    report = made.check(image)

    if way in ways.CLEAN:
        assert (report["result"], report["digest"]) == ("ok", made.digest), report["message"]
    else:
        assert report["result"] == "fail"
        assert "its superblock says needs_recovery" in report["message"]


def _is_seen(image: Path, content: Path) -> bool:
    """Whether a node that mounts the image finds what was written."""
    with mounted(image) as seen:
        return all(
            (seen / name).exists() and (seen / name).read_bytes() == (content / name).read_bytes()
            for name in ("snapshots.metadata", "snapshots/2/fs/e/g")
        )
