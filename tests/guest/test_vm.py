"""What the payload asks the metadata server, and what it reports."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pylib.guest.payload import disk, main, report
from pylib.guest.payload.bake import Outcome
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.metadata import Metadata
from pylib.guest.payload.report import Report

JOB = {"version": 1, "kind": "image", "nonce": "n-1", "device": "/dev/none", "images": ["r.io/a:b"]}


class Server(ThreadingHTTPServer):
    """A metadata server: ``answers`` (status, body) by the end of the path, and what was put."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[tuple[int, str]]] = {}
        self.put: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    """Refuses whoever does not name the flavor."""

    server: Server

    def do_GET(self) -> None:
        """An attribute or a token."""
        self._answer()

    def do_PUT(self) -> None:
        """A guest attribute."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.put.append(json.loads(body))
        self._answer()

    def _answer(self) -> None:
        assert self.headers["Metadata-Flavor"] == "Google"
        kept = self.server.answers.get(self.path.rsplit("/", 1)[1], [(404, "")])
        status, body = kept.pop(0) if len(kept) > 1 else kept[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, closed: None) -> Iterator[Server]:
    """One that the payload finds; pauses take no time, connections end with the test."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    found = Server()
    monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{found.server_address[1]}")
    thread = Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def test_an_attribute_is_read_and_a_missing_one_named(server: Server) -> None:
    server.answers["vfs-job"] = [(503, ""), (200, "text")]
    assert Metadata().attribute("vfs-job") == "text"
    with pytest.raises(GuestError, match="has no attribute other: status 404"):
        Metadata().attribute("other")


def test_a_token_is_secret_and_has_an_end(server: Server) -> None:
    server.answers["token"] = [(200, '{"access_token": "ya29.x", "expires_in": 3599}')]
    token = Metadata().token()
    assert token.secret == "ya29.x"
    assert token.is_fresh()
    server.answers["token"] = [(200, '{"access_token": "ya29.x", "expires_in": 60}')]
    assert not Metadata().token().is_fresh()
    server.answers["token"] = [(404, "")]
    with pytest.raises(GuestError, match="gives no token of a service account"):
        Metadata().token()


def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:9")
    with pytest.raises(GuestError, match="the metadata server does not answer: "):
        Metadata().attribute("vfs-job")


def test_a_report_begins_goes_on_and_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "SECONDS_BETWEEN", 0.01)
    server.answers["report"] = [(200, "")]
    told = Report("n-1")
    told.begin()
    told.phase("fill", 10, lambda: 4)
    while server.put[-1]["phase"] != "fill":
        pass
    told.succeed("sha256:1", {"images": []})
    assert {it["nonce"] for it in server.put} == {"n-1"}
    last = server.put[-1]
    assert (last["result"], last["digest"], last["phase"]) == ("ok", "sha256:1", "fill")
    assert (last["done_bytes"], last["total_bytes"]) == (4, 10)
    assert set(told.seconds()) == {"start"}


@pytest.mark.fault("G15")
def test_guest_attributes_that_are_off_are_told_at_once(server: Server) -> None:
    server.answers["report"] = [(403, "")]
    with pytest.raises(GuestError, match="enable-guest-attributes=TRUE, which a project"):
        Report("n-1").begin()


@pytest.mark.fault("G15")
def test_the_last_word_is_tried_again_and_a_loss_is_an_error(server: Server) -> None:
    server.answers["report"] = [(429, "")] * 9 + [(200, "")]
    told = Report("n-1")
    told.fail("it broke", "disk.py:12")
    last = server.put[-1]
    assert (last["result"], last["message"], last["line"]) == ("fail", "it broke [disk.py]", 12)
    server.answers["report"] = [(403, "")]
    with pytest.raises(GuestError, match="the last report cannot be written: status 403"):
        told.fail("x", "")


def test_a_report_too_long_for_an_attribute_loses_its_layers_only() -> None:
    said: list[bytes] = []

    def write(_: str, body: bytes) -> int:
        said.append(body)
        return 200

    images = [{"reference": "r", "digest": "d", "layers": ["x" * 71] * 4000}]
    Report("n-1", write).succeed("sha256:1", {"images": images, "tree_bytes": 1})
    found = json.loads(said[-1])["facts"]["images"]
    assert found == [{"reference": "r", "digest": "d", "layers": 4000}]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where jobs work; the disk never comes, and nobody waits long for it."""
    monkeypatch.setattr(main, "_WORK", tmp_path)
    monkeypatch.setattr(disk, "WAIT_SECONDS", 0.0)
    return tmp_path


def test_a_job_that_is_wrong_is_reported_with_status_3(server: Server, work: Path) -> None:
    server.answers["report"] = [(200, "")]
    server.answers["vfs-job"] = [(200, json.dumps({**JOB, "kind": "other", "extra": 1}))]
    assert main.main() == main.REPORTED_FAILURE
    assert server.put[-1]["message"].startswith("this payload does jobs of version 1")
    assert "fields that are not known: extra" in server.put[-1]["message"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images": []}, "names no image"),
        ({"payload": "magic"}, "the job's payload is 'magic'; known are direct, containerd"),
        ({"images": [{"reference": "r.io/a:b", "digest": "x"}]}, "'x' is no digest"),
        ({"device": None, "images": None}, "the job in the VM's metadata is wrong"),
    ],
)
def test_each_wrong_field_is_named(
    server: Server, work: Path, change: dict[str, Any], said: str
) -> None:
    server.answers["report"] = [(200, "")]
    server.answers["vfs-job"] = [(200, json.dumps({**JOB, **change}))]
    assert main.main() == main.REPORTED_FAILURE
    assert said in server.put[-1]["message"]


def test_a_job_that_cannot_be_read_leaves_the_report_to_the_startup_script(server: Server) -> None:
    assert main.main() == main.NOT_REPORTED
    server.answers["vfs-job"] = [(200, "no json")]
    assert main.main() == main.NOT_REPORTED


def test_success_is_told_with_status_0(
    server: Server, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["report"] = [(200, "")]
    server.answers["vfs-job"] = [(200, json.dumps(JOB))]
    done = Outcome("sha256:1", {"images": []})
    monkeypatch.setattr(main, "bake", lambda *_: done)
    assert main.main() == main.REPORTED_OK
    assert server.put[-1]["result"] == "ok"
    assert list(work.iterdir()) == []
