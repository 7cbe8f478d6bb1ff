"""Where a start-up's time went: from conditions and Events, and how sure that is."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pylib.timeline import Certainty, Phase, text, timeline
from pylib.timeline.model import Timeline
from tests.unit.cluster_objects import (
    FIXTURES,
    IMAGE,
    TAKEN,
    body,
    event,
    node,
    pod,
    snapshot,
    stored,
)
from tests.unit.start_ups import LOG, SERVER, at, lengths, of, since, started, whole

# --- a whole start --------------------------------------------------------------------------------


def test_a_start_from_a_new_node_to_the_first_answer() -> None:
    mine = pod(SERVER)
    fresh = node("n1", {"metadata": {"creationTimestamp": at(1, 10)}})
    fresh["status"]["conditions"] = [since("Ready", at(1, 50))]
    pulled = (
        f'Successfully pulled image "{IMAGE}" in 8.25s (8.25s including waiting). '
        "Image size: 9600000000 bytes."
    )
    found = of(
        mine,
        fresh,
        event(mine, "TriggeredScaleUp", "pod triggered scale-up", at(0, 10)),
        event(mine, "SuccessfulAttachVolume", "AttachVolume.Attach succeeded", at(2, 12)),
        event(mine, "Pulling", f'Pulling image "{IMAGE}"', at(2, 30)),
        event(mine, "Pulled", pulled, at(2, 39)),
        log=LOG,
    )  # fmt: skip
    assert lengths(found) == {
        "scheduling": (120.0, "between"),
        "new node: machine": (60.0, "between"),
        "new node: ready": (40.0, "between"),
        "volumes": (30.0, "between"),
        "attach disk": (12.0, "between"),
        "image": (10.0, "between"),
        "pull image": (8.25, "measured"),
        "check-weights": (1.0, "between"),
        "container start": (1.0, "between"),
        "vLLM": (138.0, "between"),
        "imports": (10.0, "between"),
        "engine start": (10.0, "between"),
        "load model": (35.25, "measured"),
        "load weights": (33.5, "measured"),
        "engine init": (52.8, "measured"),
        "torch.compile": (20.0, "measured"),
        "CUDA graphs": (12.0, "measured"),
        "first answer": (29.0, "between"),
    }
    assert (found.created, found.ready, found.seconds) == (at(0), at(5), 300.0)
    assert whole(found) == 300.0
    assert (found.pod, found.node, found.cell) == ("v-a-1", "n1", "a")
    by_name = {phase.name: phase for phase in found.phases}
    assert by_name["pull image"].note == "9.6 GB, 1164 MB/s"
    assert by_name["load weights"].within == "load model"
    assert found.depth(by_name["load weights"]) == 2
    assert by_name["load model"].start == at(3, 2)
    assert {
        name: phase.within for name, phase in by_name.items() if phase.within == "engine init"
    } == {
        "torch.compile": "engine init",
        "CUDA graphs": "engine init",
    }


def test_a_real_start_adds_up() -> None:
    for found in timeline(stored("healthy")).pods:
        assert whole(found) == found.seconds
        assert [phase.name for phase in found.phases if not phase.within] == [
            "scheduling",
            "volumes",
            "image",
            "check-weights",
            "container start",
            "vLLM",
        ]
        measured = lengths(found)
        assert measured["load weights"] == (2.0, "measured")
        assert measured["pull image"] == (0.5, "measured")
        assert measured["engine init"] == (None, "unknown")


@pytest.mark.parametrize("file", sorted(path.stem for path in FIXTURES.glob("*.json")))
def test_phases_of_real_pods_have_no_gap_and_add_up(file: str) -> None:
    for found in timeline(stored(file)).pods:
        whole_phases = [phase for phase in found.phases if not phase.within and phase.start]
        for before, after in pairwise(whole_phases):
            assert before.end == after.start
        assert whole(found) == found.seconds


# --- on the way -----------------------------------------------------------------------------------


def test_a_pod_without_a_node_is_scheduled_until_now() -> None:
    found = of(pod({"spec": {"nodeName": None}, "status": {"containerStatuses": []}}))
    assert found.phases == (
        Phase(
            "scheduling",
            Certainty.RUNNING,
            at(0),
            "",
            600.0,
            "condition PodScheduled",
        ),
    )
    assert (found.ready, found.seconds, found.prediction) == ("", 600.0, None)


def test_an_image_that_is_being_pulled() -> None:
    conditions = [since("PodScheduled", at(1)), since("PodReadyToStartContainers", at(2))]
    mine = pod({"status": {"conditions": conditions, "containerStatuses": []}})
    begun = event(mine, "Pulling", f'Pulling image "{IMAGE}"', at(2))
    found = of(mine, node(), begun)
    assert lengths(found) == {
        "scheduling": (60.0, "between"),
        "volumes": (60.0, "between"),
        "image": (480.0, "running"),
        "pull image": (None, "running"),
    }
    assert "    pull image               480 s …" in text.render(
        Timeline(TAKEN, "", "", "", (found,))
    )


def test_before_the_first_pull_the_volumes_are_not_there() -> None:
    mine = pod({"status": {"conditions": [since("PodScheduled", at(1))], "containerStatuses": []}})
    assert lengths(of(mine)) == {
        "scheduling": (60.0, "between"),
        "volumes and image": (540.0, "running"),
    }
    begun = event(mine, "Pulling", f'Pulling image "{IMAGE}"', at(3))
    assert lengths(of(mine, begun))["volumes"] == (120.0, "between")


def test_a_sandbox_that_was_made_anew_says_nothing_of_the_first_start() -> None:
    conditions = [since("PodScheduled", at(1)), since("PodReadyToStartContainers", at(9))]
    mine = pod({"status": {"conditions": conditions, "containerStatuses": [started(at(2))]}})
    assert lengths(of(mine))["volumes and image"] == (60.0, "between")


def test_a_server_that_loads_says_how_far_it_is() -> None:
    mine = pod(
        {
            "status": {
                "conditions": [since("PodScheduled", at(1))],
                "containerStatuses": [started(at(2, 42))],
            }
        }
    )
    log = "\n".join(LOG.splitlines()[:3])
    found = of(mine, node(), log=log)
    load = found.phases[-1]
    assert (load.name, load.certainty, load.start) == ("load model", Certainty.RUNNING, at(3, 2))
    assert load.note == "2 of 4 shards"
    later = of(mine, node(), log="\n".join(LOG.splitlines()[:5]))
    assert lengths(later)["engine init"] == (None, "running")


def test_what_nothing_tells_is_unknown() -> None:
    mine = pod(SERVER)
    found = of(mine, node())
    unknown = [phase for phase in found.phases if phase.certainty is Certainty.UNKNOWN]
    assert [(phase.name, phase.note) for phase in unknown] == [
        ("load model", "the log could not be read"),
        ("engine init", "the log could not be read"),
    ]
    silent = of(mine, node(), log="nothing of use\n")
    assert {p.note for p in silent.phases if p.certainty is Certainty.UNKNOWN} == {
        "the log does not say"
    }


def test_a_moment_that_is_missing_in_between_is_unknown_and_the_next_phase_takes_its_time() -> None:
    mine = pod(SERVER)
    mine["status"]["conditions"] = [since("Ready", at(5))]
    found = of(mine, node(), log=LOG)
    assert lengths(found)["scheduling"] == (None, "unknown")
    assert whole(found) == 300.0


def test_clocks_that_differ_by_a_second_make_no_negative_phase() -> None:
    mine = pod(SERVER)
    mine["status"]["conditions"][1] = since("PodReadyToStartContainers", at(1, 59))
    found = of(mine, node())
    assert lengths(found)["volumes"] == (0.0, "between")
    assert whole(found) == 300.0


def test_a_server_that_was_restarted() -> None:
    before = {"lastState": {"terminated": {"startedAt": at(2, 42), "finishedAt": at(3)}}}
    mine = pod(
        SERVER, {"status": {"containerStatuses": [started(at(4), restartCount=1, **before)]}}
    )
    found = of(mine, node())
    assert lengths(found)["earlier runs"] == (78.0, "between")
    assert lengths(found)["vLLM"] == (60.0, "between")
    assert whole(found) == 300.0


def test_a_sidecar_is_no_step_of_the_start() -> None:
    mine = pod(
        SERVER, {"spec": {"initContainers": [{"name": "warmer", "restartPolicy": "Always"}]}}
    )
    mine["status"]["initContainerStatuses"].append(
        {"name": "warmer", "state": {"running": {"startedAt": at(2, 41)}}}
    )
    assert "warmer" not in lengths(of(mine, node()))


def test_a_pod_without_an_init_container_and_with_a_cached_image() -> None:
    mine = pod(SERVER, {"status": {"initContainerStatuses": []}})
    there = event(
        mine, "Pulled", f'Container image "{IMAGE}" already present on machine', at(2, 31)
    )
    found = of(mine, node(), there)
    assert [phase.name for phase in found.phases if not phase.within] == [
        "scheduling",
        "volumes",
        "image",
        "vLLM",
    ]
    pull = next(phase for phase in found.phases if phase.name == "pull image")
    assert (pull.seconds, pull.note, pull.within) == (0.0, "already on the node", "image")


def test_a_node_that_was_there_is_not_told_as_new() -> None:
    mine = pod(SERVER)
    asked = event(mine, "TriggeredScaleUp", "pod triggered scale-up", at(0, 10))
    old = node("n1", {"metadata": {"creationTimestamp": "2026-03-01T11:00:00Z"}})
    assert "new node: machine" not in lengths(of(mine, old, asked))
    unready = node("n1", {"metadata": {"creationTimestamp": at(1)}})
    unready["status"]["conditions"] = []
    assert "new node: ready" not in lengths(of(mine, unready, asked))


def test_only_serving_pods_have_a_timeline_and_those_not_ready_come_first() -> None:
    ready = pod(SERVER, name="ready")
    newer = pod(SERVER, {"metadata": {"creationTimestamp": at(1)}}, name="newer")
    starting = pod(name="starting")
    ended = pod({"status": {"phase": "Failed"}}, name="ended")
    going = pod({"metadata": {"deletionTimestamp": at(6)}}, name="going")
    job = body("Pod", "job", {"spec": {"containers": [{"name": "download"}]}})
    found = timeline(snapshot(ready, newer, starting, ended, going, job))
    assert [pod.pod for pod in found.pods] == ["starting", "newer", "ready"]


def test_a_pod_without_a_creation_time_has_no_phases() -> None:
    mine = pod(SERVER, {"metadata": {"creationTimestamp": "soon"}})
    found = of(mine, node())
    assert (found.phases, found.seconds) == ((), None)
    assert text.render(Timeline(TAKEN, "", "", "", (found,))) == (
        "Pod/v-a-1 on n1: ready in an unknown time\n"
    )
