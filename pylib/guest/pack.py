"""From a job to the metadata of the VM that does it: startup script, payload, job."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pylib.chart import chart_path
from pylib.errors import BakeError
from pylib.guest.inflater import inflater

LARGEST_VALUE = 256 << 10
"""Bytes of one metadata value:
https://cloud.google.com/compute/docs/metadata/setting-custom-metadata#limitations."""
LARGEST = 508 << 10
"""Bytes of all values together; 4 KiB of the limit are left for what others add, say ssh keys."""
_PACKAGE = "pylib/guest/payload"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The same payload is the same bytes, whenever it was checked out."""


def metadata(job: Mapping[str, Any]) -> Mapping[str, str]:
    """Attributes of a VM that does ``job`` as soon as it boots.

    Raises :class:`BakeError` for a job that no metadata value holds.
    """
    found = {
        "startup-script": _guest("startup.sh").read_text(encoding="utf-8"),
        "vfs-payload": base64.b64encode(payload()).decode("ascii"),
        "vfs-job": json.dumps(job, sort_keys=True),
        "enable-guest-attributes": "TRUE",
    }
    for name, value in found.items():
        if (size := len(value.encode())) > LARGEST_VALUE:
            raise BakeError(
                f"the VM's metadata {name} would have {size} bytes; Compute Engine takes "
                f"{LARGEST_VALUE}. Bake fewer images in one disk."
            )
    return found | _inflater(sum(map(len, found.values())))


def _inflater(used: int) -> dict[str, str]:
    """What makes the guest faster, where there is room for it."""
    value = inflater()
    fits = len(value) <= min(LARGEST_VALUE, LARGEST - used)
    return {"vfs-inflate": value} if value and fits else {}


def payload() -> bytes:
    """The payload's package, and the chart's download beside it, as a zip archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, content in _files():
            about = zipfile.ZipInfo(name, _EPOCH)
            about.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(about, content)
    return archive.getvalue()


def _files() -> Iterator[tuple[str, bytes]]:
    """The packages above are empty: the payload has no other part of this library."""
    yield "pylib/__init__.py", b""
    yield "pylib/guest/__init__.py", b""
    for name, folder in ((_PACKAGE, _guest("payload")), ("download", downloader())):
        sources = (file for file in folder.iterdir() if file.name.endswith(".py"))
        for file in sorted(sources, key=lambda file: file.name):
            yield f"{name}/{file.name}", file.read_bytes()


def downloader() -> Path:
    """The package that the chart's Job downloads a model with: one way to judge a model's files,
    and one to read Hugging Face, wherever the disk is filled."""
    return chart_path() / "files" / "download"


def _guest(name: str) -> Traversable:
    return resources.files("pylib.guest").joinpath(name)
