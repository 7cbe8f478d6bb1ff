"""Where ``accept`` looks for mounts and read-ahead, the kernel says what the CSI driver has set."""

from __future__ import annotations

from pathlib import Path

from pylib.accept.inside import MOUNTS, mount_at, read_ahead_files
from pylib.proc import run
from tests.disk.guest import loop


def said_of(place: Path) -> tuple[tuple[str, ...], str]:
    """Options of the mount at a place, and what ``cat`` says of its read-ahead, as in a pod."""
    mount = mount_at(Path(MOUNTS).read_text(encoding="utf-8"), str(place))
    assert mount is not None
    done = run(["cat", *read_ahead_files(mount.device)], ok_codes=(0, 1))
    return mount.options, done.stdout.split()[0]


def test_a_read_only_mount_and_its_read_ahead_are_seen_as_the_driver_set_them(
    tmp_path: Path,
) -> None:
    place = tmp_path / "model data"  # a space, which the kernel writes as \\040
    place.mkdir()
    with loop(tmp_path / "disk", 64 << 20) as device:
        run(["mkfs.ext4", "-q", device])
        run(["mount", "-o", "ro", device, place])
        try:
            # The driver sets it after the mount, in sectors of 512 bytes.
            run(["blockdev", "--setra", str(4096 * 2), device])
            assert said_of(place) == (("ro", "relatime"), "4096")
        finally:
            run(["umount", place])
