"""Image pulls, read from a pod's Events: how long, how large, or already there.

Words: kubernetes/kubernetes pkg/kubelet/images/image_manager.go@v1.36.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pylib.snapshot.bodies import Body, word
from pylib.snapshot.model import event_time

_PULLED = re.compile(
    r'Successfully pulled image "(?P<image>[^"]{1,1000})" in (?P<time>[\d.hmsµun]{1,40})'
    r"(?: \((?P<waiting>[\d.hmsµun]{1,40}) including waiting\))?"
    r"(?:\. Image size: (?P<size>\d{1,18}) bytes)?"
)
_PRESENT = re.compile(r'Container image "(?P<image>[^"]{1,1000})" already present on machine')
_PULLING = re.compile(r'Pulling image "(?P<image>[^"]{1,1000})"')
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|µs|us|ns)")
LONGEST = 30 * 86400.0
"""Seconds beyond which a duration is no duration of a start."""
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Pull:
    """One image on one node; ``seconds`` includes waiting for other pulls, ``None`` until it ends.

    Not ``pulled`` and ``done``: it was there already.
    """

    image: str
    pulled: bool = False
    done: bool = False
    started: str = ""
    ended: str = ""
    seconds: float | None = None
    size: int | None = None


def pulls(events: Iterable[Body]) -> dict[str, Pull]:
    """The last pull of each image that a pod's Events, oldest first, tell of."""
    found: dict[str, Pull] = {}
    for event in events:
        message, time = word(event, "message"), event_time(event)
        if match := _PULLED.search(message):
            started = found[match["image"]].started if match["image"] in found else ""
            took = duration(match["waiting"] or match["time"])
            size = int(match["size"]) if match["size"] else None
            found[match["image"]] = Pull(
                match["image"],
                pulled=True,
                done=True,
                started=started,
                ended=time,
                seconds=took,
                size=size,
            )
        elif match := _PRESENT.search(message):
            # A later container of the same image finds it there because the first one pulled it.
            there = Pull(match["image"], done=True, started=time, ended=time, seconds=0.0)
            found.setdefault(match["image"], there)
        elif match := _PULLING.search(message):
            # Events of one second come in any order.
            known = found.get(match["image"])
            if known and known.done and time <= known.ended:
                continue
            found[match["image"]] = Pull(match["image"], pulled=True, started=time)
    return found


def pull_of(events: Iterable[Body], image: str) -> Pull:
    """The last pull of an image; one that never began when the Events do not tell."""
    return pulls(events).get(image, Pull(image))


def duration(text: str) -> float | None:
    """Seconds of a duration in Go's writing, as ``1m2.5s``; ``None`` for anything else."""
    parts = _DURATION.findall(text)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text:
        return None
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return seconds if seconds < LONGEST else None
