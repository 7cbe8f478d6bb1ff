"""What the vLLM argument rules take and give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pylib.facts.vllm import NEWEST, Version
from pylib.facts.vllm_flags import Table

ProblemSeverity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class ServingContext:
    """What is known of the pod beside its arguments; ``None`` means not known.

    ``gpus`` of the container; whether the weights lie on a block device (ext4 on a disk, not NFS
    or a bucket); ``shards`` is the number of weight files; ``cpu_limit`` is in cores.
    """

    gpus: int | None
    weights_on_block_device: bool | None
    shards: int | None
    cpu_limit: float | None


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a command line; ``index`` is that of the argument, if it is one."""

    rule: str
    severity: ProblemSeverity
    message: str
    fix: str
    index: int | None = None


@dataclass(frozen=True)
class Target:
    """The release that is asked for, and whether it was read, so that an error is one for sure.

    Without a known version the newest release is taken.
    """

    version: Version
    sure: bool
    table: Table

    @classmethod
    def of(cls, text: str | None, table: Table) -> Target:
        """The target for a version as text; anything but a release is an unknown version."""
        version = Version.parse(text) if text else None
        if version is None:
            newest = Version.parse(NEWEST)
            return cls(newest or table.versions[-1], sure=False, table=table)
        return cls(version, sure=table.covers(version), table=table)

    @property
    def error(self) -> ProblemSeverity:
        """Severity of what vLLM refuses."""
        return "error" if self.sure else "warning"

    def __str__(self) -> str:
        return f"vLLM {self.version}"
