"""Pods whose start-up is told in full, and a log of vLLM."""

from __future__ import annotations

from pylib.snapshot.model import Log
from pylib.timeline import PodTimeline, timeline
from tests.unit.cluster_objects import (
    Json,
    snapshot,
)


def at(minute: int, second: int = 0) -> str:
    """A time of the day on which everything here happens."""
    return f"2026-03-01T12:{minute:02}:{second:02}Z"


def since(kind: str, time: str, status: str = "True") -> Json:
    """A condition."""
    return {"type": kind, "status": status, "lastTransitionTime": time}


def started(time: str, **more: object) -> Json:
    """The status of a server that runs."""
    return {"name": "vllm", "restartCount": 0, "state": {"running": {"startedAt": time}}, **more}


def checked(begin: str, end: str) -> Json:
    """The status of the weights check."""
    state = {"terminated": {"exitCode": 0, "startedAt": begin, "finishedAt": end}}
    return {"name": "check-weights", "state": state}


FACTS = {
    "vllm-fast-start/model-size-gib": "16",
    "vllm-fast-start/machine-type": "g2-standard-24",
}
SERVER: Json = {
    "metadata": {"labels": {"cell": "a"}, "annotations": FACTS},
    "status": {
        "conditions": [
            since("PodScheduled", at(2)),
            since("PodReadyToStartContainers", at(2, 30)),
            since("Ready", at(5)),
        ],
        "initContainerStatuses": [checked(at(2, 40), at(2, 41))],
        "containerStatuses": [started(at(2, 42))],
    },
}
LOG = """\
(APIServer pid=1) INFO 03-01 12:02:52 [startup.py:30] vLLM server version 0.33.0
(EngineCore pid=90) INFO 03-01 12:03:02 [r.py:4979] Starting to load model /model-data/x...
Loading safetensors checkpoint shards:  50% Completed | 2/4 [00:10<00:10,  5.00s/it]
(EngineCore pid=90) INFO 03-01 12:03:36 [l.py:507] Loading weights took 33.50 seconds
(EngineCore pid=90) INFO 03-01 12:03:38 [r.py:5] Model loading took 15 GiB memory and 35.25 seconds
(EngineCore pid=90) INFO 03-01 12:04:08 [m.py:80] torch.compile took 20.00 s in total
(EngineCore pid=90) INFO 03-01 12:04:30 [r.py:6517] Graph capturing finished in 12 secs, took 1 GiB
(EngineCore pid=90) INFO 03-01 12:04:31 [core.py:6] init engine (profile, warmup) took 52.80 s (c)
(APIServer pid=1) INFO 03-01 12:04:33 [entry.py:139] Starting vLLM server on http://0.0.0.0:8000
INFO:     Application startup complete.
"""


def of(*objects: Json, log: str | None = None, previous: bool = False) -> PodTimeline:
    """The only pod's timeline."""
    logs = () if log is None else (Log("v-a-1", "vllm", log, previous=previous),)
    [found] = timeline(snapshot(*objects, logs=logs)).pods
    return found


def lengths(found: PodTimeline) -> dict[str, tuple[float | None, str]]:
    """Seconds and certainty of each phase."""
    return {phase.name: (phase.seconds, phase.certainty.value) for phase in found.phases}


def whole(found: PodTimeline) -> float:
    """Seconds of the phases that are part of none."""
    return sum(phase.seconds or 0.0 for phase in found.phases if not phase.within)
