"""Fixtures of the download's tests: a disk, a hub, a bucket behind a gcloud of our own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.hub import Hub, serving
from tests.chart.scripts import script

_GCLOUD = '''#!/usr/bin/env python3
"""Does what the download asks of `gcloud storage`, on folders instead of buckets."""
import json, os, pathlib, shutil, sys
words, state = sys.argv[1:], json.loads(os.environ["FAKE_GCLOUD"])
with open(state["log"], "a") as log:
    settings = {k: v for k, v in os.environ.items() if k.startswith("CLOUDSDK_STORAGE")}
    log.write(json.dumps({"words": words, "settings": settings}) + "\\n")
if words[1] in state["fail"]:
    sys.exit(state["fail"][words[1]])
if words[1] == "objects":
    uri = words[3].removesuffix("/**").removeprefix("gs://")
    bucket, _, prefix = uri.partition("/")
    root = pathlib.Path(state["root"], bucket)
    names = [str(p.relative_to(root)) for p in sorted(root.rglob("*")) if p.is_file()]
    listed = [{"name": n, "size": (root / n).stat().st_size} for n in names]
    listed = [i for i in listed if i["name"].startswith(prefix + "/")] + state["extra"]
    print(json.dumps(listed))
else:
    source, target = words[3].removeprefix("gs://"), pathlib.Path(words[4])
    print("Copying", words[3], file=sys.stderr)
    shutil.copytree(pathlib.Path(state["root"], source), target, dirs_exist_ok=True)
    (target / "left_.gstmp").write_text("leftover")
'''


class Bucket:
    """Folders that stand for buckets, and what gcloud is to do wrong: a text by verb."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root = folder / "buckets"
        self._log = folder / "gcloud.log"
        self._patch = monkeypatch
        self.fail: dict[str, str] = {}
        self.extra: list[dict[str, object]] = []
        self.settle()

    def settle(self) -> None:
        """Hand the settings to the next gcloud."""
        state = {
            "root": str(self._root),
            "log": str(self._log),
            "fail": self.fail,
            "extra": self.extra,
        }
        self._patch.setenv("FAKE_GCLOUD", json.dumps(state))

    def put(self, name: str, content: bytes) -> None:
        """An object, by its bucket and name."""
        file = self._root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def calls(self) -> list[dict[str, object]]:
        """The words and the storage settings of each gcloud."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A model at ``gs://models/gemma/gemma-7b``."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "gcloud").write_text(_GCLOUD)
    (tools / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    made = Bucket(tmp_path, monkeypatch)
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    made.put("models/gemma/gemma-7b/model-1.safetensors", b"1" * 5000)
    made.put("models/gemma/gemma-7b/model-2.safetensors", b"2" * 7000)
    made.put("models/gemma/gemma-7b/model.safetensors.index.json", json.dumps(index).encode())
    made.put("models/gemma/gemma-7b/sub/config.json", b"{}")
    made.put("models/gemma/gemma-7b-it/other.json", b"{}")
    return made


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An empty disk with the folder that ext4 makes."""
    root = tmp_path / "disk"
    (root / "lost+found").mkdir(parents=True)
    return root


@pytest.fixture
def termination_log(tmp_path: Path) -> Path:
    """The file that the kubelet mounts at /dev/termination-log."""
    file = tmp_path / "termination-log"
    file.touch()
    return file


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the download would have waited between attempts."""
    asked: list[float] = []
    monkeypatch.setattr(script("download.http_client"), "wait", asked.append)
    return asked


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> Iterator[Hub]:
    """A model on a local hub, which ``HF_ENDPOINT`` names."""
    files = {
        "config.json": b'{"a": 1}',
        "model.safetensors": b"3" * 100_000,
        "pytorch_model.bin": b"4" * 100_000,
        "sub/tokenizer model.json": b"{}",
    }
    with serving(Hub(files)) as made:
        monkeypatch.setenv("HF_ENDPOINT", made.endpoint)
        yield made
