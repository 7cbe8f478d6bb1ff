"""The chart's two shell scripts, run by sh as the pods run them."""

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pylib import proc
from tests.chart.helmtool import serve

MOUNT = "/etc/vllm-fast-start/api-key"
KEYED = {"server": {"apiKey": {"secretName": "key", "as": "file"}}}


def started(tmp_path: Path, key: str, form: str = "file") -> proc.Completed:
    """What the server's wrapper does with a key, `env` standing for the server."""
    if form == "file":
        (tmp_path / "api-key").write_text(key)
    command = serve(KEYED).server()["command"]
    text = command[2].replace(MOUNT, str(tmp_path))
    text = text.replace("/dev/termination-log", str(tmp_path / "termination-log"))
    settings = {} if form == "file" else {"VLLM_API_KEY": key}
    return proc.run(["sh", "-c", text, command[3], "env"], ok_codes=(0, 1), settings=settings)


@pytest.mark.parametrize("form", ["file", "env"])
@pytest.mark.parametrize("key", ["s3cr3t", "s3cr3t\n", "s3cr3t\n\n"])
def test_the_server_gets_the_key_without_its_newline(tmp_path: Path, key: str, form: str) -> None:
    lines = started(tmp_path, key, form).stdout.splitlines()
    assert "VLLM_API_KEY=s3cr3t" in lines


@pytest.mark.parametrize("form", ["file", "env"])
def test_a_key_of_shell_characters_stays_what_it_is(tmp_path: Path, form: str) -> None:
    lines = started(tmp_path, "$(id) `x` \"'\\\n", form).stdout.splitlines()
    assert "VLLM_API_KEY=$(id) `x` \"'\\" in lines


@pytest.mark.parametrize("form", ["file", "env"])
@pytest.mark.parametrize("key", ["", "\n"])
def test_an_empty_key_is_refused(tmp_path: Path, key: str, form: str) -> None:
    done = started(tmp_path, key, form)
    assert done.code == 1
    message = (
        "The API key is empty. Put a key into the Secret that server.apiKey.secretName names, "
        "then restart the pod.\n"
    )
    assert done.stderr == message
    assert (tmp_path / "termination-log").read_text() == message


@dataclass
class Api:
    """What the server answers, and what it was asked: path, authorization, body."""

    answer: bytes = b'{"choices":[{"text":" four,"}]}'
    code: int = 200
    port: int = 0
    seen: list[tuple[str, str | None, str]] = field(default_factory=list)


@pytest.fixture
def api() -> Iterator[Api]:
    """A server that stands for vLLM behind the Service."""
    made = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            made.seen.append((self.path, self.headers["Authorization"], body))
            self.send_response(made.code)
            self.end_headers()
            self.wfile.write(made.answer)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def asked(api: Api, tmp_path: Path) -> proc.Completed:
    """What the test pod's script does against ``api``."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed; the script of `helm test` runs it")
    (container,) = serve(KEYED).one("Pod").get("spec", "containers")
    env = {e["name"]: e["value"] for e in container["env"]}
    text = container["command"][2].replace(MOUNT, str(tmp_path))
    settings = [f"URL=http://127.0.0.1:{api.port}/v1/completions", f"REQUEST={env['REQUEST']}"]
    return proc.run(["env", *settings, "sh", "-c", text], ok_codes=(0, 1))


def test_the_test_asks_for_a_completion_and_shows_it(api: Api, tmp_path: Path) -> None:
    done = asked(api, tmp_path)
    assert (done.code, done.stdout) == (0, '{"choices":[{"text":" four,"}]}\n')
    ((path, token, body),) = api.seen
    assert (path, token) == ("/v1/completions", None)
    assert json.loads(body)["model"] == "gemma-7b"


def test_the_test_sends_the_key(api: Api, tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("s3cr3t\n")
    assert asked(api, tmp_path).code == 0
    assert api.seen[0][1] == "Bearer s3cr3t"


@pytest.mark.parametrize(
    ("code", "answer", "message"),
    [
        (401, b'{"error":"Unauthorized"}', 'No completion from {url}: {"error":"Unauthorized"}'),
        (200, b'{"choices":[{"text":""}]}', "holds no completion, or an empty one"),
        (200, b'{"choices":[]}', "holds no completion, or an empty one"),
    ],
)
def test_the_test_fails_without_a_completion(
    api: Api, tmp_path: Path, code: int, answer: bytes, message: str
) -> None:
    api.code, api.answer = code, answer
    done = asked(api, tmp_path)
    assert done.code == 1
    assert message.replace("{url}", f"http://127.0.0.1:{api.port}/v1/completions") in done.stderr
