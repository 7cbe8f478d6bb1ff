"""From a snapshot to the timeline: the marks of each pod, laid end to end."""

from __future__ import annotations

from pylib.snapshot.bodies import Body, condition, dig, name_of, named, parts, word, words
from pylib.snapshot.model import Snapshot
from pylib.snapshot.pods import SERVER
from pylib.snapshot.times import seconds_between, to_the_second
from pylib.timeline.model import Certainty, Phase, PodTimeline, Timeline
from pylib.timeline.pod_phases import SERVER_PHASE, Mark, details, marks
from pylib.timeline.prediction import prediction
from pylib.timeline.server_phases import parts_of, server_log

_CELL = "cell"


def timeline(snapshot: Snapshot) -> Timeline:
    """Where the start-up time of the release's serving pods went.

    Phases that nothing tells of are there and say that they are unknown.
    """
    pods = [_pod(snapshot, pod) for pod in snapshot.of("Pod") if _serves(pod)]
    newest = sorted(pods, key=lambda pod: (pod.created, pod.pod), reverse=True)
    return Timeline(
        snapshot.taken,
        snapshot.context,
        snapshot.release,
        snapshot.namespace,
        tuple(sorted(newest, key=lambda pod: bool(pod.ready))),
    )


def _serves(pod: Body) -> bool:
    ended = word(pod, "status", "phase") in ("Succeeded", "Failed")
    ending = dig(pod, "metadata", "deletionTimestamp") is not None
    return bool(named(parts(pod, "spec", "containers"), SERVER)) and not ended and not ending


def _pod(snapshot: Snapshot, pod: Body) -> PodTimeline:
    created = to_the_second(word(pod, "metadata", "creationTimestamp"))
    ready = condition(pod, "Ready")
    since = word(ready, "lastTransitionTime") if word(ready, "status") == "True" else ""
    phases = _laid(created, marks(snapshot, pod), snapshot.taken)
    whole = [*phases, *details(snapshot, pod, phases)]
    for server in phases:
        if server.name == SERVER_PHASE:
            whole += parts_of(server, server_log(snapshot, pod, server))
    return PodTimeline(
        pod=name_of(pod),
        node=word(pod, "spec", "nodeName"),
        cell=words(pod, "metadata", "labels").get(_CELL, ""),
        created=created,
        ready=to_the_second(since),
        seconds=seconds_between(created, since or snapshot.taken),
        phases=tuple(_ordered(whole)),
        prediction=prediction(snapshot, pod, whole),
    )


def _laid(created: str, ends: list[Mark], taken: str) -> list[Phase]:
    """Phases without a gap: each begins where the one before ended; the first that has not ended
    runs.  A moment that lies before its phase's begin is the begin: clocks differ by a second."""
    phases: list[Phase] = []
    begin = created
    for index, mark in enumerate(ends):
        later = any(to_the_second(other.end) for other in ends[index + 1 :])
        end = to_the_second(mark.end)
        if not begin:
            break
        if end:
            end = max(end, begin)
            seconds = seconds_between(begin, end)
            phases.append(Phase(mark.phase, Certainty.BETWEEN, begin, end, seconds, mark.source))
            begin = end
        elif later:
            phases.append(Phase(mark.phase, Certainty.UNKNOWN, source=mark.source))
        else:
            seconds = seconds_between(begin, taken)
            phases.append(Phase(mark.phase, Certainty.RUNNING, begin, "", seconds, mark.source))
            break
    return phases


def _ordered(phases: list[Phase]) -> list[Phase]:
    """Each phase followed by its parts, these by their begin."""
    found: list[Phase] = []

    def add(within: str) -> None:
        inside = [p for p in phases if p.within == within != p.name and p not in found]
        for phase in sorted(inside, key=lambda p: p.start or "~") if within else inside:
            found.append(phase)
            add(phase.name)

    add("")
    return found
