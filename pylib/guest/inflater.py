"""ISA-L's inflate for the guest: the one in the package ``isal``, where that is installed.

The guest has no compiler and installs nothing, so the extension module goes to it as a file:
:mod:`pylib.guest.payload.isal` uses the C library within it, or zlib where none came.
"""

from __future__ import annotations

import base64
import gzip
from importlib.util import find_spec
from pathlib import Path

_ELF_64_LITTLE = b"\x7fELF\x02\x01"
_MACHINE = slice(18, 20)
_X86_64 = (62).to_bytes(2, "little")
"""``e_machine``: System V ABI, AMD64 supplement, section 4.1."""


def inflater() -> str:
    """The library as metadata holds it; empty where there is none that a bake VM could load."""
    found = extension()
    if found is None:
        return ""
    content = found.read_bytes()
    if not content.startswith(_ELF_64_LITTLE) or content[_MACHINE] != _X86_64:
        return ""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")


def extension() -> Path | None:
    """Its file; nothing of the package is imported."""
    spec = find_spec("isal")
    folders = spec.submodule_search_locations if spec else None
    files = (file for folder in folders or () for file in Path(folder).glob("igzip_lib.*.so"))
    return next(files, None)
