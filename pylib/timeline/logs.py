"""vLLM's own account of its start, read from its log.

Lines of vLLM 0.5.3 and 0.33.0, and of logs of the releases between them that users posted:
https://github.com/vllm-project/vllm/issues/20264, /pull/29335, /pull/44106.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pylib.snapshot.pulls import LONGEST
from pylib.snapshot.times import parsed

_LINE = re.compile(
    r"^(?:(?P<stamp>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S{0,20}) )?"
    r"(?:\([^)\n]{1,80}\) )*"
    r"(?:[A-Z]{4,8} (?P<month>\d\d)-(?P<day>\d\d) (?P<clock>\d\d:\d\d:\d\d) )?"
    r"(?P<text>.*)$"
)

_SECONDS = r"(?P<seconds>[\d.]{1,12})"
_COMPILED = r"torch\.compile (?:takes|took|and initial profiling/warmup run together took) "
# What a line tells the end of, with the seconds it took where the line says so.
_PATTERNS = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("load weights", rf"Loading weights took {_SECONDS} seconds"),
        ("load weights", r"Loading model weights took [\d.]{1,12} G"),
        (
            "load model",
            rf"Model loading took [\d.]{{1,12}} Gi?B(?: memory)? and {_SECONDS} seconds",
        ),
        ("torch.compile", rf"{_COMPILED}{_SECONDS} s in total"),
        ("CUDA graphs", rf"Graph capturing finished in {_SECONDS} secs"),
        ("engine init", rf"init engine \([^)]{{0,80}}\) took {_SECONDS} s"),
    )
)
_SHARDS = re.compile(r"checkpoint shards[^:\n]{0,20}:[^|\n]{0,40}\|\s*(?P<done>\d+)/(?P<all>\d+)")
_LOAD_BEGINS = re.compile(r"Starting to load model ")
_COMPILE_CACHED = re.compile(r"Directly load (?:AOT compilation|the compiled graph)")
_CLOCK_SLACK = timedelta(seconds=5)


@dataclass(frozen=True)
class Told:
    """The end of a phase as the log tells it; ``seconds`` and ``end`` are ``None`` where it does
    not."""

    name: str
    seconds: float | None
    end: datetime | None


@dataclass(frozen=True)
class ServerLog:
    """What a log tells: its first moment, when the model's load began, the ends of phases, how many
    shards are read so far (``5 of 9``)."""

    first: datetime | None = None
    load_begins: datetime | None = None
    ends: tuple[Told, ...] = ()
    compile_cached: bool = False
    shards: str = ""

    def end_of(self, name: str) -> Told | None:
        """The longest of this name: workers of one pod each write their own line."""
        found = [told for told in self.ends if told.name == name]
        return max(found, key=lambda told: (told.seconds or 0.0, _rank(told.end)), default=None)


def read_log(text: str, started: str, taken: str) -> ServerLog:
    """The start of a server that began at ``started``, from its log as it was at ``taken``.

    Its lines carry no year, and local time: moments outside the container's life are no moments.
    """
    first = parsed(started)
    last = parsed(taken)
    moments: list[datetime] = []
    begins: datetime | None = None
    ends: list[Told] = []
    cached, shards = False, ""
    for moment, line in _lines(text.splitlines(), first, last):
        if moment:
            moments.append(moment)
        if begins is None and _LOAD_BEGINS.search(line):
            begins = moment
        cached = cached or bool(_COMPILE_CACHED.search(line))
        if match := _SHARDS.search(line):
            shards = f"{match['done']} of {match['all']} shards"
        ends.extend(_told(line, moment))
    return ServerLog(moments[0] if moments else None, begins, tuple(ends), cached, shards)


def _told(line: str, moment: datetime | None) -> Iterator[Told]:
    for name, pattern in _PATTERNS:
        match = pattern.search(line)
        if match:
            seconds = match.groupdict().get("seconds")
            yield Told(name, _number(seconds), moment)
            return


def _lines(
    lines: Iterable[str], first: datetime | None, last: datetime | None
) -> Iterator[tuple[datetime | None, str]]:
    for line in lines:
        match = _LINE.match(line[:2000])
        if match:
            yield _moment(match, first, last), match["text"]


def _moment(match: re.Match[str], first: datetime | None, last: datetime | None) -> datetime | None:
    found = parsed(match["stamp"]) if match["stamp"] else None
    if found is None and match["month"] and first is not None:
        found = _this_year(match, first)
    if found is None or first is None or last is None:
        return None
    return found if first - _CLOCK_SLACK <= found <= last + _CLOCK_SLACK else None


def _this_year(match: re.Match[str], first: datetime) -> datetime | None:
    """The line's day and time in the year in which the container started, or the next."""
    written = (f"{year}-{match['month']}-{match['day']}T{match['clock']}" for year in _years(first))
    moments = (parsed(text) for text in written)
    return next((found for found in moments if found and found >= first - _CLOCK_SLACK), None)


def _years(first: datetime) -> tuple[int, int]:
    return first.year, first.year + 1


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "nan")
    except ValueError:
        return None
    return found if found < LONGEST else None


def _rank(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
