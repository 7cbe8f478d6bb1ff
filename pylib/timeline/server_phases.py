"""The inside of the server's start: imports, weights, compilation, CUDA graphs, first answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from pylib.snapshot.bodies import Body, name_of
from pylib.snapshot.model import Snapshot
from pylib.snapshot.pods import SERVER
from pylib.snapshot.times import parsed, written
from pylib.timeline.logs import ServerLog, Told, read_log
from pylib.timeline.model import Certainty, Phase
from pylib.timeline.pod_phases import SERVER_PHASE

_LOG = f"log of {SERVER}"
_PARENT = {
    "load weights": "load model",
    "torch.compile": "engine init",
    "CUDA graphs": "engine init",
}
_TOLD = ("load model", "load weights", "engine init", "torch.compile", "CUDA graphs")
_EXPECTED = ("load model", "engine init")


def server_log(snapshot: Snapshot, pod: Body, server: Phase) -> ServerLog | None:
    """What the log of the running server tells; ``None`` when there is none."""
    text = snapshot.log(name_of(pod), SERVER)
    return None if text is None else read_log(text, server.start, snapshot.taken)


def parts_of(server: Phase, log: ServerLog | None) -> Iterator[Phase]:
    """The phases within the server's start, as far as its log tells; the others are unknown."""
    found = list(_parts(server, log or ServerLog()))
    yield from found
    known = {phase.name for phase in found}
    if server.certainty is Certainty.BETWEEN:
        why = "the log does not say" if log else "the log could not be read"
        for name in _EXPECTED:
            if name not in known and not (name == "load model" and "load weights" in known):
                yield Phase(name, Certainty.UNKNOWN, source=_LOG, note=why, within=SERVER_PHASE)


def _parts(server: Phase, log: ServerLog) -> Iterator[Phase]:
    told = {name: end for name in _TOLD if (end := log.end_of(name))}
    yield from _before(server, log, told)
    for name, end in told.items():
        parent = _PARENT.get(name)
        within = parent if parent in told else SERVER_PHASE
        note = "from the compile cache" if name == "torch.compile" and log.compile_cached else ""
        yield replace(_told(end, log), within=str(within), note=note)
    if server.certainty is Certainty.RUNNING:
        yield from _running(log, told)
    last = max((end.end for end in told.values() if end.end), default=None)
    ready = parsed(server.end)
    if last and ready and ready >= last:
        yield _between("first answer", last, ready)


def _before(server: Phase, log: ServerLog, told: dict[str, Told]) -> Iterator[Phase]:
    """What comes before the model: Python's imports until the first line, then the engine."""
    start, first, begins = parsed(server.start), log.first, log.load_begins
    begun = [end.end - timedelta(seconds=end.seconds or 0.0) for end in told.values() if end.end]
    if start and first:
        first = max(start, min([first, *begun]))
        yield _between("imports", start, first)
        if begins:
            yield _between("engine start", first, begins)


def _running(log: ServerLog, told: dict[str, Told]) -> Iterator[Phase]:
    """The phase that the server is in now."""
    loaded = told.get("load model")
    if loaded is None and log.load_begins:
        start, note = written(log.load_begins), log.shards
        yield Phase(
            "load model", Certainty.RUNNING, start, source=_LOG, note=note, within=SERVER_PHASE
        )
    elif loaded and loaded.end and "engine init" not in told:
        start = written(loaded.end)
        yield Phase("engine init", Certainty.RUNNING, start, source=_LOG, within=SERVER_PHASE)


def _told(told: Told, log: ServerLog) -> Phase:
    begin = log.load_begins if told.name in ("load model", "load weights") else None
    if told.seconds is None and begin and told.end:
        return _between(told.name, begin, told.end)
    if told.seconds is None:
        return Phase(told.name, Certainty.UNKNOWN, source=_LOG, note="the log does not say")
    start = written(told.end - timedelta(seconds=told.seconds)) if told.end else ""
    end = written(told.end) if told.end else ""
    return Phase(told.name, Certainty.MEASURED, start, end, told.seconds, _LOG)


def _between(name: str, start: datetime, end: datetime) -> Phase:
    seconds = max(0.0, (end - start).total_seconds())
    return Phase(
        name, Certainty.BETWEEN, written(start), written(end), seconds, _LOG, within=SERVER_PHASE
    )
