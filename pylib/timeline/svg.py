"""The timeline as a Gantt chart: one file, no scripts or fonts, with words for screen readers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from pylib.snapshot.times import seconds_between
from pylib.timeline.model import Certainty, Phase, PodTimeline, Timeline

_WIDTH, _LEFT, _RIGHT = 960, 230, 130
_ROW, _HEAD, _TOP = 20, 34, 58
_GREY = "#5f6368"
# Dark enough beside white for text on either side, and apart from each other also without colour.
_COLOURS = {
    "scheduling": "#6a51a3",
    "volumes": "#08519c",
    "volumes and image": "#08519c",
    "image": "#006d77",
    "vLLM": "#a63603",
}
_OTHER = "#525252"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(found: Timeline) -> str:
    """The chart; the same for the same timeline."""
    longest = max((pod.seconds or 0.0 for pod in found.pods), default=0.0) or 1.0
    height = _TOP + sum(_HEAD + _ROW * len(pod.phases) for pod in found.pods) + 10
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH} {height}",
            "width": str(_WIDTH),
            "height": str(height),
            "role": "img",
            "aria-labelledby": "title desc",
            "font-family": "sans-serif",
            "font-size": "12",
        },
    )
    ET.SubElement(root, "title", id="title").text = _clean(f"Start-up of release {found.release}")
    ET.SubElement(root, "desc", id="desc").text = _clean(_description(found))
    ET.SubElement(root, "rect", width="100%", height="100%", fill="#ffffff")
    heading = f"{found.release} in {found.namespace}, {found.context}, {found.taken}"
    _text(root, 10, 22, heading, size="14", weight="bold")
    _axis(root, longest, height)
    top = _TOP
    for pod in found.pods:
        top = _pod(root, pod, found.taken, longest, top)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _description(found: Timeline) -> str:
    if not found.pods:
        return "There are no pods."
    return " ".join(_sentence(pod) for pod in found.pods)


def _sentence(pod: PodTimeline) -> str:
    state = "ready" if pod.ready else "not ready"
    total = f"{pod.seconds:.0f} s" if pod.seconds is not None else "an unknown time"
    parts = ", ".join(f"{phase.name} {_length(phase)}" for phase in pod.phases if not phase.within)
    return f"Pod {pod.pod} is {state} after {total}: {parts}."


def _length(phase: Phase) -> str:
    if phase.certainty is Certainty.RUNNING:
        return "not ended" if phase.seconds is None else f"{phase.seconds:.0f} s so far"
    if phase.seconds is None:
        return "unknown"
    return (
        f"{phase.seconds:.1f} s"
        if phase.certainty is Certainty.MEASURED
        else f"{phase.seconds:.0f} s"
    )


def _axis(root: ET.Element, longest: float, height: int) -> None:
    step = next(size for size in _steps() if longest / size <= 8)
    tick = 0.0
    while tick <= longest:
        x = _x(tick, longest)
        ET.SubElement(
            root, "line", x1=x, x2=x, y1=str(_TOP - 8), y2=str(height - 6), stroke="#dadce0"
        )
        _text(root, float(x), _TOP - 12, f"{tick:g} s", anchor="middle", colour=_GREY)
        tick += step


def _steps() -> Iterator[float]:
    size = 1.0
    while True:
        yield from (size, 2 * size, 5 * size)
        size *= 10


def _pod(root: ET.Element, pod: PodTimeline, taken: str, longest: float, top: int) -> int:
    group = ET.SubElement(root, "g")
    ET.SubElement(group, "title").text = _clean(_sentence(pod))
    _text(group, 10, top + 20, f"{pod.pod}  {pod.node}", weight="bold")
    top += _HEAD
    for phase in pod.phases:
        _bar(group, pod, phase, taken, longest, top)
        top += _ROW
    return top


def _bar(
    group: ET.Element, pod: PodTimeline, phase: Phase, taken: str, longest: float, top: int
) -> None:
    depth = pod.depth(phase)
    _text(group, 20 + 12 * depth, top + 13, phase.name)
    offset = seconds_between(pod.created, phase.start)
    length = seconds_between(phase.start, phase.end or taken)
    label = ", ".join(filter(None, (_length(phase), phase.note)))
    if offset is None or length is None:
        _text(group, _LEFT + 4, top + 13, label, colour=_GREY)
        return
    x, end = float(_x(offset, longest)), float(_x(offset + length, longest))
    bar = ET.SubElement(
        group,
        "rect",
        x=f"{x:.1f}",
        y=str(top + 2),
        width=f"{max(1.5, end - x):.1f}",
        height=str(_ROW - 5),
        fill=_COLOURS.get(_root_of(pod, phase), _OTHER),
        opacity="1" if depth == 0 else "0.65",
    )
    if phase.certainty is Certainty.RUNNING:
        bar.set("stroke", "#202124")
        bar.set("stroke-dasharray", "4 3")
    ET.SubElement(bar, "title").text = _clean(f"{phase.name}: {label} ({phase.source})")
    near_end = end > _WIDTH - _RIGHT - 40 and x - _LEFT > 150
    if near_end:
        _text(group, x - 4, top + 13, label, anchor="end", colour=_GREY)
    else:
        _text(group, min(end, _WIDTH - _RIGHT) + 4, top + 13, label, colour=_GREY)


def _root_of(pod: PodTimeline, phase: Phase) -> str:
    by_name = {other.name: other for other in pod.phases}
    for _ in pod.phases:
        if phase.within not in by_name:
            break
        phase = by_name[phase.within]
    return phase.name


def _x(seconds: float, longest: float) -> str:
    share = min(1.0, max(0.0, seconds / longest))
    return f"{_LEFT + share * (_WIDTH - _LEFT - _RIGHT):.1f}"


def _text(
    parent: ET.Element,
    x: float,
    y: float,
    text: str,
    *,
    size: str = "12",
    weight: str = "normal",
    anchor: str = "start",
    colour: str = "#202124",
) -> None:
    attributes = {"x": f"{x:g}", "y": f"{y:g}", "fill": colour}
    attributes |= {"font-size": size, "font-weight": weight, "text-anchor": anchor}
    ET.SubElement(parent, "text", attributes).text = _clean(text)


def _clean(text: str) -> str:
    """XML has no way to write control characters: each becomes a replacement character."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
