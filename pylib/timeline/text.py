"""The timeline for people: a table for each pod, parts of phases indented below them."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.snapshot.plain import plain
from pylib.snapshot.times import seconds_between
from pylib.timeline.model import Certainty, Phase, PodTimeline, Prediction, Timeline
from pylib.timeline.pod_phases import SERVER_PHASE
from pylib.validate.words import count

PODS = 5
"""Tables shown; the other pods are summed up in a line."""

_BAR = 24
_NAME = 24


def render(found: Timeline) -> str:
    """The tables, those of pods that are not ready first."""
    lines: list[str] = []
    for pod in found.pods[:PODS]:
        lines += [*_pod(pod, found.taken), ""]
    rest = found.pods[PODS:]
    if rest:
        times = [pod.seconds for pod in rest if pod.ready and pod.seconds is not None]
        spread = f"ready in {min(times):.0f} to {max(times):.0f} s" if times else "not ready"
        more = count(len(rest), "more pod")
        lines += [f"{more}, {spread}; --output json has them all", ""]
    return "\n".join(lines)


def _pod(pod: PodTimeline, taken: str) -> Iterator[str]:
    where = f" on {plain(pod.node)}" if pod.node else ""
    total = f"{pod.seconds:.0f} s" if pod.seconds is not None else "an unknown time"
    state = f"ready in {total}" if pod.ready else f"not ready after {total}"
    yield f"Pod/{plain(pod.pod)}{where}: {state}"
    for phase in pod.phases:
        yield _phase(pod, phase, taken)
    if pod.prediction and any(phase.name == SERVER_PHASE for phase in pod.phases):
        yield from _predicted(pod.prediction)


def _phase(pod: PodTimeline, phase: Phase, taken: str) -> str:
    name = f"{'  ' * pod.depth(phase)}{plain(phase.name, 40)}"
    line = f"  {name:<{_NAME}} {_length(phase, taken):>9}  {_bar(pod, phase, taken)}"
    notes = [plain(phase.note)] if phase.note else []
    if phase.certainty is Certainty.UNKNOWN and not notes:
        notes = [f"{plain(phase.source)} does not say"]
    return f"{line}  {', '.join(notes)}".rstrip()


def _length(phase: Phase, taken: str) -> str:
    """Measured times with their tenth; those between two moments are no better than a second."""
    seconds = phase.seconds
    if phase.certainty is Certainty.RUNNING:
        seconds = seconds if seconds is not None else seconds_between(phase.start, taken)
        return f"{seconds or 0:.0f} s …"
    if seconds is None:
        return "?"
    return f"{seconds:.1f} s" if phase.certainty is Certainty.MEASURED else f"{seconds:.0f} s"


def _bar(pod: PodTimeline, phase: Phase, taken: str) -> str:
    """The phase's share of the pod's time, at its place."""
    offset = seconds_between(pod.created, phase.start)
    length = seconds_between(phase.start, phase.end or taken)
    if not pod.seconds or offset is None or length is None:
        return " " * _BAR
    first = min(_BAR - 1, max(0, int(offset / pod.seconds * _BAR)))
    last = min(_BAR, max(first + 1, round((offset + length) / pod.seconds * _BAR)))
    return f"{' ' * first}{'█' * (last - first)}".ljust(_BAR)


def _predicted(found: Prediction) -> Iterator[str]:
    took = "an unknown time" if found.actual is None else f"{found.actual:.0f} s"
    yield (
        f"  weights: predicted {found.seconds:.0f} s, limited by {plain(found.limited_by)}; "
        f"took {took}"
    )
    yield f"    {plain(found.basis)}"
