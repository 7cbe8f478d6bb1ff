"""Helm, through pyhelm3: the one module that imports it.

pyhelm3 merges several values by joining their lists and skipping nulls, which is not Helm's rule,
and parses what it renders lazily and without lines.  So this module hands it exactly one map of
values and takes the text as it comes.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pylib.errors import RenderError, ToolFailedError, ToolMissingError
from pylib.proc import GO_SETTINGS
from pylib.signals import run_passing_signals
from pylib.yamlio import yaml_escapes


def _load_pyhelm3() -> ModuleType:
    """``pyhelm3.command`` without the rest of the package.

    pyhelm3 imports its pydantic models at once, which takes longer than helm takes to render; its
    command module needs none of them.  So the package is entered by a stand-in, taken away again,
    and whoever imports pyhelm3 itself afterwards gets the whole of it.
    """
    loaded = sys.modules.get("pyhelm3")
    if loaded is None:
        spec = importlib.util.find_spec("pyhelm3")
        if spec is None or spec.submodule_search_locations is None:
            raise ToolMissingError("pyhelm3 is not installed. Run scripts/bootstrap.")
        stand_in = ModuleType("pyhelm3")
        stand_in.__path__ = list(spec.submodule_search_locations)
        sys.modules["pyhelm3"] = stand_in
    try:
        return importlib.import_module("pyhelm3.command")
    finally:
        if loaded is None:
            del sys.modules["pyhelm3"]


if TYPE_CHECKING:
    import pyhelm3.command as pyhelm3_command
else:
    pyhelm3_command = _load_pyhelm3()

# Its warnings repeat, with the whole command line, what our own errors say.
logging.getLogger("pyhelm3").addHandler(logging.NullHandler())

_DEBUG_HINT = "Use --debug flag to render out invalid YAML"
_PREFIXES = re.compile(
    r"^(Error: )?(execution error at \([^)]*\): |template: \S+ (executing .*? at <.*?>: )?)?"
)
_NOT_FOUND = 127
_AWAY = re.compile(
    r"unreachable|connection re(fused|set)|broken pipe|\bEOF\b|i/o timeout|TLS handshake timeout"
    r"|no route to host|etcdserver|apiserver not ready|currently unable to handle|shutting down"
    r"|client connection lost|net/http: request canceled",
    re.IGNORECASE,
)
"""What helm and Go's HTTP client say of a server that went away, is starting, or is stopping."""

READ_PATIENCE_SECONDS = 60.0
"""How long reading goes on while the server is away, as :mod:`pylib.kube` does."""

PENDING = frozenset({"pending-install", "pending-upgrade", "pending-rollback"})
"""Statuses under which helm refuses every upgrade: "another operation is in progress".
helm.sh/helm pkg/release/common/status.go@v4.3.1, ``IsPending``."""


@dataclass(frozen=True)
class TemplateRequest:
    """One ``helm template``: ``kubernetes`` is a version such as ``1.36``, or Helm's own."""

    release: str
    namespace: str
    chart: Path
    values: Mapping[str, Any]
    kubernetes: str | None = None
    is_upgrade: bool = False


class _TextCommand(pyhelm3_command.Command):
    """Adds the flags that pyhelm3 does not know, and keeps the text that helm printed."""

    def __init__(self, helm: Path, extra: Sequence[str] = (), **settings: Any) -> None:
        # pyhelm3 starts a shell; that gives way to helm, so that a signal for it reaches helm.
        super().__init__(executable="exec", **settings)
        variables = (f"{name}={value}" for name, value in GO_SETTINGS.items())
        self._before = ["env", *variables, str(helm)]
        self._extra = list(extra)
        self.text = ""

    async def run(self, command: list[str], input: bytes | None = None) -> bytes:
        # pyhelm3 writes values as JSON; helm reads them as YAML, which knows no surrogate pairs.
        values = None if input is None else yaml_escapes(input.decode()).encode()
        output: bytes = await super().run([*self._before, *command, *self._extra], values)
        self.text = output.decode()
        return output


def template(
    requests: Sequence[TemplateRequest],
    helm: Path,
    meanwhile: Callable[[], object] | None = None,
) -> tuple[str, ...]:
    """What ``helm template`` prints for each request, in order, on all cores.

    ``meanwhile`` runs in a thread beside it: work that need not wait for helm.
    Raises :class:`RenderError` with the chart's own message for the first request that fails.
    """
    return run_passing_signals(_template_all(requests, helm, meanwhile))


async def _template_all(
    requests: Sequence[TemplateRequest], helm: Path, meanwhile: Callable[[], object] | None
) -> tuple[str, ...]:
    places = asyncio.Semaphore(os.cpu_count() or 1)

    async def one(request: TemplateRequest) -> str:
        async with places:
            return await _template(request, helm)

    beside = asyncio.create_task(asyncio.to_thread(meanwhile or _nothing))
    # All are waited for, also when one fails: none goes on behind the error.
    results = await asyncio.gather(*(one(request) for request in requests), return_exceptions=True)
    await beside
    return tuple(_text_or_raise(result) for result in results)


def _text_or_raise(result: str | BaseException) -> str:
    if isinstance(result, BaseException):
        raise result
    return result


def _nothing() -> None:
    """What there is to do while helm works, when nobody says."""


async def _template(request: TemplateRequest, helm: Path) -> str:
    flags = ["--kube-version", request.kubernetes] if request.kubernetes else []
    command = _TextCommand(helm, flags)
    try:
        await command.template(
            request.release,
            request.chart,
            dict(request.values),
            namespace=request.namespace,
            is_upgrade=request.is_upgrade,
        )
    except pyhelm3_command.errors.Error as error:
        raise _own_error(error, request, helm) from error
    return command.text


def _own_error(
    error: pyhelm3_command.errors.Error, request: TemplateRequest, helm: Path
) -> RenderError | ToolMissingError:
    text = error.stderr.decode(errors="replace").strip()
    if error.returncode == _NOT_FOUND:
        return ToolMissingError(_missing(helm))
    reason = _PREFIXES.sub("", text, count=1).removesuffix(_DEBUG_HINT).strip()
    return RenderError(f"the chart refuses the values of release {request.release!r}:\n{reason}")


def _missing(helm: Path) -> str:
    return f"{helm} is not installed. Run scripts/install-tools helm."


class HelmError(ToolFailedError):
    """Helm refused, or failed at, an operation; ``away`` says that the server was not there."""

    def __init__(self, message: str, *, away: bool = False) -> None:
        super().__init__(message)
        self.away = away


@dataclass(frozen=True)
class Revision:
    """One entry of a release's history; ``updated`` is when helm began it, by its own clock."""

    number: int
    status: str
    updated: datetime
    chart: str = ""
    description: str = ""


@dataclass(frozen=True)
class HelmRelease:
    """A release in a cluster, and the helm that reads and changes it.

    Every method raises :class:`HelmError` with helm's own message; those that only read ask again
    for a minute while the server is away.
    """

    helm: Path
    name: str
    namespace: str
    kubeconfig: Path | None = None
    context: str | None = None

    @property
    def manager(self) -> str:
        """Field manager of what helm applies: helm takes the name of its own file.

        helm.sh/helm pkg/kube/client.go@v4.3.1, ``getManagedFieldsManager``.
        """
        return self.helm.name

    def history(self) -> tuple[Revision, ...]:
        """All revisions, oldest first; none when there is no such release."""
        try:
            found, _ = self._read(lambda helm: helm.history(self.name, namespace=self.namespace))
        except HelmError as error:
            if isinstance(error.__cause__, pyhelm3_command.errors.ReleaseNotFoundError):
                return ()
            raise
        return tuple(
            Revision(
                int(entry["revision"]),
                str(entry["status"]),
                datetime.fromisoformat(entry["updated"]),
                str(entry.get("chart", "")),
                str(entry.get("description", "")),
            )
            for entry in sorted(found, key=lambda entry: int(entry["revision"]))
        )

    def manifest(self, revision: int) -> str:
        """The objects of a revision as YAML text, without its hooks."""
        where = {"namespace": self.namespace, "revision": revision}
        _, text = self._read(lambda helm: helm.get_resources(self.name, **where))
        return text

    def values(self, revision: int) -> Mapping[str, Any]:
        """The values that a revision was given."""
        where = {"namespace": self.namespace, "revision": revision}
        found: Mapping[str, Any]
        found, _ = self._read(lambda helm: helm.get_values(self.name, **where))
        return found

    def major(self) -> int:
        """3 or 4."""
        text = str(self._run(self._command().version()))
        return int(text.removeprefix("v").partition(".")[0])

    def upgrade(
        self,
        chart: Path,
        values: Mapping[str, Any],
        *,
        create_namespace: bool = False,
        force_conflicts: bool = False,
    ) -> str:
        """Install the release, or bring it to a new revision; returns the chart's notes.

        Helm does not wait for pods here, so this takes seconds.  A signal that ends the wait for
        helm is passed on to it, and helm gets the time to write down that the revision failed.
        ``force_conflicts`` is helm 4's: fields that others own are taken over.
        """
        command = self._command()
        released = self._run(
            command.install_or_upgrade(
                self.name,
                chart,
                dict(values),
                namespace=self.namespace,
                create_namespace=create_namespace,
                force_conflicts=force_conflicts,
                reset_values=True,
            )
        )
        return str(released.get("info", {}).get("notes", ""))

    def rollback(self, revision: int) -> None:
        """Make the objects of ``revision`` the release's, as a new revision.

        Helm does this also where the last revision is pending, which ends that state.
        """
        self._run(self._command().rollback(self.name, revision, namespace=self.namespace))

    def uninstall(self) -> None:
        """Delete the release's objects and its history."""
        self._run(self._command().uninstall(self.name, namespace=self.namespace))

    def _command(self) -> _TextCommand:
        return _TextCommand(self.helm, kubeconfig=self.kubeconfig, kubecontext=self.context)

    def _read(self, work: Callable[[_TextCommand], Coroutine[Any, Any, Any]]) -> tuple[Any, str]:
        end = time.monotonic() + READ_PATIENCE_SECONDS
        while True:
            command = self._command()
            try:
                return self._run(work(command)), command.text
            except HelmError as error:
                if not error.away or time.monotonic() > end:
                    raise
            time.sleep(1)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return run_passing_signals(work)
        except pyhelm3_command.errors.Error as error:
            if error.returncode == _NOT_FOUND:
                raise ToolMissingError(_missing(self.helm)) from error
            text = error.stderr.decode(errors="replace").strip().removeprefix("Error: ")
            raise HelmError(text, away=_AWAY.search(text) is not None) from error
