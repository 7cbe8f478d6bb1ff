"""Small parts of :mod:`tests.cloud.fake`: its clock, its faults, its VMs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pylib.cloud.faults import Kind
from pylib.cloud.records import Instance, InstanceSpec

DIGEST = "sha256:" + "ab" * 32
MANIFEST = "cd" * 32


def found_on_disk(job: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a guest's report."""
    if job["kind"] == "weights":
        return {"files": 3, "bytes": 7, "shards": 2}
    rows = [{"reference": name, "digest": DIGEST, "bytes": 7} for name in job["images"]]
    return {"images": rows}


class ManualClock:
    """Moves when it is slept on."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Killed(BaseException):
    """The client is dead; only a new one goes on."""


@dataclass
class Fault:
    """``nth`` call named ``call``: ``before`` and ``after`` raise ``kind``, ``operation`` lets the
    operation end with ``code``, ``stuck`` never ends, ``run`` does something first."""

    call: str
    how: str
    nth: int = 1
    times: int = 1
    kind: Kind = Kind.UNKNOWN
    code: str = "INTERNAL_ERROR"
    run: Callable[[], None] = lambda: None


@dataclass
class Vm:
    record: Instance
    spec: InstanceSpec
    born: float
    polls: int = 0
