"""The target disk: found, proven blank and ours, formatted, mounted, unmounted, proven clean.

Nothing here formats a disk that holds anything: not a partitioned one, not one in use, not one with
a byte other than zero where something would have left one.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from pylib.guest.payload import commands, native
from pylib.guest.payload.failure import GuestError

WAIT_SECONDS = 90.0
"""udev makes the by-id link some time after the boot."""
_MIB = 1 << 20
_EDGE = 4 * _MIB
_SAMPLE = 64 << 10
_STRIDE = 128 * _MIB
"""ext4 keeps copies of its superblock at the start of some groups, and those are 128 MiB apart."""
_BLKGETSIZE64, _BLKFLSBUF = 0x80081272, 0x1261
_SUPERBLOCK, _MAGIC = 1024, 0xEF53
_RECOVER, _VALID, _ERROR = 0x4, 0x1, 0x2
FEATURES = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,"
    "large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
)
"""What every kernel of a GKE node reads; named one by one, so that a newer mke2fs adds nothing:
Documentation/filesystems/ext4 and e2fsprogs' mke2fs.conf, all there since Linux 3.18."""
WRITE_FLAGS = native.MS_NOATIME | native.MS_NODEV | native.MS_NOSUID | native.MS_NOEXEC
READ_FLAGS = WRITE_FLAGS | native.MS_RDONLY


@dataclass(frozen=True)
class Disk:
    """``node`` is the device itself, ``link`` the name that it was asked for by."""

    link: str
    node: str
    size: int


def find(link: str, expected_bytes: int, wait_seconds: float = WAIT_SECONDS) -> Disk:
    """The disk of that name, once it is there.

    Raises :class:`GuestError` when it does not come, is no whole disk or not of the size.
    """
    end = time.monotonic() + wait_seconds
    while not Path(link).exists():
        if time.monotonic() > end:
            raise GuestError(
                f"{link} is not there after {wait_seconds:.0f} s; attached are {_attached(link)}"
            )
        time.sleep(0.2)
    node = os.path.realpath(link)
    status = Path(node).stat()
    if not stat.S_ISBLK(status.st_mode):
        raise GuestError(f"{link} is no disk")
    _refuse_partitions(link, status.st_rdev)
    size = _size(node)
    if expected_bytes and size != expected_bytes:
        raise GuestError(f"{link} has {size} bytes, not {expected_bytes}: it is another disk")
    return Disk(link, node, size)


def _attached(link: str) -> str:
    try:
        names = sorted(entry.name for entry in Path(link).parent.iterdir())
    except OSError:
        names = []
    return ", ".join(names) or "none"


def _refuse_partitions(link: str, device: int) -> None:
    about = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if (about / "partition").exists():
        raise GuestError(f"{link} is a partition, not a whole disk")
    parts = sorted(path.parent.name for path in about.glob("*/partition"))
    if parts:
        raise GuestError(f"{link} has partitions ({', '.join(parts)}): it is not formatted")


def _size(node: str) -> int:
    with Path(node).open("rb", buffering=0) as device:
        answer = fcntl.ioctl(device, _BLKGETSIZE64, bytes(8))
    return int.from_bytes(answer, "little")


def prove_blank(disk: Disk) -> None:
    """Raises :class:`GuestError` unless nobody uses the disk and it reads as zeros."""
    descriptor = _open_alone(disk)
    try:
        for start, length in _samples(disk.size):
            found = os.pread(descriptor, length, start)
            if found.count(0) != len(found):
                offset = start + next(at for at, byte in enumerate(found) if byte)
                raise GuestError(
                    f"{disk.link} is not blank: byte {offset} is not zero{_owner(descriptor)}; it "
                    "is not formatted"
                )
    finally:
        os.close(descriptor)


def _open_alone(disk: Disk) -> int:
    try:
        return os.open(disk.node, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        raise GuestError(f"{disk.link} is in use, mounted or by another device: {error}") from None


def _samples(size: int) -> list[tuple[int, int]]:
    """Both ends, where tables and signatures lie, and the start of each 128 MiB between."""
    edge = min(_EDGE, size)
    middle = [(start, min(_SAMPLE, size - start)) for start in range(_STRIDE, size, _STRIDE)]
    return [(0, edge), *middle, (max(0, size - edge), edge)]


def _owner(descriptor: int) -> str:
    head = os.pread(descriptor, 4096, 0)
    if head[512:520] == b"EFI PART" or head[510:512] == b"\x55\xaa":
        return ", it has a partition table"
    if head[_SUPERBLOCK + 56 : _SUPERBLOCK + 58] == _MAGIC.to_bytes(2, "little"):
        return ", it has an ext4"
    return ""


def make_filesystem(disk: Disk, *options: str) -> None:
    """ext4 on the whole disk, with more ``options`` of mkfs.ext4.  Inode tables are not zeroed
    again: they are, and a node would read them only."""
    prove_blank(disk)
    extended = "assume_storage_prezeroed=1,lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    commands.run(
        *("mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", "-O", FEATURES, "-E", extended),
        *options,
        disk.node,
    )


def mount_to_write(disk: Disk, folder: Path) -> None:
    """Mount; inode tables stay as they are, so that no thread of the kernel writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    native.mount(disk.node, str(folder), WRITE_FLAGS, "noinit_itable")


def mount_to_read(disk: Disk, folder: Path) -> None:
    """Mount as GKE's PD CSI driver does, read-only and without replaying a journal."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        native.mount(disk.node, str(folder), READ_FLAGS, "noload")
    except OSError as error:
        raise GuestError(f"{disk.link} cannot be mounted read-only: {error}") from None


def sync(folder: Path) -> None:
    """Write everything out; raises :class:`OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        native.sync_filesystem(descriptor)
    finally:
        os.close(descriptor)


def unmount(folder: Path) -> None:
    """Raises :class:`GuestError` when the kernel says no; lazily would only hide it."""
    try:
        native.unmount(str(folder))
    except OSError as error:
        raise GuestError(f"{folder} cannot be unmounted: {error.strerror}") from None


def prove_clean(disk: Disk) -> None:
    """Raises :class:`GuestError` unless nobody has the filesystem open, and its superblock says
    that the journal need not be replayed and that no error was found."""
    descriptor = _open_alone(disk)
    try:
        block = os.pread(descriptor, 1024, _SUPERBLOCK)
    finally:
        os.close(descriptor)
    if int.from_bytes(block[56:58], "little") != _MAGIC:
        raise GuestError(f"{disk.link} holds no ext4")
    state = int.from_bytes(block[58:60], "little")
    if int.from_bytes(block[96:100], "little") & _RECOVER:
        raise GuestError(
            f"{disk.link} was not unmounted cleanly: its superblock says needs_recovery"
        )
    if state & _ERROR or not state & _VALID:
        raise GuestError(f"{disk.link} has an ext4 with errors: state {state}")


def flush(disk: Disk) -> None:
    """Have the disk itself keep everything, and the kernel forget what it read."""
    descriptor = os.open(disk.node, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
        fcntl.ioctl(descriptor, _BLKFLSBUF)
    finally:
        os.close(descriptor)
