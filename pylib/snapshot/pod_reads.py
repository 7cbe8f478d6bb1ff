"""Logs of pods, and whether the Secrets that they name hold anything."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pylib.snapshot.bodies import Body, condition, dig, name_of, number, part, parts, word
from pylib.snapshot.model import Log, SecretKeys
from pylib.snapshot.pods import pull_secrets, secret_keys
from pylib.snapshot.reader import Reader
from pylib.snapshot.redact import without_secrets

PODS = 20
"""Pods whose logs are read: those that are not ready first."""
LINES = 5000
"""Lines read of each: two hours of probes and scrapes, as vLLM's access log has them."""
CHARACTERS = 64_000
"""Most that is kept of one log, from its end; and of the start of a longer one, from there."""
PATIENCE_SECONDS = 15.0
"""Time for all logs together: a node that is going answers late, or not at all."""

_NOISE = re.compile(r'"GET /(health|metrics|ping) HTTP/[\d.]+" 200 OK')
_REFUSAL = '{"kind":"Status"'


def logs(reader: Reader, pods: list[Body], nodes: list[Body]) -> tuple[Log, ...]:
    """The last lines of every container that runs, ran or failed, on nodes that are there."""
    answering = {name_of(node) for node in nodes if _is_true(node, "Ready")}
    there = [
        pod for pod in pods if word(pod, "spec", "nodeName") in answering or "Node" in reader.unread
    ]
    end = time.monotonic() + PATIENCE_SECONDS
    found: list[Log] = []
    for pod in sorted(there, key=lambda pod: _is_true(pod, "Ready"))[:PODS]:
        if time.monotonic() > end:
            reader.unread.setdefault("log", "the nodes answer too slowly")
            break
        found += _logs_of(reader, pod)
    return tuple(found)


def _is_true(body: Body, kind: str) -> bool:
    return word(condition(body, kind), "status") == "True"


def _logs_of(reader: Reader, pod: Body) -> Iterator[Log]:
    for status in _statuses(pod):
        container = word(status, "name")
        if part(status, "state", "running") or part(status, "state", "terminated"):
            yield from _log(reader, name_of(pod), container, previous=False)
        if number(status, "restartCount"):
            yield from _log(reader, name_of(pod), container, previous=True)


def _log(reader: Reader, pod: str, container: str, *, previous: bool) -> Iterator[Log]:
    text = reader.attempt(
        "log",
        lambda: reader.kube.logs(pod, reader.namespace, container, previous=previous, tail=LINES),
        None,
    )
    if text is None:
        return
    start = ""
    if not previous and text.count("\n") >= LINES:
        start = reader.attempt("log", lambda: _start(reader, pod, container), "")
    yield Log(pod, container, _kept(start)[:CHARACTERS] + _kept(text)[-CHARACTERS:], previous)


def _start(reader: Reader, pod: str, container: str) -> str:
    """The first lines of a log that is longer than what was read of its end: how vLLM started."""
    place = f"/api/v1/namespaces/{quote(reader.namespace)}/pods/{quote(pod)}/log"
    text = reader.kube.raw_text(f"{place}?container={quote(container)}&limitBytes={4 * CHARACTERS}")
    return "" if text.startswith(_REFUSAL) else text


def _kept(text: str) -> str:
    lines = [line for line in text.splitlines() if not _NOISE.search(line)]
    return without_secrets("".join(f"{line}\n" for line in lines))


def _statuses(pod: Body) -> list[Body]:
    return [
        *parts(pod, "status", "initContainerStatuses"),
        *parts(pod, "status", "containerStatuses"),
    ]


def secrets(reader: Reader, workloads: list[Body]) -> tuple[SecretKeys, ...]:
    """Each Secret that pods name: whether it is there, and what its keys hold, in a word."""
    names = dict.fromkeys([*secret_keys(workloads), *pull_secrets(workloads)])
    return tuple(found for name in names for found in _secret(reader, name))


def _secret(reader: Reader, name: str) -> Iterator[SecretKeys]:
    absent: dict[str, Any] = {}
    body = reader.attempt(
        "Secret",
        lambda: reader.kube.get("v1", "Secret", name, reader.namespace) or absent,
        None,
    )
    if body is not None:
        yield SecretKeys(name, None if body is absent else _keys(part(body, "data")))


def _keys(data: Mapping[str, Any]) -> dict[str, str]:
    return {key: _filling(dig(data, key)) for key in sorted(data)}


def _filling(encoded: Any) -> str:
    """What a key's value is like; the value goes no further than this function."""
    import base64
    import binascii

    try:
        value = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else b""
    except (binascii.Error, ValueError):
        return "filled"
    if not value.strip():
        return "blank"
    return "newline" if value.endswith((b"\n", b"\r")) else "filled"
