"""The tokens that open a private registry stay in the VM: no file of a whole bake holds one."""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pylib.cloud.clock import SystemClock
from pylib.cloud.gcp import GoogleCloud, connect
from pylib.emulator import Emulator, Settings
from pylib.errors import BakeError
from pylib.verbs import bake as verb
from tests.cloud.emulated import PROJECT, Raw
from tests.disk.hurried import HurriedClock
from tests.disk.layers import Layer, Packed, digest_of, gzipped, image
from tests.disk.registry import Answer, Registry, serving

HOST = "us-docker.pkg.dev"
BEARER = "bearer-that-the-registry-gives-0123456789"
ACCOUNT = "emulated-token-of-"
"""How each access token of the emulator's metadata server begins."""
BASIC = base64.b64encode(b"oauth2accesstoken:").decode()
SECRETS = [word.encode() for word in (BEARER, ACCOUNT, BASIC)]
GOOD = gzipped(Layer().folder("d").file("d/f", b"private" * 5000))
BAD = replace(GOOD, diff_id=digest_of(b"other"))


@dataclass
class Private(Registry):
    """Wants the account's token before it gives its own; ``seen`` are those shown to it."""

    tokens: bool = True
    seen: list[str] = field(default_factory=list)

    def answer(self, path: str, authorization: str, asked_range: str) -> Answer:
        """To one request."""
        if path.startswith("/token"):
            self.seen.append(authorization)
            if not authorization.startswith(f"Basic {BASIC}"):
                return Answer(401, authorization.encode())
            self.good_tokens.add(f"Bearer {BEARER}")
            return Answer(body=json.dumps({"token": BEARER}).encode())
        return super().answer(path, authorization, asked_range)


class Printed(io.StringIO):
    """What the command prints; ``journals`` is what its journal held at each line."""

    def __init__(self, journal: Path) -> None:
        super().__init__()
        self._journal = journal
        self.journals = b""

    def write(self, text: str) -> int:
        """One piece of output."""
        if self._journal.exists():
            self.journals += self._journal.read_bytes()
        return super().write(text)


@pytest.fixture
def registry() -> Iterator[Private]:
    """A private one."""
    with serving(Private()) as one:
        assert isinstance(one, Private)
        yield one


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An emulator that the command finds, with real guests and a bucket for logs."""

    def hurried(project: str, endpoint: str | None) -> GoogleCloud:
        return connect(project, endpoint=endpoint, clock=HurriedClock(times=20.0))

    monkeypatch.setattr("pylib.cloud.gcp.connect", hurried)
    settings = Settings(guest_attributes_per_minute=100_000, shutdown_seconds=20)
    folder = tmp_path / "emulator"
    with Emulator(folder, settings=settings, guest="real", clock=SystemClock()) as one:
        Raw(one.url).post("/storage/v1/b", {"name": "bake-logs"}, project=PROJECT)
        yield one


def _baked(folder: Path, emulator: Emulator, registry: Registry) -> Printed:
    """What ``bake image`` of a private image prints; an error's text is the last of it."""
    config = folder / "config.yaml"
    text = Path("values/gemma-7b-fast/config.yaml").read_text(encoding="utf-8")
    config.write_text(text.replace("my-project", PROJECT), encoding="utf-8")
    words = f"""image -f {config} --endpoint {emulator.url} --name cache --zone us-central1-a
        --image {HOST}/team/private:v1 --mirror {HOST}=http://{registry.address}
        --service-account baker@{PROJECT}.iam.gserviceaccount.com --log-bucket bake-logs
        --disk-size 10 --machine-type e2-standard-2"""
    parser = argparse.ArgumentParser()
    verb.arguments(parser)
    printed = Printed(folder / "config.bake-image.journal")
    try:
        verb.run(parser.parse_args(words.split()), printed)
    except BakeError as error:
        printed.write(str(error))
    return printed


def _pieces(file: Path) -> Iterator[bytes]:
    """All that is written in a file, without its holes."""
    with file.open("rb", buffering=0) as opened:
        end, at = file.stat().st_size, 0
        while at < end:
            try:
                start = os.lseek(opened.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            at = os.lseek(opened.fileno(), start, os.SEEK_HOLE)
            yield os.pread(opened.fileno(), at - start, start)


def _found(text: bytes) -> list[bytes]:
    return [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize(
    ("layer", "end"),
    [(GOOD, "image cache is published"), (BAD, "the guest failed in phase write")],
    ids=["succeeds", "fails"],
)
def test_no_token_is_in_metadata_journal_log_output_or_image(
    layer: Packed, end: str, tmp_path: Path, emulator: Emulator, registry: Private
) -> None:
    registry.push("team/private:v1", image([layer]))

    printed = _baked(tmp_path, emulator, registry)

    said = printed.getvalue()
    assert end in said
    assert registry.seen
    assert b"oauth2accesstoken:" + ACCOUNT.encode() in base64.b64decode(registry.seen[0][6:])
    assert b'"step":"vm"' in printed.journals
    assert _found(said.encode() + printed.journals) == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = {path.relative_to(tmp_path).parts[1] for path in files if path.parent != tmp_path}
    assert names >= {"blocks", "state.sqlite", "vms"}
    assert [path for path in files if any(_found(piece) for piece in _pieces(path))] == []
