"""Every error that pylib raises on purpose: one class, one exit code, one paragraph.

    VfsError
    ├── ConfigError         2   the config, lock or values file, or the command line, is wrong
    ├── ToolMissingError    3   helm or kubeconform is not there, or too old
    ├── ToolFailedError     4   a tool ran and failed in a way that no other class names
    ├── RenderError         5   the chart refused the values, or did not render
    ├── ManifestError       6   a manifest file cannot be read as Kubernetes YAML
    ├── KubeError           7   the cluster cannot be reached, or its API server refused a request
    ├── InstallError        8   a release did not become ready, or the cluster is not fit for it
    ├── CloudError          9   Google Cloud refused a call, or cannot be reached
    ├── BakeError          10   a disk image could not be made; none was published
    └── ProvisionError     11   a pool, disk, role or cluster object could not be made or removed

Exit code 0 is done, 1 is findings (``validate``), 130 is interrupted.  A message says what
happened, with which value, and what to do next; it is what the user reads, there is no traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

EXIT_OK = 0
EXIT_FINDINGS = 1
EXIT_INTERRUPTED = 130


class VfsError(Exception):
    """Base class: ``exit_code`` is what the CLI returns, ``str()`` is what it prints."""

    exit_code: ClassVar[int] = 70


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a file: where, what, and what to write instead.

    ``path`` is dotted with indices, as in ``cells[0].zone``; ``line`` is 1-based, ``None`` when
    the field is absent from the file.
    """

    path: str
    message: str
    fix: str
    line: int | None = None

    def render(self, file: str) -> str:
        """``file:line: path: message`` and, indented below it, the fix."""
        where = file if self.line is None else f"{file}:{self.line}"
        subject = f"{self.path}: " if self.path else ""
        return f"{where}: {subject}{self.message}\n    {self.fix}"


class ConfigError(VfsError):
    """The input files are wrong; carries every problem found, in file order."""

    exit_code = 2

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{file}: {count} problem{'s' if count != 1 else ''}"
        super().__init__("\n".join([head, *(p.render(file) for p in self.problems)]))


class ToolMissingError(VfsError):
    """An external program that a verb needs is absent, or its version does not fit."""

    exit_code = 3


class ToolFailedError(VfsError):
    """An external program failed; the message ends with what it wrote to standard error."""

    exit_code = 4


class RenderError(VfsError):
    """Helm refused the values or the chart; the message is the chart's own text."""

    exit_code = 5


class ManifestError(VfsError):
    """A manifest file is not YAML, or holds something that is no Kubernetes object."""

    exit_code = 6


class KubeError(VfsError):
    """The cluster cannot be reached (``status`` 0), or its API server refused a request.

    ``status`` is the HTTP status, ``reason`` Kubernetes' own word for it, such as ``Forbidden``.
    """

    exit_code = 7

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class InstallError(VfsError):
    """A release did not become ready, or the cluster is not fit for it; the message says why, and
    which command comes next."""

    exit_code = 8


class CloudError(VfsError):
    """Google Cloud refused a call, or cannot be reached; the message names the resource, what the
    service said, and the remedy."""

    exit_code = 9


class BakeError(VfsError):
    """A disk image could not be made, and none was published; the message says what is left."""

    exit_code = 10


class ProvisionError(VfsError):
    """A node pool, disk, role or cluster object could not be made or taken away, or is somebody
    else's; what was made before stays, and the same command goes on from there."""

    exit_code = 11
