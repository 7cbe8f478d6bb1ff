"""What acceptance asks of a project, of Cloud Logging, and inside a pod."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pylib.accept import in_pod
from pylib.accept.inside import TOKENS, look, served_name
from pylib.cloud.gcp.logs import LogCalls
from pylib.errors import KubeError
from pylib.kube.transport import Ran
from pylib.snapshot.bodies import Body
from tests.unit.accepted import POD
from tests.unit.cluster_objects import stored

# --- Cloud Logging --------------------------------------------------------------------------------


class Pages:
    """Stands for the transport: answers pages in turn, and keeps what was asked."""

    project = "my-project"

    def __init__(self, *pages: dict[str, Any]) -> None:
        self.pages = list(pages)
        self.asked: list[dict[str, Any]] = []

    def rest(self, service: str, method: str, path: str, *, json: Any) -> dict[str, Any]:
        """The next page."""
        assert (service, method, path) == ("logging", "POST", "/v2/entries:list")
        self.asked.append(dict(json))
        return self.pages.pop(0)


def logged(*pages: dict[str, Any], most: int = 10) -> tuple[tuple[str, ...], Pages]:
    """What is read of these pages."""
    calls, found = LogCalls(), Pages(*pages)
    calls._transport = found  # type: ignore[assignment]
    return calls.logged("which", most), found


def test_messages_are_read_from_whichever_field_they_are_in_over_pages_that_may_be_empty() -> None:
    entries = [{"jsonPayload": {"MESSAGE": "a"}}, {"textPayload": "b"}, {"jsonPayload": {}}]
    found, pages = logged({"nextPageToken": "t"}, {"entries": entries})
    assert found == ("a", "b", "")
    assert pages.asked[0] == {
        "resourceNames": ["projects/my-project"],
        "filter": "which",
        "orderBy": "timestamp desc",
        "pageSize": 10,
    }
    assert pages.asked[1]["pageToken"] == "t"


def test_no_more_than_was_asked_for_is_read() -> None:
    page = {"entries": [{"textPayload": "a"}] * 2, "nextPageToken": "t"}
    assert logged(page, page, most=3)[0] == ("a",) * 3


# --- inside a pod ---------------------------------------------------------------------------------


class Served(BaseHTTPRequestHandler):
    """A server that wants a key."""

    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        """A completion, or a refusal."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        right = self.headers.get("Authorization") == "Bearer sesame"
        text = json.dumps({"choices": [{"text": " four"}]} if right else {"error": "Unauthorized"})
        self.send_response(200 if right else 401)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: Any) -> None:
        """Nothing is written."""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where it listens."""
    monkeypatch.setattr(Served, "asked", [], raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Served) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def told(port: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the program writes."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    in_pod.main([str(port), "gemma", "16", "5"])
    found: dict[str, Any] = json.loads(out.getvalue())
    assert "sesame" not in out.getvalue()
    return found


def test_the_program_asks_for_one_token_then_for_more_with_the_pods_key(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sesame\n")
    found = told(port, monkeypatch)
    assert [found[which]["status"] for which in ("first", "whole")] == [200, 200]
    assert found["whole"]["text"] == " four"
    assert [(it["model"], it["max_tokens"]) for it in Served.asked] == [("gemma", 1), ("gemma", 16)]


def test_the_program_takes_the_key_from_its_file_first(
    port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    file = tmp_path / "api-key"
    file.write_text("sesame\n")
    monkeypatch.setattr(in_pod, "KEY_FILE", str(file))
    monkeypatch.setenv("VLLM_API_KEY", "wrong")
    assert told(port, monkeypatch)["whole"]["status"] == 200


def test_a_refusal_and_a_server_that_is_away_are_answers(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    whole = told(port, monkeypatch)["whole"]
    assert (whole["status"], whole["text"]) == (401, '{"error": "Unauthorized"}')
    away = told(1, monkeypatch)["whole"]
    assert away["status"] == 0
    assert away["text"].startswith("ConnectionRefusedError")


class Pod:
    """Stands for the cluster: runs commands by a table of what each first word writes."""

    def __init__(self, **said: Ran | KubeError) -> None:
        self.said = said
        self.commands: list[list[str]] = []

    def execute(
        self, pod: str, namespace: str, container: str, words: Sequence[str], _: float
    ) -> Ran:
        """What the first word writes."""
        assert (pod, namespace, container) == (POD, "inference", "vllm")
        self.commands.append(list(words))
        found = self.said[words[0]]
        if isinstance(found, KubeError):
            raise found
        return found


def serving() -> Body:
    """The pod."""
    return stored("accepted").get("Pod", POD) or {}


def test_what_commands_write_is_read_and_what_they_do_not_is_a_reason() -> None:
    assert served_name(serving()) == "gemma-7b"
    reply = {"status": 200, "text": "x", "seconds": 0.5}
    spoken = json.dumps({"first": reply, "whole": reply})
    mounts = "6 5 8:32 / /model-data ro - ext4 /dev/sdc ro\n4096\n"
    pod = Pod(cat=Ran(mounts, "cat: no such file", 1), python3=Ran(spoken, "", 0))
    found = look(pod, stored("accepted"), serving(), 10.0)  # type: ignore[arg-type]
    assert found.mount.found is not None
    assert found.mount.found.device == "8:32"
    assert found.completion.found is not None
    assert found.completion.found.whole.seconds == 0.5
    assert pod.commands[-1][3:] == ["8000", "gemma-7b", str(TOKENS), "10.0"]

    silent = Pod(cat=Ran("", "cat: denied\n", 1), python3=Ran("words", "", 0))
    found = look(silent, stored("accepted"), serving(), 10.0)  # type: ignore[arg-type]
    assert (found.mount.why_not, found.read_ahead_kib.why_not) == ("cat: denied",) * 2
    assert found.completion.why_not == "the pod answered what is no reply: 'words'"

    shut = KubeError("exec in Pod/x: forbidden (HTTP 403)", status=403)
    found = look(Pod(cat=shut, python3=shut), stored("accepted"), serving(), 10.0)  # type: ignore[arg-type]
    reasons = {found.mount.why_not, found.read_ahead_kib.why_not, found.completion.why_not}
    assert reasons == {"exec in Pod/x: forbidden (HTTP 403)"}
