"""The two files that tell a node what the disk holds.

Forms: gke-disk-image-builder's script/startup.sh (GoogleCloudPlatform/ai-on-gke@0808213), which
writes ``<chain ID> snapshots/<N>/fs <checksum>`` in the order of ``ctr snapshots ls``, sorted, and
what ``ctr -n k8s.io images ls`` prints; containerd 1.6.20's cmd/ctr/commands/images/images.go and
its CRI plugin, which adds a label and a second name, the config's digest, to each image it sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pylib.guest.payload.image import Image
from pylib.guest.payload.reference import DIGEST

SNAPSHOTS, IMAGES = "snapshots.metadata", "images.metadata"
_COLUMNS = ("REF", "TYPE", "DIGEST", "SIZE", "PLATFORMS", "LABELS")
_LABEL = "io.cri-containerd.image=managed"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def snapshots_text(snapshots: Mapping[str, tuple[str, str]]) -> str:
    """Lines of chain ID, path and checksum, from ``{chain ID: (path, checksum)}``."""
    return "".join(
        f"{chain} {path} {checksum}\n" for chain, (path, checksum) in sorted(snapshots.items())
    )


def images_text(images: Sequence[Image]) -> str:
    """A table, each cell padded to its column, with one space after it."""
    rows = [_COLUMNS, *sorted(_rows(images))]
    widths = [max(len(row[column]) for row in rows) + 1 for column in range(len(_COLUMNS))]
    lines = ("".join(map(str.ljust, row, widths)) for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _rows(images: Sequence[Image]) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for image in images:
        platforms = ",".join(image.platforms) or "-"
        rest = (image.media_type, image.digest, human(image.size), platforms, _LABEL)
        found |= {(image.name, *rest), (image.config_digest, *rest)}
    return found


def parse_images(text: str) -> dict[str, str]:
    """Digest by reference, from the text of ``images.metadata``; its rows that give an image the
    name of its config's digest are left out, and so is whatever is no row."""
    rows = [line.split()[:3] for line in text.splitlines()]
    return {
        row[0]: row[2]
        for row in rows
        if len(row) == 3 and DIGEST.fullmatch(row[2]) and not DIGEST.fullmatch(row[0])
    }


def human(size: int) -> str:
    """Bytes as containerd prints them: ``1.4 GiB``."""
    value, unit = float(size), 0
    while value >= 1024.0 and unit < len(_UNITS) - 1:
        value /= 1024.0
        unit += 1
    return f"{value:.1f} {_UNITS[unit]}"
