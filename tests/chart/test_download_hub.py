"""The download from Hugging Face, against a local server with the same rules."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.chart.hub import COMMIT, MODEL, Hub
from tests.chart.scripts import FILES, script

RESOLVE = f"/{MODEL}/resolve/{COMMIT}"


def words(disk: Path, revision: str = COMMIT, *more: str) -> list[str]:
    """Arguments of one download."""
    source = ["--source", f"hf://{MODEL}", "--revision", revision]
    return [*source, "--root", str(disk), "--directory", MODEL, *more]


def run(disk: Path, log: Path, revision: str = COMMIT, *more: str) -> int:
    """Exit code of one download."""
    code: int = script("download.__main__").main(words(disk, revision, *more), str(log))
    return code


def hashes(disk: Path) -> dict[str, str]:
    """sha256 by path, from the manifest."""
    entries: list[dict[str, Any]] = json.loads((disk / "weights.manifest.json").read_text())
    return {entry["path"]: entry["sha256"] for entry in entries}


def test_every_file_of_every_page_comes_but_the_same_weights_twice(
    hub: Hub, disk: Path, termination_log: Path
) -> None:
    assert run(disk, termination_log) == 0
    assert hashes(disk) == {
        f"{MODEL}/config.json": hashlib.sha256(b'{"a": 1}').hexdigest(),
        f"{MODEL}/model.safetensors": hashlib.sha256(b"3" * 100_000).hexdigest(),
        f"{MODEL}/sub/tokenizer model.json": hashlib.sha256(b"{}").hexdigest(),
    }


def test_without_safetensors_other_weights_come(
    hub: Hub, disk: Path, termination_log: Path
) -> None:
    del hub.files["model.safetensors"]
    assert run(disk, termination_log) == 0
    assert f"{MODEL}/pytorch_model.bin" in hashes(disk)


def test_a_second_attempt_reads_only_what_is_missing(
    hub: Hub, disk: Path, termination_log: Path
) -> None:
    run(disk, termination_log)
    (disk / MODEL / "config.json").unlink()
    hub.seen.clear()
    assert run(disk, termination_log) == 0
    assert {path for _, path, _, _ in hub.seen if "resolve" in path} == {f"{RESOLVE}/config.json"}


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_broken_connection_is_taken_up_again(
    hub: Hub, disk: Path, termination_log: Path, ranges: bool
) -> None:
    hub.files = {"model.safetensors": b"".join(bytes([i % 256]) * 100 for i in range(1000))}
    hub.cut, hub.ranges = [30_000, 20_000], ranges
    assert run(disk, termination_log) == 0
    digest = hashlib.sha256(hub.files["model.safetensors"]).hexdigest()
    assert hashes(disk) == {f"{MODEL}/model.safetensors": digest}
    assert hub.ranges_asked() == ["bytes=30000-", f"bytes={50000 if ranges else 20000}-"]


def test_busy_servers_are_asked_again_after_growing_waits(
    hub: Hub, disk: Path, termination_log: Path, waits: list[float]
) -> None:
    hub.files = {"config.json": b"{}"}
    hub.errors = [503, 429, 500]
    assert run(disk, termination_log) == 0
    assert waits[:4] == [0, 2.0, 4.0, 8.0]


def test_six_attempts_are_enough(
    hub: Hub, disk: Path, termination_log: Path, waits: list[float]
) -> None:
    hub.errors = [503] * 6
    assert run(disk, termination_log) == 1
    assert waits == [0, 2.0, 4.0, 8.0, 16.0, 32.0]
    tree = f"{hub.endpoint}/api/models/{MODEL}/tree/{COMMIT}?recursive=true"
    assert termination_log.read_text() == (
        f"{tree} could not be read in 6 attempts: HTTP Error 503: Service Unavailable"
    )


def test_a_server_that_is_gone_is_said_to_be(
    hub: Hub, disk: Path, termination_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert run(disk, termination_log) == 1
    assert "could not be read in 6 attempts: <urlopen error" in termination_log.read_text()


def test_the_token_goes_to_the_hub_and_to_no_other_host(
    hub: Hub, disk: Path, termination_log: Path, tmp_path: Path
) -> None:
    hub.token, hub.redirect = "hf_secret", True
    token = tmp_path / "token"
    token.write_text("hf_secret\n")
    assert run(disk, termination_log, COMMIT, "--token-file", str(token)) == 0
    tokens = {host: {t for h, _, t, _ in hub.seen if h == host} for host, _, _, _ in hub.seen}
    assert tokens == {"127.0.0.1": {"Bearer hf_secret"}, "localhost": {None}}


def test_a_gated_model_without_a_token_is_refused(
    hub: Hub, disk: Path, termination_log: Path, waits: list[float]
) -> None:
    hub.token = "hf_secret"
    assert run(disk, termination_log) == 2
    tree = f"{hub.endpoint}/api/models/{MODEL}/tree/{COMMIT}?recursive=true"
    assert termination_log.read_text() == (
        f"{tree} answers 401: the model is private or gated, or the token may not read it. "
        "Accept the model's terms, and set download.tokenSecret to a Secret with a token."
    )
    assert waits == [0]


def test_an_unknown_commit_is_refused(hub: Hub, disk: Path, termination_log: Path) -> None:
    assert run(disk, termination_log, "f" * 40) == 2
    assert " answers 404: no such model, commit or file" in termination_log.read_text()


@pytest.mark.parametrize("code", [410, 451])
def test_any_other_refusal_is_passed_on(
    hub: Hub, disk: Path, termination_log: Path, code: int
) -> None:
    hub.errors = [code]
    assert run(disk, termination_log) == 2
    assert termination_log.read_text().endswith(f" answers {code}.")


@pytest.mark.parametrize("revision", ["main", "", "abc123", "v1.0"])
def test_a_revision_that_may_move_is_refused(
    hub: Hub, disk: Path, termination_log: Path, revision: str
) -> None:
    assert run(disk, termination_log, revision) == 2
    assert termination_log.read_text() == (
        f"The revision {revision!r} is no commit: set download.revision to 40 hex digits."
    )


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"], ids=["sha256", "git"])
def test_wrong_bytes_of_the_right_size_are_removed_and_read_again(
    hub: Hub, disk: Path, termination_log: Path, path: str
) -> None:
    hub.lies = {path: b"x" * len(hub.files[path])}
    assert run(disk, termination_log) == 1
    assert not (disk / "weights.manifest.json").exists()
    assert not (disk / MODEL / path).exists()
    assert termination_log.read_text().startswith(f"{path} is ")
    assert termination_log.read_text().endswith(": removed, to be downloaded again.")
    hub.lies = {}
    assert run(disk, termination_log) == 0


def test_an_endpoint_that_is_no_web_address_is_refused(
    disk: Path, termination_log: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    assert run(disk, termination_log) == 2
    assert "is no HTTP address: set HF_ENDPOINT to one" in termination_log.read_text()


def test_a_full_disk_is_no_reason_to_ask_again(
    hub: Hub,
    disk: Path,
    termination_log: Path,
    monkeypatch: pytest.MonkeyPatch,
    waits: list[float],
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    hub.files = {"config.json": b"{}"}
    monkeypatch.setattr(script("download.http_client"), "_append", full)
    assert run(disk, termination_log) == 1
    assert termination_log.read_text() == "[Errno 28] No space left on device"
    assert set(waits) == {0}


def test_a_killed_download_goes_on_where_it_was(
    hub: Hub, disk: Path, termination_log: Path
) -> None:
    hub.files = {"model.safetensors": b"5" * 100_000}
    hub.stall, hub.cut = threading.Event(), [40_000]
    command = [sys.executable, "-B", "-m", "download", *words(disk)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(FILES)}) as process:
        assert hub.stalled.wait(30)
        _wait_for_part(disk, process, 40_000 - 40_000 % 8192)
        process.send_signal(signal.SIGKILL)
    assert not (disk / "weights.manifest.json").exists()
    (part,) = (disk / ".download").iterdir()
    kept = part.stat().st_size
    hub.stall.set()
    assert run(disk, termination_log) == 0
    digest = hashlib.sha256(b"5" * 100_000).hexdigest()
    assert hashes(disk) == {f"{MODEL}/model.safetensors": digest}
    assert hub.ranges_asked() == [f"bytes={kept}-"]


def _wait_for_part(disk: Path, process: subprocess.Popen[bytes], size: int) -> None:
    """Wait until ``size`` bytes, or the blocks of them that Python hands on, are on the disk."""
    state = disk / ".download"
    while process.poll() is None:
        if any(part.stat().st_size >= size for part in state.iterdir()):
            return
