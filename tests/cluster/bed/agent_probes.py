"""Probes as a kubelet runs them: real HTTP requests, thresholds, periods and messages.

Follows pkg/kubelet/prober/worker.go and pkg/probe/http of Kubernetes 1.36.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

USER_AGENT = "kube-probe/1.36"
_FIRST_GOOD = 200
_FIRST_BAD = 400
_MOST_BYTES = 10 * 1024


class Kind(StrEnum):
    """The three probes, as events spell them."""

    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"


@dataclass(frozen=True)
class Probe:
    """One probe of a rendered container, with the API server's defaults."""

    kind: Kind
    action: Mapping[str, Any]
    period: float = 10.0
    timeout: float = 1.0
    initial_delay: float = 0.0
    failure_threshold: int = 3
    success_threshold: int = 1

    @classmethod
    def all_of(cls, container: Mapping[str, Any]) -> list[Probe]:
        """The probes of a container of a pod's spec."""
        return [
            cls(
                kind,
                said,
                float(said.get("periodSeconds", 10)),
                float(said.get("timeoutSeconds", 1)),
                float(said.get("initialDelaySeconds", 0)),
                said.get("failureThreshold", 3),
                said.get("successThreshold", 1),
            )
            for kind in Kind
            if (said := container.get(f"{kind.lower()}Probe"))
        ]


@dataclass
class Tally:
    """How often in a row a probe had the same result; what that means once it is often enough."""

    probe: Probe
    _last: bool | None = None
    _run: int = 0

    def add(self, *, good: bool) -> bool | None:
        """The verdict after one more result; ``None`` while its threshold is not reached."""
        self._run = self._run + 1 if good == self._last else 1
        self._last = good
        enough = self.probe.success_threshold if good else self.probe.failure_threshold
        return good if self._run >= enough else None


@dataclass(frozen=True)
class Target:
    """A container to probe: ``address`` is what it listens on, ``shown`` what its pod is told."""

    address: str
    shown: str
    ports: Mapping[str, int]
    run: Callable[[Sequence[str], float], Awaitable[tuple[int, str]]]

    def port(self, said: int | str) -> int:
        """A port by number or by name."""
        return self.ports[said] if isinstance(said, str) else said


async def attempt(action: Mapping[str, Any], target: Target, timeout: float) -> str:
    """Do what a probe or a hook says; why it failed, empty when it did not."""
    if "httpGet" in action:
        return await _http(action["httpGet"], target, timeout)
    if "exec" in action:
        code, output = await target.run(action["exec"]["command"], timeout)
        return "" if code == 0 else output.strip() or f"exit code {code}"
    if "tcpSocket" in action:
        port = target.port(action["tcpSocket"]["port"])
        return await _tcp(target, port, timeout)
    raise ValueError(f"the agent knows no probe or hook like {dict(action)}")


async def _http(get: Mapping[str, Any], target: Target, timeout: float) -> str:
    port = target.port(get["port"])
    url = f"http://{target.shown}:{port}{get.get('path', '/')}"
    try:
        async with asyncio.timeout(timeout):
            status = await _get_status(target.address, port, get)
    except TimeoutError:
        waited = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return f'Get "{url}": {waited}'
    except ConnectionRefusedError:
        return f'Get "{url}": dial tcp {target.shown}:{port}: connect: connection refused'
    except (OSError, asyncio.IncompleteReadError):
        return f'Get "{url}": EOF'
    if _FIRST_GOOD <= status < _FIRST_BAD:
        return ""
    return f"HTTP probe failed with statuscode: {status}"


async def _get_status(address: str, port: int, get: Mapping[str, Any]) -> int:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        extra = "".join(f"{h['name']}: {h['value']}\r\n" for h in get.get("httpHeaders", []))
        head = (
            f"GET {get.get('path', '/')} HTTP/1.1\r\nHost: {address}:{port}\r\n"
            f"User-Agent: {USER_AGENT}\r\nConnection: close\r\n{extra}\r\n"
        )
        writer.write(head.encode())
        first = await reader.readuntil(b"\r\n")
        await reader.read(_MOST_BYTES)
        return int(first.split(b" ")[1])
    finally:
        writer.close()


async def _tcp(target: Target, port: int, timeout: float) -> str:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(target.address, port)
    except (OSError, TimeoutError):
        return f"dial tcp {target.shown}:{port}: connect: connection refused"
    writer.close()
    return ""


async def follow(
    probe: Probe,
    target: Target,
    started: asyncio.Event,
    failed: Callable[[Probe, str], None],
    judged: Callable[[Probe, bool], None],
) -> None:
    """Probe one container until it has started, is judged dead, or this is cancelled.

    ``failed`` hears of each failure, ``judged`` of each verdict.  Until ``started`` is set only
    the startup probe runs; readiness is then probed at once.
    """
    began = time.monotonic()
    await asyncio.sleep(probe.initial_delay)
    tally = Tally(probe)
    while True:
        if probe.kind is not Kind.STARTUP and not started.is_set():
            await started.wait()
            if probe.kind is Kind.READINESS:
                began = time.monotonic()
            else:
                await _next_tick(began, probe.period)
        problem = await attempt(probe.action, target, probe.timeout)
        if problem:
            failed(probe, problem)
        verdict = tally.add(good=not problem)
        if verdict is not None:
            judged(probe, verdict)
            if probe.kind is Kind.STARTUP or (probe.kind is Kind.LIVENESS and not verdict):
                return
        await _next_tick(began, probe.period)


async def _next_tick(began: float, period: float) -> None:
    """Sleep until the next whole number of periods after ``began``."""
    passed = time.monotonic() - began
    await asyncio.sleep((math.floor(passed / period) + 1) * period - passed)
