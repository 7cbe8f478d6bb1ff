"""The C libraries that every Debian 12 has, through ctypes.

libz and libzstd are dependencies of dpkg, libxxhash of apt.  Calls let other threads run.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import cache

from pylib.guest.payload.failure import GuestError

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME = 1, 2, 4, 8, 1024
"""Flags of mount(2): include/uapi/linux/mount.h."""
PR_SET_PDEATHSIG = 1


@cache
def library(name: str, package: str) -> ctypes.CDLL:
    """The shared library; raises :class:`GuestError` that names Debian's package."""
    try:
        return ctypes.CDLL(name, use_errno=True)
    except OSError as error:
        raise GuestError(
            f"{name} cannot be loaded ({error}): the boot image must be Debian 12 with its package "
            f"{package}"
        ) from None


@cache
def libc() -> ctypes.CDLL:
    """The C library."""
    return ctypes.CDLL(None, use_errno=True)


def c_text(message: bytes | None) -> str:
    """What a library says of an error, if anything."""
    return message.decode("utf-8", "replace") if message else "no reason given"


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(device: str, folder: str, flags: int, options: str) -> None:
    """Mount an ext4; raises :class:`OSError`."""
    call = libc().mount(
        device.encode(),
        folder.encode(),
        b"ext4",
        ctypes.c_ulong(flags),
        options.encode(),
    )
    _checked(call, f"mount {device}")


def unmount(folder: str) -> None:
    """Unmount, not lazily; raises :class:`OSError`, with EBUSY while anything is open there."""
    _checked(libc().umount2(folder.encode(), 0), f"umount {folder}")


def sync_filesystem(descriptor: int) -> None:
    """Write all that is dirty in the filesystem of an open file; raises :class:`OSError`."""
    _checked(libc().syncfs(descriptor), "syncfs")


def address_of(memory: mmap.mmap | memoryview | bytearray) -> int:
    """Where writable memory lies."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def executable(code: bytes) -> mmap.mmap:
    """Memory that holds ``code``, to be run and no longer written; raises :class:`OSError`."""
    page = mmap.mmap(-1, len(code))
    page.write(code)
    address = ctypes.c_void_p(address_of(page))
    protection = mmap.PROT_READ | mmap.PROT_EXEC
    _checked(libc().mprotect(address, ctypes.c_size_t(len(code)), protection), "mprotect")
    return page


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that forked it ends."""
    _checked(libc().prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(9), 0, 0, 0), "prctl")
