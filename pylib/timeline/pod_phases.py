"""A pod's phases until its server runs: from conditions, container statuses and Events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pylib.snapshot.bodies import (
    Body,
    condition,
    name_of,
    named,
    number,
    part,
    parts,
    word,
)
from pylib.snapshot.model import Snapshot, event_time
from pylib.snapshot.pods import SERVER
from pylib.snapshot.pulls import Pull, pulls
from pylib.snapshot.times import parsed, seconds_between, to_the_second, written
from pylib.timeline.model import Certainty, Phase

SCHEDULING = "scheduling"
VOLUMES = "volumes"
IMAGE = "image"
VOLUMES_AND_IMAGE = "volumes and image"
START = "container start"
RESTARTS = "earlier runs"
SERVER_PHASE = "vLLM"


@dataclass(frozen=True)
class Mark:
    """A moment at which one phase ends, by the name of that phase; empty when it has not come."""

    phase: str
    end: str
    source: str


def marks(snapshot: Snapshot, pod: Body) -> list[Mark]:
    """The ends of a pod's phases in their order, as far as the cluster wrote them down."""
    found = [Mark(SCHEDULING, _since(pod, "PodScheduled"), "condition PodScheduled")]
    inits = [
        status
        for status in parts(pod, "status", "initContainerStatuses")
        if not _stays(pod, status)
    ]
    server = named(parts(pod, "status", "containerStatuses"), SERVER)
    prepared, source = _prepared(snapshot, pod)
    first = [_started(status) for status in inits][:1] or [_first_start(server)]
    if prepared:
        found += [Mark(VOLUMES, prepared, source), Mark(IMAGE, first[0], "container statuses")]
    else:
        found.append(Mark(VOLUMES_AND_IMAGE, first[0], "container statuses"))
    found += [
        Mark(word(status, "name"), _finished(status), "container statuses") for status in inits
    ]
    if inits:
        found.append(Mark(START, _first_start(server), "container statuses"))
    if number(server, "restartCount"):
        found.append(Mark(RESTARTS, _started(server), "container statuses"))
    found.append(Mark(SERVER_PHASE, _since(pod, "Ready"), "condition Ready"))
    return found


def _since(pod: Body, kind: str) -> str:
    """When a condition became true; empty while it is not."""
    found = condition(pod, kind)
    return word(found, "lastTransitionTime") if word(found, "status") == "True" else ""


def _prepared(snapshot: Snapshot, pod: Body) -> tuple[str, str]:
    """When volumes and network were there.  The kubelet pulls images only after that."""
    since = _since(pod, "PodReadyToStartContainers")
    begun = [word(status, "state", "running", "startedAt") for status in _all_statuses(pod)]
    begun += [_started(status) for status in _all_statuses(pod)]
    first = min(filter(None, begun), default="")
    # A sandbox that was made anew turns the condition after containers had already run.
    if since and (not first or since <= first):
        return since, "condition PodReadyToStartContainers"
    pulling = [
        to_the_second(event_time(event))
        for event in snapshot.events_of(pod)
        if word(event, "reason") == "Pulling"
    ]
    return (pulling[0], "Event Pulling") if pulling else ("", "")


def _all_statuses(pod: Body) -> list[Body]:
    return [
        *parts(pod, "status", "initContainerStatuses"),
        *parts(pod, "status", "containerStatuses"),
    ]


def _stays(pod: Body, status: Body) -> bool:
    """Whether an init container is a sidecar, which does not end before the others start."""
    spec = named(parts(pod, "spec", "initContainers"), word(status, "name"))
    return word(spec, "restartPolicy") == "Always"


def _started(status: Body) -> str:
    state = part(status, "state")
    return word(state, "running", "startedAt") or word(state, "terminated", "startedAt")


def _first_start(status: Body) -> str:
    """The first start that the status still tells of: the run before the last, if there was one."""
    earlier = word(status, "lastState", "terminated", "startedAt")
    return earlier or _started(status)


def _finished(status: Body) -> str:
    return word(status, "state", "terminated", "finishedAt")


# ---- parts of phases -----------------------------------------------------------------------------


def details(snapshot: Snapshot, pod: Body, phases: list[Phase]) -> Iterator[Phase]:
    """What is known of the inside of the phases before the server's start."""
    by_name = {phase.name: phase for phase in phases}
    yield from _new_node(snapshot, pod, by_name)
    yield from _attached(snapshot, pod, by_name)
    for pull in pulls(snapshot.events_of(pod)).values():
        yield from _pull(pull, phases)


def _new_node(snapshot: Snapshot, pod: Body, by_name: dict[str, Phase]) -> Iterator[Phase]:
    asked = [
        to_the_second(event_time(event))
        for event in snapshot.events_of(pod)
        if word(event, "reason") == "TriggeredScaleUp"
    ]
    node = snapshot.get("Node", word(pod, "spec", "nodeName"))
    created = word(node, "metadata", "creationTimestamp")
    if not asked or not created or created < asked[0] or SCHEDULING not in by_name:
        return
    ready = _since(node or {}, "Ready")
    yield _between("new node: machine", asked[0], created, "Event TriggeredScaleUp", SCHEDULING)
    if ready >= created:
        yield _between("new node: ready", created, ready, f"Node/{name_of(node)}", SCHEDULING)


def _attached(snapshot: Snapshot, pod: Body, by_name: dict[str, Phase]) -> Iterator[Phase]:
    where = VOLUMES if VOLUMES in by_name else VOLUMES_AND_IMAGE
    begin = by_name[where].start if where in by_name else ""
    for event in snapshot.events_of(pod):
        if word(event, "reason") == "SuccessfulAttachVolume" and begin:
            end = to_the_second(event_time(event))
            yield _between("attach disk", begin, end, "Event SuccessfulAttachVolume", where)
            return


def _pull(pull: Pull, phases: list[Phase]) -> Iterator[Phase]:
    started, end = to_the_second(pull.started), parsed(pull.ended)
    ended = written(end) if end else ""
    holding = [p for p in phases if p.name in (IMAGE, VOLUMES_AND_IMAGE, START)]
    if not holding:
        return
    where = next(
        (p.name for p in holding if not p.end or (ended or started) <= p.end), holding[-1].name
    )
    if not pull.done:
        yield Phase("pull image", Certainty.RUNNING, started, source="Event Pulling", within=where)
    elif not pull.pulled:
        yield _measured("pull image", ended, ended, 0.0, "already on the node", where)
    elif pull.seconds is not None and end:
        start = written(end - timedelta(seconds=pull.seconds))
        yield _measured("pull image", start, ended, pull.seconds, _size(pull), where)


def _measured(name: str, start: str, end: str, seconds: float, note: str, within: str) -> Phase:
    return Phase(name, Certainty.MEASURED, start, end, seconds, "Event Pulled", note, within)


def _size(pull: Pull) -> str:
    if pull.size is None:
        return ""
    rate = f", {pull.size / pull.seconds / 1e6:.0f} MB/s" if pull.seconds else ""
    return f"{pull.size / 1e9:.1f} GB{rate}"


def _between(name: str, start: str, end: str, source: str, within: str) -> Phase:
    seconds = seconds_between(start, end)
    return Phase(name, Certainty.BETWEEN, start, end, seconds, source, "", within)
