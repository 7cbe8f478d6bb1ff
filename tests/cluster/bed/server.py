"""Stands in for ``vllm serve``: the same command line, the same answers, the same end.

Real: the process, its socket, HTTP, signals, the release's own list of arguments.  Simulated: the
weights are not loaded but waited for (``BED_LOAD_SECONDS``), no GPU computes, a token costs
``BED_TOKEN_SECONDS``, the text of a completion is the first line of the first weight file, so that
a client sees which revision answered, and ``BED_ADDRESS`` stands for the pod's own address.

How it ends follows vLLM's sources.  SIGTERM while it loads interrupts it (``_interrupt_init``).
From 0.18.0 the engine goes first, in ``--shutdown-timeout`` seconds, while the HTTP server still
listens: requests that come then, and those that are not done in time, are answered 200 with
``finish_reason: abort`` (vllm/v1/engine/core.py ``_reject_add_in_shutdown``).  Before 0.18.0 the
engine is torn down under its requests, which fail with 500 (vllm/entrypoints/launcher.py).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylib.facts.vllm import NEWEST, Version
from pylib.facts.vllm_flags import table

_FIRST_WITH_DRAIN = "0.18.0"
_INTERRUPTED = 128 + signal.SIGINT
_KEEP_ALIVE_SECONDS = 5.0  # VLLM_HTTP_TIMEOUT_KEEP_ALIVE


@dataclass(frozen=True)
class Settings:
    """What a test sets, from the environment; seconds, and the release that is played."""

    address: str
    version: str
    load_seconds: float
    token_seconds: float
    api_key: str

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """The settings in ``environment``."""
        return cls(
            address=environment.get("BED_ADDRESS", "127.0.0.1"),
            version=environment.get("BED_VLLM_VERSION", NEWEST),
            load_seconds=float(environment.get("BED_LOAD_SECONDS", "0")),
            token_seconds=float(environment.get("BED_TOKEN_SECONDS", "0")),
            api_key=environment.get("VLLM_API_KEY", ""),
        )


def parse(words: Sequence[str], version: str) -> argparse.Namespace:
    """The arguments after ``vllm``; what that release does not know ends with its exit code, 2."""
    release = Version.parse(version)
    if release is None:
        raise SystemExit(f"vllm: no release {version!r}")
    parser = argparse.ArgumentParser(prog="vllm serve", add_help=False)
    parser.add_argument("model_tag")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--served-model-name", nargs="+")
    parser.add_argument("--api-key", nargs="+")
    parser.add_argument("--max-num-seqs", type=int, default=256)
    parser.set_defaults(shutdown_timeout=0)
    own = {option for action in parser._actions for option in action.option_strings}
    for name in table().names(release):
        flag = table().flag(name, release)
        if name in own or flag is None:
            continue
        if flag.kind == "switch":
            parser.add_argument(name, action="store_true")
        else:
            kind = int if flag.kind == "int" else str
            parser.add_argument(name, type=kind, nargs="+" if flag.many else None)
    if list(words[:1]) != ["serve"]:
        parser.error(f"invalid choice: {' '.join(words[:1])!r}")
    return parser.parse_args(words[1:])


@dataclass
class Engine:
    """Requests that run, up to ``seats`` at once, and those that wait for a seat."""

    seats: int
    token_seconds: float
    running: int = 0
    waiting: int = 0
    stopping: bool = False
    finished: int = 0
    _aborted: asyncio.Event = field(default_factory=asyncio.Event)
    _seat: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def generate(self, tokens: int) -> str:
        """The finish reason of one request of so many tokens: ``length`` or ``abort``."""
        if self.stopping:
            return "abort"
        self.waiting += 1
        try:
            async with self._seat:
                await self._seat.wait_for(lambda: self.running < self.seats)
                self.running += 1
        finally:
            self.waiting -= 1
        try:
            await asyncio.wait_for(self._aborted.wait(), tokens * self.token_seconds)
        except TimeoutError:
            self.finished += 1
            return "length"
        else:
            return "abort"
        finally:
            async with self._seat:
                self.running -= 1
                self._seat.notify_all()

    async def shut_down(self, seconds: float) -> None:
        """Refuse new requests, let those in flight finish for ``seconds``, abort the others."""
        self.stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._seat:
                await self._seat.wait_for(lambda: self.running + self.waiting == 0)
        self._aborted.set()


@dataclass(frozen=True)
class Answer:
    """Status, body and content type of one HTTP answer."""

    status: int
    body: bytes = b""
    kind: str = "application/json"

    @classmethod
    def json(cls, status: int, what: Any) -> Answer:
        """An answer whose body is ``what``."""
        return cls(status, json.dumps(what).encode())


class Server:
    """The HTTP side: /health, /v1/models, /v1/completions and /metrics."""

    def __init__(self, options: argparse.Namespace, settings: Settings) -> None:
        self.settings = settings
        self.options = options
        self.model = Path(options.model_tag)
        self.name = (options.served_model_name or [options.model_tag])[0]
        # An empty key is none: vllm/entrypoints/serve/middleware/register.py.
        self.keys = [key for key in options.api_key or [settings.api_key] if key]
        self.engine = Engine(options.max_num_seqs, settings.token_seconds)
        self.text = ""
        self.is_dead = False
        self.is_ending = False
        self._open: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.StreamWriter] = set()

    async def run(self) -> int:
        """Load, serve until SIGTERM, end; the exit code."""
        loop = asyncio.get_running_loop()
        ends = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, ends.set)
        loop.add_signal_handler(signal.SIGINT, ends.set)
        with socket.socket() as held:
            # vLLM binds before it loads and listens after: until then connections are refused.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((self.settings.address, self.options.port))
            if not await self._load(ends):
                return _INTERRUPTED
            listener = await asyncio.start_server(self._connected, sock=held.dup(), backlog=2048)
        _log(f"Starting vLLM server on http://0.0.0.0:{self.options.port}")
        _log("Application startup complete.")
        await ends.wait()
        await self._end(listener)
        return 0

    async def _load(self, ends: asyncio.Event) -> bool:
        """Wait as long as the weights would take; false when told to end meanwhile."""
        begin = time.monotonic()
        self.text = first_line(self.model)
        with suppress(TimeoutError):
            await asyncio.wait_for(ends.wait(), self.settings.load_seconds)
        took = time.monotonic() - begin
        _log(f"Loading weights took {took:.2f} seconds (simulated)")
        return not ends.is_set()

    async def _end(self, listener: asyncio.Server) -> None:
        release = Version.parse(self.settings.version)
        first = Version.parse(_FIRST_WITH_DRAIN)
        if release is not None and first is not None and release < first:
            listener.close()
            self.is_dead = True
            await self.engine.shut_down(0)
        else:
            _log(f"[shutdown] API server: stopping timeout={self.options.shutdown_timeout}s")
            await self.engine.shut_down(self.options.shutdown_timeout)
            listener.close()
        self.is_ending = True
        for writer in self._idle:
            writer.close()
        if self._open:
            await asyncio.wait(self._open, timeout=2)
        _log("Application shutdown complete.")

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._open.add(task)
        try:
            # A client may go away, or never ask.
            with suppress(OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
                while await self._serve(reader, writer):
                    pass
        finally:
            writer.close()
            self._open.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stays open for another."""
        self._idle.add(writer)
        try:
            async with asyncio.timeout(_KEEP_ALIVE_SECONDS):
                method, path, headers, body = await _request(reader)
        finally:
            self._idle.discard(writer)
        answer = await self.answer(method, path, headers, body)
        stays = headers.get("connection") != "close" and not self.is_ending
        head = (
            f"HTTP/1.1 {answer.status} -\r\nContent-Type: {answer.kind}\r\n"
            f"Content-Length: {len(answer.body)}\r\n"
            f"Connection: {'keep-alive' if stays else 'close'}\r\n\r\n"
        )
        writer.write(head.encode() + answer.body)
        await writer.drain()
        return stays

    async def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """What vLLM answers; the key guards /v1 only (middleware/authenticate.py)."""
        if path.startswith("/v1") and self.keys and _token(headers) not in self.keys:
            return Answer.json(401, {"error": "Unauthorized"})
        if (method, path) == ("GET", "/health"):
            return Answer(503 if self.is_dead else 200)
        if (method, path) == ("GET", "/metrics"):
            return Answer(200, self.metrics().encode(), "text/plain; version=0.0.4")
        if (method, path) == ("GET", "/v1/models"):
            model = {"id": self.name, "object": "model", "root": str(self.model)}
            return Answer.json(200, {"object": "list", "data": [model]})
        if (method, path) == ("POST", "/v1/completions"):
            return await self._completion(json.loads(body))
        return Answer.json(404, {"detail": "Not Found"})

    async def _completion(self, asked: Mapping[str, Any]) -> Answer:
        if asked.get("model", self.name) != self.name:
            message = f"The model `{asked['model']}` does not exist."
            return Answer.json(404, {"error": {"message": message, "code": 404}})
        if asked.get("stream"):
            message = "this stand-in does not stream"
            return Answer.json(400, {"error": {"message": message, "code": 400}})
        reason = await self.engine.generate(int(asked.get("max_tokens", 16)))
        if self.is_dead:
            error = {"message": "EngineCore encountered an issue.", "code": 500}
            return Answer.json(500, {"error": error})
        text = "" if reason == "abort" else self.text
        choice = {"index": 0, "text": text, "finish_reason": reason}
        return Answer.json(
            200, {"object": "text_completion", "model": self.name, "choices": [choice]}
        )

    def metrics(self) -> str:
        """The gauges that autoscaling reads, as vLLM exports them."""
        labels = f'{{engine="0",model_name="{self.name}"}}'
        values = {
            "vllm:num_requests_running": self.engine.running,
            "vllm:num_requests_waiting": self.engine.waiting,
        }
        lines = [
            f"# HELP {name} Number of requests.\n# TYPE {name} gauge\n{name}{labels} {value:.1f}\n"
            for name, value in values.items()
        ]
        return "".join(lines)


def first_line(model: Path) -> str:
    """First line of the first weight file; the process ends as vLLM does when there is no model."""
    if not (model / "config.json").is_file():
        message = f"Invalid repository ID or local directory specified: '{model}'."
        raise SystemExit(f"ValueError: {message}")
    weights = sorted(model.glob("*.safetensors"))
    if not weights:
        raise SystemExit(f"RuntimeError: Cannot find any model weights with `{model}`")
    with weights[0].open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip()


async def _request(
    reader: asyncio.StreamReader,
) -> tuple[str, str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return method, path, headers, body


def _token(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None


def _log(message: str) -> None:
    sys.stderr.write(f"INFO {time.strftime('%m-%d %H:%M:%S')} [stand-in] {message}\n")
    sys.stderr.flush()


def main() -> int:
    """Serve until told to end."""
    settings = Settings.read(os.environ)
    return asyncio.run(Server(parse(sys.argv[1:], settings.version), settings).run())


if __name__ == "__main__":
    sys.exit(main())
