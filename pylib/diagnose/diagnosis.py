"""All areas asked in turn: what lies deeper comes first, and what follows from it is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from pylib.diagnose import (
    admission,
    containers,
    download,
    endpoints,
    images,
    metrics,
    mounts,
    node_health,
    release,
    scheduling,
    secrets,
    volumes,
)
from pylib.diagnose.cause import Cause, Severity, in_order
from pylib.diagnose.scene import Scene
from pylib.snapshot.model import Snapshot
from pylib.validate.words import count

Area = Callable[[Scene], Iterator[Cause]]

_AREAS: tuple[Area, ...] = (
    admission.causes,
    secrets.causes,
    volumes.causes,
    scheduling.causes,
    mounts.causes,
    images.causes,
    containers.causes,
    download.causes,
    node_health.causes,
    endpoints.causes,
    metrics.causes,
    release.causes,
)

_CONSEQUENCES = ("progress-deadline-exceeded",)
"""Codes that say nothing new once an error is found."""


def diagnose(snapshot: Snapshot) -> tuple[Cause, ...]:
    """What keeps the release from being ready, fast and scaling; most important first.

    Pods that fail alike make one cause.  An empty answer for a release that is not ready means that
    it is still starting.
    """
    scene = Scene(snapshot)
    found = list(_alike(cause for area in _AREAS for cause in area(scene)))
    if any(cause.severity is Severity.ERROR for cause in found):
        found = [cause for cause in found if cause.code not in _CONSEQUENCES]
    return in_order(found)


def _alike(causes: Iterable[Cause]) -> Iterator[Cause]:
    groups: dict[tuple[str, str], list[Cause]] = {}
    for cause in causes:
        groups.setdefault((cause.code, cause.message), []).append(cause)
    for group in groups.values():
        objects = {cause.object for cause in group}
        kind = group[0].object.partition("/")[0]
        others = len(objects) - 1
        more = f" (and {count(others, f'more {kind}')})" if others else ""
        yield replace(group[0], message=f"{group[0].message}{more}")
