"""The timeline as text, JSON and a chart."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from pylib.timeline import Certainty, Phase, PodTimeline, jsonout, svg, text
from pylib.timeline.model import Prediction, Timeline
from tests.unit.cluster_objects import (
    TAKEN,
)
from tests.unit.start_ups import at


def shown(*pods: PodTimeline) -> Timeline:
    """A timeline of these pods."""
    return Timeline(TAKEN, "my-context", "v", "inference", pods)


def example() -> PodTimeline:
    """A pod with a phase of each certainty."""
    return PodTimeline(
        "v-a-1",
        "n1",
        "a",
        at(0),
        at(1, 40),
        100.0,
        (
            Phase("scheduling", Certainty.BETWEEN, at(0), at(0, 25), 25.0, "condition"),
            Phase("image", Certainty.BETWEEN, at(0, 25), at(0, 50), 25.0, "statuses"),
            Phase(
                "pull image",
                Certainty.MEASURED,
                at(0, 26),
                at(0, 50),
                23.5,
                "Event",
                "9 GB",
                within="image",
            ),
            Phase("vLLM", Certainty.BETWEEN, at(0, 50), at(1, 40), 50.0, "condition"),
            Phase("load model", Certainty.UNKNOWN, source="log of vllm", within="vLLM"),
        ),
        Prediction(34.5, "disk", 731.5, "16 GiB from a disk", 30.0),
    )  # fmt: skip


def test_the_text() -> None:
    assert text.render(shown(example())) == (
        "Pod/v-a-1 on n1: ready in 100 s\n"
        "  scheduling                    25 s  ██████\n"
        "  image                         25 s        ██████\n"
        "    pull image                23.5 s        ██████              9 GB\n"
        "  vLLM                          50 s              ████████████\n"
        "    load model                     ?                            log of vllm does not say\n"
        "  weights: predicted 34 s, limited by disk; took 30 s\n"
        "    16 GiB from a disk\n"
    )


def test_the_text_of_many_pods_sums_up_the_rest() -> None:
    pods = [PodTimeline(f"p{n}", "", "", at(0), at(1), 50.0 + n) for n in range(8)]
    lines = text.render(shown(*pods)).splitlines()
    assert lines[0] == "Pod/p0: ready in 50 s"
    assert lines[-1] == "3 more pods, ready in 55 to 57 s; --output json has them all"
    waiting = [PodTimeline(f"p{n}", "", "", at(0), "", 50.0) for n in range(6)]
    assert text.render(shown(*waiting)).splitlines()[-1] == (
        "1 more pod, not ready; --output json has them all"
    )


def test_the_text_holds_no_control_characters() -> None:
    phase = Phase("a\x07", Certainty.UNKNOWN, source="\x1b")
    evil = PodTimeline("p\x1b[31m", "n\n1", "", at(0), "", 5.0, (phase,))
    rendered = text.render(shown(evil))
    assert "\x1b" not in rendered
    assert "\x07" not in rendered


def test_the_json() -> None:
    found = json.loads(jsonout.render(shown(example())))
    assert (found["version"], found["release"], found["taken"]) == (1, "v", TAKEN)
    [first] = found["pods"]
    assert first["phases"][2] == {
        "name": "pull image",
        "certainty": "measured",
        "start": at(0, 26),
        "end": at(0, 50),
        "seconds": 23.5,
        "source": "Event",
        "note": "9 GB",
        "within": "image",
    }
    assert first["prediction"]["actual"] == 30.0


def test_the_chart_is_well_formed_the_same_each_time_and_speaks() -> None:
    rendered = svg.render(shown(example()))
    assert rendered == svg.render(shown(example()))
    root = ET.XML(rendered)
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title desc"
    title, description = root.find(f"{space}title"), root.find(f"{space}desc")
    assert title is not None
    assert description is not None
    assert title.text == "Start-up of release v"
    assert description.text == (
        "Pod v-a-1 is ready after 100 s: scheduling 25 s, image 25 s, vLLM 50 s."
    )
    bars = [bar for bar in root.iter(f"{space}rect") if bar.get("x")]
    assert [(bar.get("x"), bar.get("width")) for bar in bars] == [
        ("230.0", "150.0"),
        ("380.0", "150.0"),
        ("386.0", "144.0"),
        ("530.0", "300.0"),
    ]
    labels = [found.text for found in root.iter(f"{space}text")]
    assert {"v-a-1  n1", "load model", "23.5 s, 9 GB", "unknown", "100 s", "20 s"} <= set(labels)
    assert "http" not in rendered.replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_the_chart_marks_what_has_not_ended() -> None:
    running = Phase("image", Certainty.RUNNING, at(0), "", 600.0, "statuses")
    open_end = Phase("pull image", Certainty.RUNNING, at(1), "", None, "Event", "", "image")
    rendered = svg.render(shown(PodTimeline("p", "", "", at(0), "", 600.0, (running, open_end))))
    assert rendered.count('stroke-dasharray="4 3"') == 2
    assert "Pod p is not ready after 600 s: image 600 s so far." in rendered
    assert "not ended" in rendered


def test_a_chart_of_no_pods_and_of_names_that_xml_cannot_hold() -> None:
    assert "There are no pods." in svg.render(shown())
    evil = PodTimeline("p<&\x1b\ud800", "", "", at(0), "", None)
    root = ET.XML(svg.render(shown(evil)))
    assert "p<&\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}" in "".join(root.itertext())
    assert "an unknown time" in "".join(root.itertext())


def test_depth_ends_where_phases_are_parts_of_each_other() -> None:
    a = Phase("a", Certainty.UNKNOWN, within="b")
    b = Phase("b", Certainty.UNKNOWN, within="a")
    loop = PodTimeline("p", "", "", at(0), "", 10.0, (a, b))
    assert loop.depth(a) == 2
    assert "a" in svg.render(shown(loop))
