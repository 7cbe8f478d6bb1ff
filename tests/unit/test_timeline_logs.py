"""What logs of vLLM tell of its start, and what sizing predicts of it."""

from __future__ import annotations

import pytest

from pylib.timeline import Certainty
from pylib.timeline.logs import read_log
from pylib.timeline.model import Prediction
from tests.unit.cluster_objects import (
    Json,
    claim,
    mounting,
    node,
    pod,
    volume,
)
from tests.unit.start_ups import LOG, SERVER, at, lengths, of, since, started

# --- logs of several releases ---------------------------------------------------------------------


def ends(log: str) -> dict[str, tuple[float | None, str | None]]:
    """Seconds and end of what a log tells."""
    found = read_log(log, at(0), at(10))
    return {
        told.name: (told.seconds, told.end.strftime("%H:%M:%S") if told.end else None)
        for told in found.ends
    }


def test_the_log_of_0_5_3() -> None:
    log = (
        "INFO 03-01 12:01:00 model_runner.py:680] Starting to load model /model-data/x...\n"
        "INFO 03-01 12:01:40 model_runner.py:692] Loading model weights took 15.9000 GB\n"
        "INFO 03-01 12:02:20 model_runner.py:1181] Graph capturing finished in 25 secs.\n"
    )
    assert ends(log) == {"load weights": (None, "12:01:40"), "CUDA graphs": (25.0, "12:02:20")}
    mine = pod(SERVER, {"status": {"containerStatuses": [started(at(0, 50))]}})
    mine["status"]["initContainerStatuses"] = []
    mine["status"]["conditions"] = [since("PodScheduled", at(0, 10)), since("Ready", at(5))]
    found = of(mine, node(), log=log)
    assert lengths(found)["load weights"] == (40.0, "between")
    assert lengths(found)["CUDA graphs"] == (25.0, "measured")
    assert {p.name for p in found.phases if p.certainty is Certainty.UNKNOWN} == {"engine init"}


@pytest.mark.parametrize(
    ("line", "name", "seconds"),
    [
        (" Loading weights took 0.69 seconds", "load weights", 0.69),
        (" Model loading took 3.4213 GiB and 0.902026 seconds", "load model", 0.902026),
        (" Model loading took 3.4213 GB and 0.902026 seconds", "load model", 0.902026),
        (" torch.compile takes 45.81 s in total", "torch.compile", 45.81),
        (
            " torch.compile and initial profiling/warmup run together took 9.10 s in total",
            "torch.compile",
            9.1,
        ),
        (
            " init engine (profile, create kv cache, warmup model) took 70.27 seconds",
            "engine init",
            70.27,
        ),
    ],
)
@pytest.mark.parametrize(
    "prefix",
    [
        "INFO 03-01 12:01:00 [a.py:447]",
        "INFO 03-01 12:01:00 a.py:447]",
        "(Worker_TP0 pid=34) INFO 03-01 12:01:00 [a.py:447]",
        "2026-03-01T12:01:00.123456789Z (EngineCore pid=9) INFO 03-01 12:00:59 [a.py:5]",
    ],
)
def test_lines_of_the_releases_between(prefix: str, line: str, name: str, seconds: float) -> None:
    assert ends(prefix + line) == {name: (seconds, "12:01:00")}


def test_of_several_workers_the_slowest_counts() -> None:
    log = (
        "(Worker_TP0 pid=1) INFO 03-01 12:01:00 [l.py:5] Loading weights took 20.00 seconds\n"
        "(Worker_TP1 pid=2) INFO 03-01 12:01:05 [l.py:5] Loading weights took 25.00 seconds\n"
        "(Worker_TP2 pid=3) INFO 03-01 12:01:01 [l.py:5] Loading weights took 21.00 seconds\n"
    )
    told = read_log(log, at(0), at(10)).end_of("load weights")
    assert told is not None
    assert told.seconds == 25.0


def test_a_compilation_from_the_cache_says_so() -> None:
    cached = LOG.replace(
        "torch.compile took 20.00",
        "x\nINFO 03-01 12:04:07 [d.py:1] Directly load AOT compilation from path /cache\n"
        "INFO 03-01 12:04:08 [monitor.py:80] torch.compile took 3.00",
    )
    found = of(pod(SERVER), node(), log=cached)
    compiled = next(phase for phase in found.phases if phase.name == "torch.compile")
    assert (compiled.seconds, compiled.note) == (3.0, "from the compile cache")


def test_a_log_over_new_year() -> None:
    log = "INFO 01-01 00:00:10 [l.py:5] Loading weights took 20.00 seconds\n"
    found = read_log(log, "2026-12-31T23:59:00Z", "2027-01-01T00:05:00Z")
    assert found.first is not None
    assert found.first.year == 2027


@pytest.mark.parametrize(
    "line",
    [
        "INFO 03-01 09:01:00 [l.py:5] Loading weights took 20.00 seconds",
        "INFO 03-01 18:01:00 [l.py:5] Loading weights took 20.00 seconds",
        "INFO 13-41 99:99:99 [l.py:5] Loading weights took 20.00 seconds",
        "Loading weights took 20.00 seconds",
    ],
    ids=["before the start", "after now", "no time", "none"],
)
def test_a_line_of_another_time_keeps_its_seconds_only(line: str) -> None:
    assert ends(line) == {"load weights": (20.0, None)}


@pytest.mark.parametrize("number", ["1.2.3", "999999999999", "."])
def test_a_number_that_is_none_is_no_number(number: str) -> None:
    line = f"INFO 03-01 12:01:00 [l.py:5] Loading weights took {number} seconds"
    assert ends(line) == {"load weights": (None, "12:01:00")}
    found = of(pod(SERVER), node(), log=line.replace("12:01", "12:03"))
    assert lengths(found)["load weights"] == (None, "unknown")


def test_a_huge_log_is_read_in_time_to_its_length() -> None:
    log = "x" * 200_000 + "\n" + "(" * 5000 + "\n" + LOG
    assert ends(log)["load weights"] == (33.5, "12:03:36")


# --- what sizing predicts -------------------------------------------------------------------------


DISK = {"metadata": {"annotations": {"vllm-fast-start/disk-type": "pd-ssd"}}}
BOUND = claim("weights", {"spec": {"volumeName": "disk-a"}}, phase="Bound")


def predicted(*over: Json, disk: Json | None = None) -> Prediction | None:
    """The prediction for the pod's weights."""
    mine = pod(SERVER, mounting("weights"), *over)
    return of(mine, node(), BOUND, disk or volume("disk-a", DISK), log=LOG).prediction


def test_the_load_is_compared_with_what_sizing_predicts() -> None:
    assert predicted() == Prediction(
        seconds=34.5,
        limited_by="disk",
        mib_s=731.52,
        basis="16 GiB from a pd-ssd of 1024 GiB on g2-standard-24, one read at a time, "
        "4096 KiB read ahead",
        actual=33.5,
    )


def test_a_loader_with_many_reads_is_predicted_as_one() -> None:
    container = {"name": "vllm", "args": ["--load-format=runai_streamer"]}
    found = predicted({"spec": {"containers": [container]}})
    assert found is not None
    assert (found.seconds, found.basis) == (
        22.4,
        "16 GiB from a pd-ssd of 1024 GiB on g2-standard-24, many reads at once",
    )


def test_the_machine_is_the_nodes_when_the_chart_was_not_told() -> None:
    mine = pod(SERVER, mounting("weights"))
    del mine["metadata"]["annotations"]["vllm-fast-start/machine-type"]
    small = node(
        "n1", {"metadata": {"labels": {"node.kubernetes.io/instance-type": "g2-standard-4"}}}
    )
    found = of(mine, small, BOUND, volume("disk-a", DISK)).prediction
    assert found is not None
    assert (found.limited_by, found.actual) == ("machine", None)
    assert of(mine, node(), BOUND, volume("disk-a", DISK)).prediction is not None


@pytest.mark.parametrize(
    "disk",
    [
        volume("disk-a"),
        volume("disk-a", {"metadata": {"annotations": {"vllm-fast-start/disk-type": "tape"}}}),
        volume("disk-a", DISK, {"spec": {"capacity": {"storage": "much"}}}),
        volume("disk-a", DISK, {"spec": {"capacity": {"storage": "1e999"}}}),
        volume("disk-a", DISK, {"spec": {"capacity": {"storage": "0"}}}),
    ],
    ids=["not the chart's", "unknown type", "no size", "infinite", "empty"],
)
def test_without_the_facts_there_is_no_prediction(disk: Json) -> None:
    assert predicted(disk=disk) is None


@pytest.mark.parametrize(
    ("options", "ahead"),
    [([], 128), (["read_ahead_kb=fast"], 128), (["ro", "read_ahead_kb=1024"], 1024)],
)
def test_the_read_ahead_is_the_volumes(options: list[str], ahead: int) -> None:
    found = predicted(disk=volume("disk-a", DISK, {"spec": {"mountOptions": options}}))
    assert found is not None
    assert found.basis.endswith(f"{ahead} KiB read ahead")
