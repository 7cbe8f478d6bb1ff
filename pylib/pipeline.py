"""Release → manifests → report: render and validate as one, for one release or a thousand.

Releases go through in batches, so that memory does not grow with their number; within a batch helm
runs on all cores and kubeconform once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from importlib import import_module
from typing import TYPE_CHECKING

from pylib.errors import RenderError
from pylib.release import Release
from pylib.render import KUBERNETES, render_all
from pylib.validate.report import Report

if TYPE_CHECKING:
    from pylib.validate.inspection import Inspection
    from pylib.validate.waivers import Waiver

BATCH = 32
"""Releases in one batch: enough to hide kubeconform's start, few enough to hold in memory."""


def validate_releases(
    releases: Sequence[Release],
    *,
    today: date,
    kubernetes: str = KUBERNETES,
    waivers: Sequence[Waiver] = (),
) -> Report:
    """Render each release and hold it against every schema and rule.

    Values that break the chart's schema become findings, each with its field, instead of helm's
    single message.  Raises :class:`RenderError` when the chart refuses values for another reason,
    and what :func:`pylib.validate.checking.validate_manifests` raises.
    """
    batches = [releases[at : at + BATCH] for at in range(0, len(releases), BATCH)]
    parts = [_inspect(batch, kubernetes) for batch in batches]

    from pylib.validate.checking import settle

    return settle(parts, kubernetes=kubernetes, today=today, waivers=waivers)


def _inspect(releases: Sequence[Release], kubernetes: str) -> Inspection:
    try:
        rendered = list(render_all(releases, kubernetes=kubernetes, meanwhile=_load_checks))
    except RenderError:
        broken = _against_schema(releases)
        if broken.findings:
            return broken
        raise
    from pylib.validate.inspection import ManifestSet, inspect
    from pylib.validate.schemas import Schemas

    pairs = zip(releases, rendered, strict=True)
    sets = [ManifestSet(result.manifests, release.values) for release, result in pairs]
    return inspect(sets, Schemas(kubernetes))


def _load_checks() -> None:
    """Import what checking needs while helm works: half of Python's own start."""
    import_module("pylib.validate.checking")


def _against_schema(releases: Sequence[Release]) -> Inspection:
    """What in the values breaks the chart's own schema, field by field."""
    from pylib.validate.inspection import Inspection
    from pylib.validate.values_schema import check_values

    outcome = Inspection()
    for release in releases:
        outcome.findings += check_values(release.values, str(release.file), release.lines)
    return outcome
