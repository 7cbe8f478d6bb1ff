"""``python3 -m download``: fills a disk with one model.  See the package's docstring."""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from download import tree
from download.common import STATE, DownloadError, RefusedError, Source, safe_path
from download.gs import CloudStorage
from download.hf import HuggingFace
from download.http_client import Client


def run(options: argparse.Namespace) -> str:
    """Download, verify, write the manifest; gives the manifest's sha256."""
    root: Path = options.root
    folder = root / safe_path(options.directory)
    source = source_of(options)
    with held(root) as state:
        (root / tree.MANIFEST).unlink(missing_ok=True)
        files = source.files()
        for file in files:
            safe_path(file.path)
        tree.check_listing(files, options.source)
        tree.check_space(files, folder, shutil.disk_usage(root).free)
        say(f"{len(files)} files, {sum(file.size for file in files) / 2**30:.2f} GiB")
        folder.mkdir(parents=True, exist_ok=True)
        source.fetch(files, folder, state)
        tree.settle(files, folder)
        tree.check_index(folder)
        say("downloaded; hashing")
        sha256 = tree.hashes(files, folder)
        tree.readable(root, folder)
        return tree.write_manifest(root, folder, files, sha256)


def source_of(options: argparse.Namespace) -> Source:
    """The source that ``--source`` names."""
    uri: str = options.source
    scheme, _, path = uri.partition("://")
    if scheme == "gs" and "/" in path:
        safe_path(path)
        return CloudStorage(uri)
    if scheme == "hf" and path.count("/") == 1:
        safe_path(path)
        token = options.token_file.read_text("utf-8").strip() if options.token_file else ""
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        return HuggingFace(endpoint, path, commit(options.revision), Client(token))
    message = f"The source {uri!r} is neither gs://bucket/dir/name nor hf://org/name."
    raise RefusedError(message)


def commit(revision: str) -> str:
    """``revision`` when it is a commit; a branch or tag may move while files are read."""
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        message = f"The revision {revision!r} is no commit: set download.revision to 40 hex digits."
        raise RefusedError(message)
    return revision


@contextmanager
def held(root: Path) -> Iterator[Path]:
    """The state folder, locked: two pods on one node can mount the claim at the same time."""
    state = root / STATE
    state.mkdir(exist_ok=True)
    lock = os.open(root, os.O_RDONLY)
    try:
        _lock(lock)
        yield state
    finally:
        os.close(lock)


def _lock(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        message = "Another download holds this disk; wait until its pod has ended."
        raise DownloadError(message) from None


def say(line: str) -> None:
    """Write one line of progress to the log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def report(message: str, termination_log: Path) -> None:
    """Say why it failed: in the log, and where ``kubectl describe pod`` shows it."""
    sys.stderr.write(f"{message}\n")
    if termination_log.exists():
        termination_log.write_text(message[-4000:], encoding="utf-8")


def main(argv: Sequence[str] | None = None, termination_log: str = "/dev/termination-log") -> int:
    """Run one download; a failure is one paragraph on standard error and in the termination log."""
    parser = argparse.ArgumentParser(prog="download", description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--revision", default="")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--token-file", type=Path)
    options = parser.parse_args(argv)
    try:
        sha256 = run(options)
    except (DownloadError, OSError) as error:
        report(str(error), Path(termination_log))
        return getattr(error, "exit_code", 1)
    say(f"manifest sha256 {sha256}, revision {sha256[:12]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
