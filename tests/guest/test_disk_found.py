"""A disk that is not there, is none, or is not the one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pylib.guest.payload import disk
from pylib.guest.payload.disk import Disk
from pylib.guest.payload.failure import GuestError

SUPERBLOCK = 1024


@pytest.mark.fault("G5")
def test_a_disk_that_never_comes_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "google-other").touch()
    wanted = tmp_path / "google-vfs-target"
    with pytest.raises(GuestError, match=r"is not there after 0 s; attached are google-other$"):
        disk.find(str(wanted), 0, wait_seconds=0.0)
    with pytest.raises(GuestError, match="attached are none"):
        disk.find(str(tmp_path / "no" / "folder"), 0, wait_seconds=0.0)


@pytest.mark.fault("G5")
def test_a_link_that_comes_late_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = tmp_path / "google-vfs-target"
    monkeypatch.setattr(time, "sleep", lambda _: wanted.touch())
    with pytest.raises(GuestError, match="google-vfs-target is no disk"):
        disk.find(str(wanted), 0, wait_seconds=60.0)


def ext4(tmp_path: Path, *, state: int = 1, incompat: int = 0, magic: int = 0xEF53) -> Disk:
    """A file with the fields of a superblock."""
    block = bytearray(1024)
    block[56:58] = magic.to_bytes(2, "little")
    block[58:60] = state.to_bytes(2, "little")
    block[96:100] = incompat.to_bytes(4, "little")
    file = tmp_path / "disk"
    file.write_bytes(bytes(SUPERBLOCK) + bytes(block) + bytes(2048))
    return Disk(str(file), str(file), file.stat().st_size)


@pytest.mark.fault("G18")
def test_a_superblock_tells_whether_the_disk_is_whole(tmp_path: Path) -> None:
    disk.prove_clean(ext4(tmp_path, incompat=0x40))
    with pytest.raises(GuestError, match="its superblock says needs_recovery"):
        disk.prove_clean(ext4(tmp_path, incompat=0x44))
    for state in (0, 2, 3):
        with pytest.raises(GuestError, match=f"has an ext4 with errors: state {state}"):
            disk.prove_clean(ext4(tmp_path, state=state))
    with pytest.raises(GuestError, match="holds no ext4"):
        disk.prove_clean(ext4(tmp_path, magic=0))


@pytest.mark.fault("G5", "G6")
@pytest.mark.parametrize(
    ("at", "content", "said"),
    [
        (510, b"\x55\xaa", ", it has a partition table"),
        (512, b"EFI PART", ", it has a partition table"),
        (1080, b"\x53\xef", ", it has an ext4"),
        (300, b"x", ""),
    ],
)
def test_a_disk_that_holds_something_is_not_formatted(
    tmp_path: Path, at: int, content: bytes, said: str
) -> None:
    file = tmp_path / "disk"
    held = bytearray(1 << 20)
    held[at : at + len(content)] = content
    file.write_bytes(held)
    found = Disk(str(file), str(file), 1 << 20)
    with pytest.raises(GuestError, match=f"is not blank: byte {at} is not zero{said}; it is not"):
        disk.make_filesystem(found)
    assert file.read_bytes() == held


@pytest.mark.fault("G6")
def test_what_cannot_be_opened_is_in_use(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="is in use, mounted or by another device"):
        disk.prove_blank(Disk("l", str(tmp_path / "none"), 1))


@pytest.mark.fault("G1")
def test_what_is_no_mount_is_told(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="cannot be unmounted: "):
        disk.unmount(tmp_path)
    with pytest.raises(GuestError, match="cannot be mounted read-only: "):
        disk.mount_to_read(Disk("l", str(tmp_path / "none"), 1), tmp_path / "m")
