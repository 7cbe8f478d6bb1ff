"""Hugging Face as a source, by the chart's own downloader."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from download import hf, http_client
from download.common import STATE, RemoteFile

from pylib.guest.payload.caller import Caller
from pylib.guest.payload.ranges import Begin
from pylib.guest.payload.secret import read_secret
from pylib.guest.payload.weights_job import WeightsJob


class _Client(http_client.Client):
    """Advises who bakes, not who installs the chart."""

    if_private = "bake with --token-secret, a secret of Secret Manager that holds a token."
    if_absent = "Write the source and its revision as the model's page shows them."


class Hub:
    """The source of a job: one commit of ``hf://org/name``."""

    def __init__(self, job: WeightsJob) -> None:
        self.uri = job.source
        token = ""
        if job.token_secret:
            endpoint = job.endpoints["secretmanager"]
            token = read_secret(endpoint, job.token_secret, Caller(with_account=True))
        name = job.source.removeprefix("hf://")
        self._model = hf.HuggingFace(job.endpoints["hf"], name, job.revision, _Client(token))

    def files(self) -> list[RemoteFile]:
        """The files worth having, each with a digest; raises the downloader's errors."""
        return self._model.files()

    def fetch(self, files: Sequence[RemoteFile], folder: Path, begin: Begin) -> None:
        """Bring ``files`` below ``folder``, each at once in its place when it is whole.

        ``begin`` is given who counts the bytes on the disk.  Digests are compared when the files
        are hashed.
        """
        state = folder / STATE
        state.mkdir(parents=True)
        before = _used(folder)
        begin(lambda: _used(folder) - before)
        self._model.fetch(files, folder, state)
        state.rmdir()


def _used(folder: Path) -> int:
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize
