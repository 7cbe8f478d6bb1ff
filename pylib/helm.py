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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pylib.errors import RenderError, ToolMissingError
from pylib.proc import GO_SETTINGS
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

    def __init__(self, helm: Path, extra: Sequence[str]) -> None:
        super().__init__(executable="env")
        self._before = [*(f"{name}={value}" for name, value in GO_SETTINGS.items()), str(helm)]
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
    return asyncio.run(_template_all(requests, helm, meanwhile))


async def _template_all(
    requests: Sequence[TemplateRequest], helm: Path, meanwhile: Callable[[], object] | None
) -> tuple[str, ...]:
    places = asyncio.Semaphore(os.cpu_count() or 1)

    async def one(request: TemplateRequest) -> str:
        async with places:
            return await _template(request, helm)

    beside = asyncio.create_task(asyncio.to_thread(meanwhile or _nothing))
    # All are waited for, also when one fails: a task that is cancelled while its process starts
    # never ends (CPython 3.11, asyncio.base_subprocess).
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
        return ToolMissingError(f"{helm} is not installed. Run scripts/install-tools helm.")
    reason = _PREFIXES.sub("", text, count=1).removesuffix(_DEBUG_HINT).strip()
    return RenderError(f"the chart refuses the values of release {request.release!r}:\n{reason}")
