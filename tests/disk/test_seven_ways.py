"""Seven ways in which a guest can leave its disk; two of them give an image that can be used.

``e2fsck -fn`` finds nothing wrong with any of the seven, and nodes mount with ``noload``, so that
what was not written by the end is just not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from pylib.guest.payload.disk import FEATURES
from pylib.proc import run
from tests.disk.guest import loop, mounted
from tests.disk.made import SIZE, Made, copied

Way = Callable[[Path, ExitStack], None]
"""What is done to the disk mounted at a place; the stack undoes what would be in the way later."""


def nothing(place: Path, _: ExitStack) -> None:
    """The power goes with all in the page cache."""


def waited(place: Path, _: ExitStack) -> None:
    """Longer than the journal waits: names are there, but not yet what is in the files."""
    time.sleep(2)


def synced(place: Path, _: ExitStack) -> None:
    """All is written, and the journal still has to be replayed."""
    run(["sync", "-f", place])


def busy(place: Path, later: ExitStack) -> None:
    """``umount`` failed, and nobody looked at its status."""
    later.enter_context((place / "snapshots.metadata").open("rb"))
    assert "busy" in run(["umount", place], ok_codes=(32,)).stderr


def lazily(place: Path, later: ExitStack) -> None:
    """``umount -l`` succeeds, and unmounts nothing while a file is open."""
    later.enter_context((place / "snapshots.metadata").open("rb"))
    run(["umount", "-l", place])


def frozen(place: Path, later: ExitStack) -> None:
    """A frozen filesystem is as good as an unmounted one."""
    run(["fsfreeze", "-f", place])
    later.callback(run, ["fsfreeze", "-u", place])


def unmounted(place: Path, _: ExitStack) -> None:
    """What the payload does."""
    run(["umount", place])


def _left(how: Way, content: Path, folder: Path) -> Path:
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
@pytest.mark.parametrize("way", [nothing, waited, synced, busy, lazily, frozen, unmounted])
def test_only_a_disk_that_was_unmounted_or_frozen_passes(
    way: Way, made: Made, tmp_path: Path
) -> None:
    with mounted(made.copy(tmp_path)) as content:
        image = _left(way, content, tmp_path)
        # Of the others nothing is sure: whoever calls sync(2) on this machine writes them too.
        assert _is_seen(image, content) or way in {nothing, waited, busy, lazily}
    assert run(["e2fsck", "-fn", image]).code == 0

    report = made.check(image)

    if way in {frozen, unmounted}:
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
