"""A report counts what no waiver silences, and prints the same twice."""

from __future__ import annotations

import json
from itertools import permutations

import pytest

from pylib.validate.report import Finding, Report, Severity, Unchecked, in_order

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def test_severities_rank_from_bad_to_harmless() -> None:
    assert [s.rank for s in (ERROR, WARNING, NOTE)] == [0, 1, 2]
    assert [str(s) for s in Severity] == ["error", "warning", "note"]


def test_a_waived_finding_keeps_all_but_gains_the_reason() -> None:
    finding = Finding("r", ERROR, "m", "f", "Pod/x", "spec", "a.yaml", 3)
    waived = finding.with_waiver("known")
    assert waived == Finding("r", ERROR, "m", "f", "Pod/x", "spec", "a.yaml", 3, "known")
    assert finding.waived is None


@pytest.mark.parametrize(
    ("severity", "waived", "on_error", "on_warning"),
    [
        (ERROR, None, True, True),
        (WARNING, None, False, True),
        (NOTE, None, False, False),
        (ERROR, "known", False, False),
        (WARNING, "known", False, False),
    ],
)
def test_a_report_fails_on_unwaived_findings_that_are_bad_enough(
    severity: Severity, waived: str | None, on_error: bool, on_warning: bool
) -> None:
    report = Report((Finding("r", severity, "m", waived=waived),))
    assert report.failed(ERROR) is on_error
    assert report.failed(WARNING) is on_warning
    assert report.count(severity) == (waived is None)


def test_an_empty_report_is_a_success() -> None:
    assert not Report().failed(NOTE)
    assert [Report().count(severity) for severity in Severity] == [0, 0, 0]


def test_a_report_becomes_json() -> None:
    report = Report(
        (Finding("r", ERROR, "m", line=2),), (Unchecked("Pod/x", "why"),), 3, "1.36", ("n",)
    )
    assert json.loads(json.dumps(report.as_dict())) == {
        "findings": [
            {
                "rule": "r",
                "severity": "error",
                "message": "m",
                "fix": "",
                "object": "",
                "path": "",
                "file": "",
                "line": 2,
                "waived": None,
            }
        ],
        "unchecked": [{"object": "Pod/x", "reason": "why", "file": "", "line": None}],
        "objects": 3,
        "kubernetes": "1.36",
        "notes": ["n"],
    }


def test_findings_stand_by_file_line_severity_rule_and_message() -> None:
    ordered = (
        Finding("z", NOTE, "m", file="a"),
        Finding("b", ERROR, "m", file="a", line=2),
        Finding("a", WARNING, "m", file="a", line=2),
        Finding("b", WARNING, "m", file="a", line=2),
        Finding("b", WARNING, "n", file="a", line=2),
        Finding("a", ERROR, "m", file="b", line=1),
    )
    for shuffled in permutations(ordered):
        assert in_order(shuffled) == ordered
