"""Seven ways in which a guest can leave a mounted disk; two give an image that can be used.

``e2fsck -fn`` finds nothing wrong with any of the seven, and nodes mount with ``noload``, so that
what was not written by the end is just not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pylib.proc import run

Way = Callable[[Path, ExitStack], None]
"""What is done to the disk mounted at a place; the stack undoes what would be in the way later."""


def _a_file(place: Path) -> Path:
    return next(path for path in sorted(place.iterdir()) if path.is_file())


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
    later.enter_context(_a_file(place).open("rb"))
    assert "busy" in run(["umount", place], ok_codes=(32,)).stderr


def lazily(place: Path, later: ExitStack) -> None:
    """``umount -l`` succeeds, and unmounts nothing while a file is open."""
    later.enter_context(_a_file(place).open("rb"))
    run(["umount", "-l", place])


def frozen(place: Path, later: ExitStack) -> None:
    """A frozen filesystem is as good as an unmounted one."""
    run(["fsfreeze", "-f", place])
    later.callback(run, ["fsfreeze", "-u", place])


def unmounted(place: Path, _: ExitStack) -> None:
    """What the payload does."""
    run(["umount", place])


UNCLEAN = (nothing, waited, synced, busy, lazily)
CLEAN = (frozen, unmounted)
