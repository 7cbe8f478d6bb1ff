"""gke-disk-image-builder's own scripts on our disks: what installs or asks Google does nothing.

https://github.com/GoogleCloudPlatform/ai-on-gke/tree/a9fc8964/gke-disk-image-builder/script
"""

from __future__ import annotations

import os
from pathlib import Path

_DRIVE = """
for place in /dev/disk /etc/containerd /mnt; do
  mkdir -p "$place" && mount -t tmpfs none "$place" || exit 9
done
mkdir -p /dev/disk/by-id && ln -s "$1" /dev/disk/by-id/google-secondary-disk-image-disk
. "$2"
"${@:3}"
"""


def programs(folder: Path, ctr: str) -> Path:
    """A folder of programs in place of the real ones; ``ctr`` is the text of that."""
    made = folder / "shims"
    made.mkdir(exist_ok=True)
    bodies = {"sudo": 'exec "$@"', "ctr": ctr}
    bodies |= dict.fromkeys(("apt", "apt-get", "systemctl", "curl", "jq"), "exit 0")
    for name, body in bodies.items():
        (made / name).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        (made / name).chmod(0o755)
    return made


def words(device: str, script: Path, *call: str) -> list[str | Path]:
    """The command that calls a function of the script, in a mount namespace of its own."""
    return ["unshare", "--mount", "bash", "-c", _DRIVE, "bash", device, script, *call]


def settings(programs: Path) -> dict[str, str]:
    """The environment in which those :func:`programs` are found first."""
    return {"PATH": f"{programs}:{os.environ['PATH']}"}
