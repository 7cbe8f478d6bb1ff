"""Clients of a Service: a steady stream of requests to the endpoints that a node knows.

Real: EndpointSlices are watched, each request is a connection and an HTTP request of its own.
Simulated: kube-proxy, which is a delay between a change and the clients' knowledge of it; the pod
network, in which 10.x.y.z is 127.x.y.z on loopback; what a cloud's load balancer adds.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pylib.kube import Body, Kube
from tests.cluster.bed.reflect import Reflector

PROPAGATION_SECONDS = 1.0
"""Between an EndpointSlice's change and a node's rules: kube-proxy writes them a second apart at
most often (``--iptables-min-sync-period``, whose default is 1 s)."""

_REQUEST_SECONDS = 30.0
_TICK = 0.01


@dataclass(frozen=True)
class Endpoint:
    """One pod behind a Service."""

    pod: str
    address: str
    port: int
    ready: bool
    serving: bool
    terminating: bool


def endpoints_of(body: Body) -> list[Endpoint]:
    """The endpoints in one EndpointSlice; absent conditions mean what the API says they mean."""
    port = body["ports"][0]["port"] if body.get("ports") else 0
    found = []
    for one in body.get("endpoints") or []:
        said = one.get("conditions", {})
        ready = said.get("ready", True)
        found.append(
            Endpoint(
                pod=one["targetRef"]["name"],
                address=reachable(one["addresses"][0]),
                port=port,
                ready=ready,
                serving=said.get("serving", ready),
                terminating=said.get("terminating", False),
            )
        )
    return found


def reachable(address: str) -> str:
    """Where a pod that is told 10.x.y.z listens."""
    return f"127.{address.partition('.')[2]}"


def eligible(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Where kube-proxy sends: to ready endpoints, else to those that end but still serve."""
    ready = [one for one in endpoints if one.ready]
    return ready or [one for one in endpoints if one.serving and one.terminating]


@dataclass(frozen=True)
class Lost:
    """A request without a completion."""

    seconds: float
    pod: str
    why: str


@dataclass
class Outcome:
    """What came of all requests so far."""

    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Completions by pod and text, which says the revision."""
    lost: list[Lost] = field(default_factory=list)
    last: str = ""
    """Text of the newest completion."""

    @property
    def total(self) -> int:
        """All requests that have ended."""
        return self.answered.total() + len(self.lost)

    def by_text(self) -> Counter[str]:
        """Completions by revision."""
        found: Counter[str] = Counter()
        for (_, text), count in self.answered.items():
            found[text] += count
        return found


class Clients:
    """Send ``rate`` requests a second, each of ``tokens`` tokens, until :meth:`stop`."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        service: str,
        *,
        rate: float = 20.0,
        tokens: int = 20,
        key: str = "",
        delay: float = PROPAGATION_SECONDS,
    ) -> None:
        self.outcome = Outcome()
        self._gap = 1 / rate
        self._asked = json.dumps({"prompt": "One, two,", "max_tokens": tokens}).encode()
        self._key = key
        self._delay = delay
        self._slices: dict[str, list[Endpoint]] = {}
        self._began = time.monotonic()
        self._ends = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._send(),))
        self._reflector = Reflector(
            kube,
            "discovery.k8s.io/v1",
            "EndpointSlice",
            self._changed,
            namespace=namespace,
            labels=f"kubernetes.io/service-name={service}",
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> Outcome:
        """Send no more, wait for what is under way, and say what came of all."""
        if self._thread.is_alive():
            self._reflector.close()
            self._loop.call_soon_threadsafe(self._ends.set)
            self._thread.join(2 * _REQUEST_SECONDS)
            self._loop.close()
        return self.outcome

    def endpoints(self) -> list[Endpoint]:
        """Where requests may go now, as far as the clients know."""
        return eligible([one for known in list(self._slices.values()) for one in known])

    def _changed(self, uid: str, body: Body | None) -> None:
        known = [] if body is None else endpoints_of(body)
        self._loop.call_soon_threadsafe(
            self._loop.call_later, self._delay, self._slices.__setitem__, uid, known
        )

    async def _send(self) -> None:
        while not self.endpoints() and not self._ends.is_set():
            await asyncio.sleep(_TICK)
        under_way: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not self._ends.is_set():
            task = asyncio.create_task(self._one())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            due += self._gap
            await asyncio.sleep(due - time.monotonic())
        await asyncio.gather(*under_way)

    async def _one(self) -> None:
        known = self.endpoints()
        if not known:
            self._lose("", "no endpoint: connection refused")
            return
        chosen = secrets.choice(known)
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                status, body = await self._ask(chosen)
        except ConnectionRefusedError:
            self._lose(chosen.pod, "connection refused")
        except (OSError, ValueError, asyncio.IncompleteReadError):
            self._lose(chosen.pod, "connection closed without an answer")
        except TimeoutError:
            self._lose(chosen.pod, "no answer in time")
        else:
            self._judge(chosen.pod, status, body)

    def _judge(self, pod: str, status: int, body: Mapping[str, Any]) -> None:
        if status != 200:
            self._lose(pod, f"HTTP {status}")
            return
        [choice] = body["choices"]
        if choice["finish_reason"] == "abort":
            self._lose(pod, "aborted")
            return
        self.outcome.answered[pod, choice["text"]] += 1
        self.outcome.last = choice["text"]

    def _lose(self, pod: str, why: str) -> None:
        self.outcome.lost.append(Lost(round(time.monotonic() - self._began, 2), pod, why))

    async def _ask(self, at: Endpoint) -> tuple[int, dict[str, Any]]:
        return await request(at.address, at.port, "POST", "/v1/completions", self._asked, self._key)


async def request(
    address: str, port: int, method: str, path: str, body: bytes = b"", key: str = ""
) -> tuple[int, dict[str, Any]]:
    """One HTTP request on a connection of its own: status, and the body's JSON."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        secret = f"Authorization: Bearer {key}\r\n" if key else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {address}:{port}\r\nConnection: close\r\n{secret}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        first, *_ = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        text = await reader.read()
        return int(first.split(" ")[1]), json.loads(text or b"{}")
    finally:
        writer.close()
