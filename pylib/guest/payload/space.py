"""What a full disk is full of."""

from __future__ import annotations

import errno
import os

from pylib.guest.payload.failure import GuestError, line_of

_GIB = 1 << 30


def explained(error: OSError, root: bytes) -> Exception:
    """``error``, or what to do about it when it says that the disk of ``root`` is full."""
    if error.errno != errno.ENOSPC:
        return error
    found = os.statvfs(root)
    size = found.f_blocks * found.f_frsize / _GIB
    name = error.filename.decode("utf-8", "replace") if error.filename else "a file"
    if found.f_ffree == 0:
        text = (
            f"the disk is full: all its {found.f_files} inodes are used, at {name}; bake with a "
            "larger disk, which has more of them"
        )
    elif found.f_bavail * found.f_frsize > 1 << 20:
        text = (
            f"{name} has extended attributes that do not fit the one block that ext4 has for them; "
            "a node could not unpack it either"
        )
    else:
        text = (
            f"the disk is full: its {size:.1f} GiB do not hold the unpacked images, at {name}; "
            "bake with a larger disk"
        )
    return GuestError(text, line_of(error))
