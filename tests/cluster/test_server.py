"""The stand-in for vLLM answers, and ends, as the release that it plays."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pylib.facts.vllm import NEWEST
from tests.cluster.bed.agent_container import tied
from tests.cluster.bed.agent_node import Network
from tests.cluster.bed.bed import ROOT
from tests.cluster.bed.clients import request
from tests.cluster.bed.server import parse
from tests.cluster.bed.wait import until
from tests.cluster.serving import MODEL, make_disk


@pytest.fixture
def network() -> Iterator[Network]:
    """Loopback addresses that no other test process has."""
    one = Network()
    yield one
    one.close()


@dataclass
class Served:
    """A stand-in for vLLM that is ready, at an address of its own."""

    process: subprocess.Popen[str]
    address: str
    said: str = ""

    def drain(self) -> None:
        """SIGTERM; returns when the server has said that it stops."""
        self.process.terminate()
        assert self.process.stderr is not None
        while "[shutdown]" not in self.said:
            self.said = self.process.stderr.readline()

    async def complete(self, tokens: int) -> tuple[int, Any]:
        """A completion of so many tokens."""
        body = b'{"model": "gemma", "prompt": "x", "max_tokens": %d}' % tokens
        return await request(self.address, 8000, "POST", "/v1/completions", body)

    def ask(self, method: str, path: str, body: bytes = b"", key: str = "") -> tuple[int, Any]:
        """One request: status and body."""
        return asyncio.run(request(self.address, 8000, method, path, body, key))


Serve = Callable[..., Served]


@pytest.fixture
def serve(network: Network, tmp_path: Path) -> Iterator[Serve]:
    """Starts servers; they are killed when the test ends."""
    make_disk(tmp_path, "r1")
    begun: list[subprocess.Popen[str]] = []

    def start(
        *flags: str,
        version: str = NEWEST,
        load: float = 0.0,
        is_ready: bool = True,
        **settings: str,
    ) -> Served:
        address, _ = network.address()
        own = {"BED_ADDRESS": address, "BED_VLLM_VERSION": version, "BED_LOAD_SECONDS": str(load)}
        model = str(tmp_path / MODEL)
        command = [sys.executable, "-m", "tests.cluster.bed.server", "serve", model]
        process = subprocess.Popen(
            tied([*command, "--served-model-name=gemma", "--port=8000", *flags]),
            cwd=ROOT,
            env={**os.environ, "BED_TOKEN_SECONDS": "0.01", **own, **settings},
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        served = Served(process, address)
        if is_ready:
            until(lambda: is_healthy(served), 20, "the server listens")
        return served

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def is_healthy(served: Served) -> bool:
    try:
        return served.ask("GET", "/health")[0] == 200
    except OSError:
        return False


async def in_flight(served: Served, tokens: int, then: Callable[[], None]) -> tuple[int, Any]:
    """A completion that is under way when ``then`` happens: its status and its answer."""
    asked = asyncio.create_task(served.complete(tokens))
    while not asked.done() and "running{" not in await running(served):
        await asyncio.sleep(0.01)
    then()
    return await asked


async def running(served: Served) -> str:
    """The gauge of running requests when it is not 0."""
    reader, writer = await asyncio.open_connection(served.address, 8000)
    writer.write(b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    [line] = [one for one in text.splitlines() if one.startswith("vllm:num_requests_running{")]
    return "" if line.endswith(" 0.0") else line


def test_a_server_refuses_connections_until_it_has_loaded_and_serves_its_disks_revision(
    serve: Serve,
) -> None:
    served = serve(load=0.5, is_ready=False)
    refused = 0

    def healthy() -> bool:
        nonlocal refused
        try:
            return served.ask("GET", "/health")[0] == 200
        except ConnectionRefusedError:
            refused += 1
            return False

    until(healthy, 20, "the server listens", step=0.05)
    assert refused > 2
    status, body = asyncio.run(served.complete(3))
    assert (status, body["choices"][0]["text"]) == (200, "r1")
    assert served.ask("GET", "/v1/models")[1]["data"][0]["id"] == "gemma"
    assert served.ask("POST", "/v1/completions", b'{"model": "other"}')[0] == 404


@pytest.mark.parametrize(
    ("version", "flags", "status", "finish"),
    [
        ("0.33.0", ["--shutdown-timeout=5"], 200, "length"),
        ("0.33.0", [], 200, "abort"),
        ("0.18.0", ["--shutdown-timeout=5"], 200, "length"),
        ("0.17.1", [], 500, None),
    ],
    ids=["drained", "aborted", "first with drain", "last without"],
)
def test_what_sigterm_does_to_a_request_in_flight_depends_on_the_release(
    serve: Serve, version: str, flags: list[str], status: int, finish: str | None
) -> None:
    served = serve(*flags, version=version)
    found, body = asyncio.run(asyncio.wait_for(in_flight(served, 60, served.process.terminate), 20))
    assert found == status
    assert body.get("choices", [{}])[0].get("finish_reason") == finish
    assert served.process.wait(timeout=20) == 0


def test_a_draining_server_listens_still_but_aborts_what_comes_and_what_takes_too_long(
    serve: Serve,
) -> None:
    served = serve("--shutdown-timeout=2")

    async def both() -> tuple[Any, Any]:
        long = asyncio.create_task(in_flight(served, 10_000, served.drain))
        while "[shutdown]" not in served.said:
            await asyncio.sleep(0.01)
        _, late = await served.complete(1)
        assert not long.done()
        return late, (await long)[1]

    answers = asyncio.run(asyncio.wait_for(both(), 20))
    assert [body["choices"][0]["finish_reason"] for body in answers] == ["abort", "abort"]


def test_sigterm_while_it_loads_interrupts_it(serve: Serve) -> None:
    served = serve(load=60, is_ready=False)
    until(lambda: is_bound(served.address), 20, "it holds its port")
    served.process.terminate()
    assert served.process.wait(timeout=20) == 130


def is_bound(address: str) -> bool:
    """Whether some socket is bound to port 8000 of an address; it need not listen."""
    with socket.socket() as one:
        try:
            one.bind((address, 8000))
        except OSError:
            return True
    return False


@pytest.mark.parametrize(
    ("flags", "settings", "key", "status"),
    [
        ([], {}, "", 200),
        (["--api-key=sesame"], {}, "", 401),
        (["--api-key=sesame"], {}, "sesame", 200),
        (["--api-key=sesame"], {"VLLM_API_KEY": "other"}, "other", 401),
        ([], {"VLLM_API_KEY": "sesame"}, "sesame", 200),
        ([], {"VLLM_API_KEY": "sesame\n"}, "sesame", 401),
        ([], {"VLLM_API_KEY": ""}, "", 200),
    ],
    ids=["none", "absent", "right", "flag wins", "variable", "newline", "empty is none"],
)
def test_the_key_guards_the_api_but_not_its_health(
    serve: Serve, flags: list[str], settings: dict[str, str], key: str, status: int
) -> None:
    served = serve(*flags, **settings)
    assert served.ask("GET", "/v1/models", key=key)[0] == status
    assert served.ask("GET", "/health")[0] == 200


def test_requests_beyond_the_seats_wait_and_both_are_counted(serve: Serve) -> None:
    served = serve("--max-num-seqs=1")

    async def two() -> str:
        asks = [asyncio.create_task(served.complete(100)) for _ in range(2)]
        seen = ""
        while "waiting" not in seen:
            reader, writer = await asyncio.open_connection(served.address, 8000)
            writer.write(b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n")
            lines = (await reader.read()).decode().splitlines()
            writer.close()
            seen = "\n".join(one for one in lines if one.endswith("} 1.0"))
        await asyncio.gather(*asks)
        return seen

    labels = '{engine="0",model_name="gemma"} 1.0'
    assert asyncio.run(asyncio.wait_for(two(), 20)) == (
        f"vllm:num_requests_running{labels}\nvllm:num_requests_waiting{labels}"
    )


def test_a_flag_that_the_release_does_not_know_ends_it_with_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert parse(["serve", "m", "--shutdown-timeout=5"], "0.18.0").shutdown_timeout == 5
    with pytest.raises(SystemExit) as caught:
        parse(["serve", "m", "--shutdown-timeout=5"], "0.17.1")
    assert caught.value.code == 2
    assert "unrecognized arguments: --shutdown-timeout=5" in capsys.readouterr().err


def test_without_a_model_the_server_ends_with_vllms_words(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / MODEL / "config.json").unlink()
    served = serve(is_ready=False)
    assert served.process.wait(timeout=20) == 1
    assert served.process.stderr is not None
    last = served.process.stderr.read().strip().splitlines()[-1]
    assert last.startswith("ValueError: Invalid repository ID or local directory specified: '")
