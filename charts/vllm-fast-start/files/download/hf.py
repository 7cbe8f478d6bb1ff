"""Hugging Face as a source: one commit of a model, over its HTTP API."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

from download.common import RemoteFile
from download.http_client import Client

_STREAMS = 4
_SAME_WEIGHTS = re.compile(r"\.(bin|pth|pt|ckpt|gguf|ggml|h5|msgpack|ot|onnx|onnx_data|tflite)$")


class HuggingFace:
    """The files of ``org/name`` at a commit; ``endpoint`` is the site's address."""

    def __init__(self, endpoint: str, model: str, commit: str, client: Client) -> None:
        self._base = endpoint.rstrip("/")
        self._model = model
        self._commit = commit
        self._client = client

    def files(self) -> list[RemoteFile]:
        """The files to have, with their sha256 where in large-file storage, else their git hash."""
        url = f"{self._base}/api/models/{self._model}/tree/{self._commit}?recursive=true"
        items = self._client.pages(url)
        return pick([_file(item) for item in items if item["type"] == "file"])

    def fetch(self, files: Sequence[RemoteFile], folder: Path, state: Path) -> None:
        """Bring the files that are not there in full, a few at a time."""
        missing = [file for file in files if not _complete(folder / file.path, file.size)]
        with ThreadPoolExecutor(_STREAMS) as pool:
            for done in [pool.submit(self._one, file, folder, state) for file in missing]:
                done.result()

    def _one(self, file: RemoteFile, folder: Path, state: Path) -> None:
        url = f"{self._base}/{self._model}/resolve/{self._commit}/{quote(file.path)}"
        part = state / hashlib.sha256(f"{self._commit}/{file.path}".encode()).hexdigest()
        self._client.download(url, part, file.size)
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)


def pick(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """The files worth having: beside safetensors, the same weights in other formats are not."""
    if not any(file.path.endswith(".safetensors") for file in files):
        return list(files)
    return [file for file in files if not _SAME_WEIGHTS.search(file.path)]


def _file(item: dict[str, Any]) -> RemoteFile:
    stored = item.get("lfs")
    digest = f"sha256:{stored['oid']}" if stored else f"git:{item['oid']}"
    return RemoteFile(item["path"], int(item["size"]), digest)


def _complete(file: Path, size: int) -> bool:
    return file.is_file() and file.stat().st_size == size
