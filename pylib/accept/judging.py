"""From evidence to checks, in the order in which one that fails makes the next ones moot.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pylib.accept import baked, disks, image, metrics, mounts, serving
from pylib.accept.found import ready_pods
from pylib.accept.model import Check, Evidence, State
from pylib.config.model import Claim, Disk
from pylib.snapshot.bodies import Body

_OfPod = Callable[[Evidence, Body], Iterator[Check]]


def judge(evidence: Evidence) -> tuple[Check, ...]:
    """All checks of a release that serves."""
    found = [*baked.checks(evidence), *serving.ready(evidence)]
    for cell in evidence.config.cells:
        pods = list(ready_pods(evidence.snapshot, cell.key))
        for name, check in _of_pods(evidence):
            for pod in pods:
                found += check(evidence, pod)
            if not pods:
                found.append(_without_pod(evidence, name, cell.key))
    # Pods of one node tell the same of it.
    return tuple(dict.fromkeys((*found, *metrics.checks(evidence))))


def _of_pods(evidence: Evidence) -> Iterator[tuple[str, _OfPod]]:
    """The checks that need a pod, and what they are called when there is none."""
    if evidence.config.imageCache.enabled:
        yield image.CACHE, image.checks
    if isinstance(evidence.config.weights, Disk | Claim):
        yield disks.ATTACHED, disks.checks
        yield mounts.READ_AHEAD, mounts.checks
        yield serving.PHASES, serving.phases
    yield serving.COMPLETION, serving.completion


def _without_pod(evidence: Evidence, name: str, cell: str) -> Check:
    why = f"cell {cell} has no pod that is ready"
    return Check(name, f"cell {cell}", State.UNCHECKED, why=why, next=evidence.observe())
