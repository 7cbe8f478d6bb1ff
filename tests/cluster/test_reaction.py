"""The sums and the table of the measured reaction time; test_hpa.py sees that it is measured."""

from __future__ import annotations

from tests.cluster.reaction import PHASES, Marks, report, summary, table

RUNS = [
    {"served": 1.0, "wanted": 2.0, "created": 0.5, "scheduled": 0.0, "ready": 3.0},
    {"served": 3.0, "wanted": 1.0, "created": 0.5, "scheduled": 0.0, "ready": 3.0},
]


def test_a_phase_that_is_seen_before_the_one_ahead_of_it_took_no_time() -> None:
    now = iter([100.0, 103.0, 102.0, 104.0, 104.5, 106.0, 200.0])
    marks = Marks(lambda: next(now))
    for phase in PHASES:
        assert not marks.complete()
        marks.set(phase)
    marks.set("served")
    assert marks.complete()
    assert marks.durations() == {
        "served": 3.0,
        "wanted": 0.0,
        "created": 1.0,
        "scheduled": 0.5,
        "ready": 1.5,
    }


def test_the_summary_has_each_phase_and_the_whole() -> None:
    found = summary(RUNS)
    assert list(found) == [*PHASES, "all"]
    assert found["served"] == {"min": 1.0, "median": 2.0, "max": 3.0}
    assert found["all"] == {"min": 6.5, "median": 7.0, "max": 7.5}


def test_the_table_has_one_line_per_phase() -> None:
    lines = table(summary(RUNS)).splitlines()
    assert len(lines) == 7
    assert lines[1] == f"{'the custom metrics API serves the new value':46}    1.00    2.00    3.00"
    assert lines[-1] == f"{'from the metric to a ready pod':46}    6.50    7.00    7.50"


def test_the_report_says_what_was_simulated() -> None:
    found = report(RUNS, 0.1)
    assert found["runs"] == 2
    assert found["hpaSyncPeriodSeconds"] == 1
    assert found["simulated"] == {
        "scrape": "not included",
        "monitoringDelaySeconds": 0,
        "nodeStart": "not included",
        "podReadyAfterSeconds": 0.1,
    }
