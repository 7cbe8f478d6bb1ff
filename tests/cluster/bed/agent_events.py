"""Events as a kubelet records them: the same one again is counted, not repeated."""

from __future__ import annotations

import datetime
import os
import queue
import threading
from dataclasses import dataclass, field
from typing import Any

from pylib.errors import KubeError
from pylib.kube import Body, Kube

_WARNINGS = frozenset(
    {"BackOff", "Failed", "FailedMount", "FailedPreStopHook", "Unhealthy", "InspectFailed"}
)


def now() -> str:
    """The time in Kubernetes' form, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Event:
    """One thing to say about a pod, or about one of its containers."""

    pod: Body
    reason: str
    message: str
    field_path: str = ""

    def key(self) -> tuple[str, ...]:
        """Events with the same key are one, with a count."""
        return (self.pod["metadata"]["uid"], self.reason, self.message, self.field_path)


@dataclass
class Recorder:
    """Writes events in their order, on a thread of its own."""

    kube: Kube
    _queue: queue.Queue[tuple[Event, str] | None] = field(default_factory=queue.Queue)
    _seen: dict[tuple[str, ...], Body] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._write, name="events", daemon=True)
        self._thread.start()

    def record(self, event: Event, node: str) -> None:
        """Have an event written soon."""
        self._queue.put((event, node))

    def close(self) -> None:
        """Write what is left, then end."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _write(self) -> None:
        while (entry := self._queue.get()) is not None:
            try:
                self._send(*entry)
            except KubeError as error:
                # Kubelets drop an event that is refused: its namespace is going, mostly.
                self._seen.pop(entry[0].key(), None)
                if not error.status:
                    return

    def _send(self, event: Event, node: str) -> None:
        known = self._seen.get(event.key())
        if known is None:
            self._seen[event.key()] = self.kube.create(_body(event, node))
            return
        change = {"count": known["count"] + 1, "lastTimestamp": now()}
        meta = known["metadata"]
        self._seen[event.key()] = self.kube.patch(
            "v1", "Event", meta["name"], meta["namespace"], change
        )


def _body(event: Event, node: str) -> Body:
    meta = event.pod["metadata"]
    involved: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": meta["name"],
        "namespace": meta["namespace"],
        "uid": meta["uid"],
        "resourceVersion": meta.get("resourceVersion", ""),
    }
    if event.field_path:
        involved["fieldPath"] = event.field_path
    time = now()
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{meta['name']}.{os.urandom(8).hex()}",
            "namespace": meta["namespace"],
        },
        "involvedObject": involved,
        "reason": event.reason,
        "message": event.message,
        "type": "Warning" if event.reason in _WARNINGS else "Normal",
        "source": {"component": "kubelet", "host": node},
        "reportingComponent": "kubelet",
        "reportingInstance": node,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
