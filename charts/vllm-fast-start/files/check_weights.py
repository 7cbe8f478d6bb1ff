"""Checks a weights volume against its manifest before vLLM starts; ends in about a second.

A disk image cut from an unclean file system mounts without an error and shows an empty or older
folder; vLLM then fails after a minute with a message about something else.  Sizes are compared, not
hashes: hashing would read all weights once more.  Runs in the vLLM image, Python 3.8 or newer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MANIFEST = "weights.manifest.json"
SHOWN = 5


class WeightsError(Exception):
    """The volume is not what the manifest, or the chart's values, say."""


def check(root: Path, model: str, manifest_sha256: str | None) -> int:
    """Number of files that are in order below ``root``; raises :class:`WeightsError` otherwise.

    ``model`` is the model's path below ``root``; ``manifest_sha256`` is compared when given.
    """
    entries = read_manifest(root / MANIFEST, manifest_sha256)
    if not any(entry["path"].startswith(f"{model}/") for entry in entries):
        folders = sorted({str(Path(entry["path"]).parent) for entry in entries})
        message = (
            f"The manifest knows no file below {model}; it knows {', '.join(folders) or 'none'}. "
            "Set model.directory and model.name to one of these."
        )
        raise WeightsError(message)
    wrong = [line for line in (problem(root, entry) for entry in entries) if line]
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        message = (
            f"{len(wrong)} of {len(entries)} files differ from the manifest: "
            f"{'; '.join(wrong[:SHOWN])}{more}. "
            "The disk's image was cut too early or from an unclean file system: bake it again."
        )
        raise WeightsError(message)
    return len(entries)


def read_manifest(file: Path, sha256: str | None) -> list[dict[str, Any]]:
    """The manifest's entries ``{path, size, sha256}``, after its own sha256 is compared."""
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        message = (
            f"There is no {MANIFEST} at the root of the volume. The volume is empty or was not "
            "baked by this project; if it is good nevertheless, set weights.verify: none."
        )
        raise WeightsError(message) from None
    found = hashlib.sha256(text).hexdigest()
    if sha256 and found != sha256:
        message = (
            f"The manifest's sha256 is {found}, not {sha256}: this disk holds another revision. "
            "Set the disk and manifestSha256 of the same revision in weights.disk.revisions."
        )
        raise WeightsError(message)
    return parse_manifest(text)


def parse_manifest(text: bytes) -> list[dict[str, Any]]:
    """The entries in ``text``; raises :class:`WeightsError` unless they are a list of files."""
    try:
        entries = json.loads(text)
        good = bool(entries) and all(
            isinstance(entry["path"], str) and isinstance(entry["size"], int) for entry in entries
        )
    except (ValueError, TypeError, KeyError):
        good = False
        entries = []
    if not good:
        message = f"{MANIFEST} is not a list of files with path and size: bake the disk again."
        raise WeightsError(message)
    return list(entries)


def problem(root: Path, entry: dict[str, Any]) -> str:
    """What is wrong with one file; empty when nothing is."""
    path = entry["path"]
    try:
        found = (root / path).lstat()
    except OSError:
        return f"{path} is missing"
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is not a plain file"
    if found.st_size != entry["size"]:
        return f"{path} has {found.st_size} bytes instead of {entry['size']}"
    return ""


def report(message: str, termination_log: Path) -> None:
    """Say why it failed: in the log, and where ``kubectl describe pod`` shows it."""
    sys.stderr.write(f"{message}\n")
    if termination_log.exists():
        termination_log.write_text(message[-4000:], encoding="utf-8")


def main(argv: Sequence[str] | None = None, termination_log: str = "/dev/termination-log") -> int:
    """Check one volume; a failure is one paragraph on standard error and in the termination log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--manifest-sha256")
    options = parser.parse_args(argv)
    try:
        count = check(options.root, options.model, options.manifest_sha256)
    except WeightsError as error:
        report(str(error), Path(termination_log))
        return 1
    sys.stdout.write(f"{count} files have the sizes of the manifest.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
