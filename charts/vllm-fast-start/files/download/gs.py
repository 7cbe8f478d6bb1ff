"""Cloud Storage as a source, through ``gcloud storage``: parallel, resumable, with checksums."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from download.common import DownloadError, RefusedError, RemoteFile

_LAST = 2000


class CloudStorage:
    """The objects below ``gs://bucket/dir/name``."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._prefix = self.uri.removeprefix("gs://").partition("/")[2] + "/"

    def files(self) -> list[RemoteFile]:
        """Every object, without the empty ones that stand for folders."""
        text = _gcloud(["objects", "list", f"{self.uri}/**", "--format=json(name,size)"], {})
        objects = [(item["name"].removeprefix(self._prefix), item) for item in json.loads(text)]
        return [
            RemoteFile(path, int(item.get("size", 0)))
            for path, item in objects
            if path and not path.endswith("/")
        ]

    def fetch(self, files: Sequence[RemoteFile], folder: Path, state: Path) -> None:
        """Copy what is missing or differs; gcloud compares each file's checksum as it arrives."""
        del files
        env = {
            "CLOUDSDK_STORAGE_CHECK_HASHES": "always",
            "CLOUDSDK_STORAGE_TRACKER_FILES_DIRECTORY": str(state),
        }
        _gcloud(["rsync", "--recursive", self.uri, str(folder)], env)


def _gcloud(words: Sequence[str], env: Mapping[str, str]) -> str:
    """Standard output of ``gcloud storage …``; what it says meanwhile goes on to the log."""
    command = ["gcloud", "storage", *words, "--quiet"]
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(
            command, env={**os.environ, **env}, stdout=output, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        said: list[str] = []
        for line in process.stderr or ():
            sys.stderr.write(line)
            said.append(line)
        if process.wait():
            raise _failure("".join(said).strip()[-_LAST:])
        output.seek(0)
        return output.read()


def _failure(errors: str) -> DownloadError:
    lower = errors.lower()
    if "403" in errors or "permission" in lower or "does not have" in lower:
        message = (
            f"Cloud Storage refuses to be read: {errors} "
            "Grant the Job's Kubernetes service account roles/storage.objectViewer on the bucket."
        )
        return RefusedError(message)
    if "matched no objects" in lower or "404" in errors or "not found" in lower:
        message = f"Cloud Storage has nothing there: {errors} Set download.source to a folder."
        return RefusedError(message)
    return DownloadError(f"gcloud storage failed: {errors}")
