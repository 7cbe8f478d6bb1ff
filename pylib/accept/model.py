"""What acceptance reads and what it says.  Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from pylib.cloud.records import Disk, Image, Instance
from pylib.config.model import Config
from pylib.lock import Lock
from pylib.snapshot.bodies import Body
from pylib.snapshot.model import Snapshot

T = TypeVar("T")


class State(StrEnum):
    """``unchecked``: it could not be checked, which is not a pass."""

    PASSED = "passed"
    FAILED = "failed"
    UNCHECKED = "unchecked"


@dataclass(frozen=True)
class Check:
    """One finding: what it is about, what was seen, and, unless it passed, why that is not enough
    and what to do next."""

    name: str
    about: str
    state: State
    seen: str = ""
    why: str = ""
    next: str = ""


@dataclass(frozen=True)
class Read(Generic[T]):
    """Found, absent (``None``), or not known, for the reason that ``why_not`` gives."""

    found: T | None = None
    why_not: str = ""


@dataclass(frozen=True)
class Mount:
    """A line of ``/proc/self/mountinfo``: ``device`` is ``major:minor``."""

    device: str
    options: tuple[str, ...]
    fs: str
    source: str


@dataclass(frozen=True)
class Reply:
    """What the server answered to one completion: ``seconds`` from the request to its last byte;
    ``status`` 0 when there was no answer, and ``text`` then says why."""

    status: int
    text: str
    seconds: float


@dataclass(frozen=True)
class Completion:
    """Two completions of one server: ``first`` of a single token, ``whole`` of ``tokens``."""

    first: Reply
    whole: Reply
    tokens: int


@dataclass(frozen=True)
class Inside:
    """What a look into a serving container found; ``read_ahead_kib`` is its weights' device's."""

    mount: Read[Mount]
    read_ahead_kib: Read[int]
    completion: Read[Completion]


@dataclass(frozen=True)
class Evidence:
    """All that is judged.

    ``inside`` is by pod; ``vms`` and ``snapshotter`` (messages of GKE's snapshotter, the newest
    first) by node; ``attachments`` by node and volume; ``images`` by link; ``disks`` by zone and
    name.
    """

    snapshot: Snapshot
    config: Config
    lock: Lock
    config_file: str = "config.yaml"
    inside: Mapping[str, Inside] = field(default_factory=dict)
    vms: Mapping[str, Read[Instance]] = field(default_factory=dict)
    snapshotter: Mapping[str, Read[tuple[str, ...]]] = field(default_factory=dict)
    attachments: Mapping[tuple[str, str], Read[Body]] = field(default_factory=dict)
    images: Mapping[str, Read[Image]] = field(default_factory=dict)
    disks: Mapping[tuple[str, str], Read[Disk]] = field(default_factory=dict)

    def kubectl(self, words: str) -> str:
        """A kubectl command in the release's namespace."""
        where = f"--context {self.snapshot.context} -n {self.snapshot.namespace}"
        return f"kubectl {where} {words}"

    def observe(self) -> str:
        """The command that says why a release is not ready."""
        return f"python -m pylib observe -f {self.config_file}"
