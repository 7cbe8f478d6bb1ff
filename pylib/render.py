"""Chart and one map of values → manifests, by the real helm.  Pure but for that binary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylib.errors import ManifestError
from pylib.helm import TemplateRequest, template
from pylib.manifests import Manifest
from pylib.tools import find_helm
from pylib.yamlio import YamlError, parse_all

KUBERNETES = "1.36"
"""Kubernetes version that the chart is rendered and checked for unless told otherwise."""


@dataclass(frozen=True)
class Rendered:
    """The text as helm printed it, and its objects; ``file`` names the text in messages."""

    text: str
    manifests: tuple[Manifest, ...]
    file: str


def chart_path() -> Path:
    """The chart: inside the installed package, else in the source tree beside it."""
    package = Path(__file__).resolve().parent
    bundled = package / "_chart"
    return bundled if bundled.is_dir() else package.parent / "charts" / "vllm-fast-start"


def request_of(
    values: Mapping[str, Any],
    *,
    release: str,
    namespace: str,
    kubernetes: str = KUBERNETES,
    chart: Path | None = None,
) -> TemplateRequest:
    """What to ask of helm for one release of this project's chart, or of ``chart``."""
    return TemplateRequest(release, namespace, chart or chart_path(), values, kubernetes)


def render_release(
    values: Mapping[str, Any],
    *,
    release: str,
    namespace: str,
    kubernetes: str = KUBERNETES,
    file: str = "<rendered>",
) -> Rendered:
    """Render one release.

    Raises :class:`~pylib.errors.RenderError` when the chart refuses the values and
    :class:`~pylib.errors.ToolMissingError` when there is no fitting helm.
    """
    request = request_of(values, release=release, namespace=namespace, kubernetes=kubernetes)
    return next(render_all([request], [file]))


def render_all(requests: Sequence[TemplateRequest], files: Sequence[str]) -> Iterator[Rendered]:
    """Render many releases, several at a time; results in the order of ``requests``.

    ``files`` names each text in messages.  Raises as
    :func:`render_release` does, for the first that fails.
    """
    for text, file in zip(template(requests, find_helm()), files, strict=True):
        yield Rendered(text, read_manifests(text, file), file)


def read_manifests(text: str, file: str) -> tuple[Manifest, ...]:
    """The Kubernetes objects of helm's output.  Raises :class:`ManifestError` for bad YAML."""
    try:
        documents = parse_all(text)
    except YamlError as error:
        raise ManifestError("\n".join(p.render(file) for p in error.problems)) from None
    return tuple(Manifest(d.body, file, d.line, d.lines) for d in documents)
