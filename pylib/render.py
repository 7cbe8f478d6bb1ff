"""Chart and one map of values → manifests, by the real helm.  Pure but for that binary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pylib.chart import chart_path
from pylib.errors import ManifestError
from pylib.helm import TemplateRequest, template
from pylib.manifests import Manifest
from pylib.release import Release
from pylib.tools import find_helm
from pylib.yamlio import YamlError, parse_all

KUBERNETES = "1.36"
"""Kubernetes version that the chart is rendered for unless told otherwise."""


@dataclass(frozen=True)
class Rendered:
    """The text as helm printed it, and the objects in it."""

    text: str
    manifests: tuple[Manifest, ...]


def render_release(
    release: Release, *, kubernetes: str = KUBERNETES, chart: Path | None = None
) -> Rendered:
    """Render one release of this project's chart, or of ``chart``.

    Raises :class:`~pylib.errors.RenderError` when the chart refuses the values and
    :class:`~pylib.errors.ToolMissingError` when there is no fitting helm.
    """
    return next(render_all([release], kubernetes=kubernetes, chart=chart))


def render_all(
    releases: Sequence[Release],
    *,
    kubernetes: str = KUBERNETES,
    chart: Path | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Iterator[Rendered]:
    """Render many releases, several at a time; results in the order of ``releases``.

    ``meanwhile`` runs in a thread while helm works.  Raises as :func:`render_release` does, for the
    first release that fails.
    """
    place = chart or chart_path()
    requests = [
        TemplateRequest(release.name, release.namespace, place, release.values, kubernetes)
        for release in releases
    ]
    texts = template(requests, find_helm(), meanwhile)
    for text, release in zip(texts, releases, strict=True):
        yield Rendered(text, _read(text, release.manifests_file))


def _read(text: str, file: str) -> tuple[Manifest, ...]:
    try:
        documents = parse_all(text)
    except YamlError as error:
        raise ManifestError("\n".join(p.render(file) for p in error.problems)) from None
    return tuple(Manifest(d.body, file, d.line, d.lines) for d in documents)
