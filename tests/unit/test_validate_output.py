"""The four forms of a report."""

import io
import json
from xml.etree import ElementTree as ET
from xml.parsers import expat

import pytest

from pylib import __version__
from pylib.validate.output import RENDERERS
from pylib.validate.report import Finding, Report, Severity, Unchecked
from pylib.validate.rules import RULES

ERROR = Finding(
    "schema",
    Severity.ERROR,
    "1 is not text",
    "Write text.",
    "Job/n/a",
    "spec.x[0]",
    "b c/ü.yaml",
    7,
)
WARNING = Finding("unknown-kind", Severity.WARNING, "odd & <strange>", file="b c/ü.yaml", line=9)
NOTE = Finding("schema-from-documentation", Severity.NOTE, "so\x1b[0m \x00", object="Job/a")
WAIVED = Finding("schema", Severity.ERROR, "known", "f", "Job/b", "", "/c.yaml", 1, "accepted")
UNCHECKED = Unchecked("Widget/w", "no schema for example.com/v1 Widget", "-", 4)
FULL = Report((NOTE, ERROR, WARNING, WAIVED), (UNCHECKED,), 4, "1.36", ("a note",))
EMPTY = Report(objects=1, kubernetes="1.33")


def render(form: str, report: Report, *, colour: bool = False) -> str:
    return RENDERERS[form](report, colour=colour)


# -- text


def test_text_is_grouped_by_file_with_fixes_below() -> None:
    assert render("text", FULL) == (
        "note schema-from-documentation Job/a: so\x1b[0m \x00\n"
        "\n"
        "b c/ü.yaml:7: error schema Job/n/a spec.x[0]: 1 is not text\n"
        "    Write text.\n"
        "b c/ü.yaml:9: warning unknown-kind: odd & <strange>\n"
        "\n"
        "/c.yaml:1: error schema Job/b: known (waived: accepted)\n"
        "\n"
        "-:4: not checked Widget/w: no schema for example.com/v1 Widget\n"
        "\n"
        "a note\n"
        "4 objects, Kubernetes 1.36: 1 error, 1 warning, 1 note, 1 waived, 1 not checked\n"
    )


def test_text_of_a_clean_run_is_its_summary() -> None:
    assert render("text", EMPTY) == "1 object, Kubernetes 1.33: 0 errors, 0 warnings, 0 notes\n"


def test_text_without_a_place_begins_with_the_object() -> None:
    report = Report(unchecked=(Unchecked("A/b", "why"),), kubernetes="1.36")
    assert render("text", report).startswith("not checked A/b: why\n")


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    lines = render("text", FULL, colour=True).splitlines()
    assert lines[2] == (
        "b c/ü.yaml:7: \x1b[31merror\x1b[0m schema Job/n/a spec.x[0]: 1 is not text"
    )
    assert lines[3] == "\x1b[2m    Write text.\x1b[0m"
    assert lines[4].startswith("b c/ü.yaml:9: \x1b[33mwarning\x1b[0m ")
    assert lines[6].startswith("\x1b[2m/c.yaml:1: ")
    assert "\x1b[36mnote\x1b[0m" in lines[0]


def test_no_color_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert render("text", FULL, colour=True) == render("text", FULL)


def test_empty_no_color_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b[31m" in render("text", FULL, colour=True)


# -- JSON


def test_json_has_everything_in_a_stable_shape() -> None:
    report = Report((ERROR, WAIVED), (UNCHECKED,), 4, "1.36", ("a note",))
    assert json.loads(render("json", report, colour=True)) == {
        "version": 1,
        "kubernetes": "1.36",
        "objects": 4,
        "counts": {"error": 1, "warning": 0, "note": 0, "waived": 1, "unchecked": 1},
        "findings": [
            {
                "rule": "schema",
                "severity": "error",
                "message": "1 is not text",
                "fix": "Write text.",
                "object": "Job/n/a",
                "path": "spec.x[0]",
                "file": "b c/ü.yaml",
                "line": 7,
                "waived": None,
            },
            {
                "rule": "schema",
                "severity": "error",
                "message": "known",
                "fix": "f",
                "object": "Job/b",
                "path": "",
                "file": "/c.yaml",
                "line": 1,
                "waived": "accepted",
            },
        ],
        "unchecked": [
            {
                "object": "Widget/w",
                "reason": "no schema for example.com/v1 Widget",
                "file": "-",
                "line": 4,
            }
        ],
        "notes": ["a note"],
    }


def test_json_is_the_same_each_time_and_ends_in_a_newline() -> None:
    text = render("json", FULL)
    assert text == render("json", FULL)
    assert text.endswith("}\n")
    assert list(json.loads(text)) == [
        "version",
        "kubernetes",
        "objects",
        "counts",
        "findings",
        "unchecked",
        "notes",
    ]


# -- SARIF


def test_sarif_describes_every_rule() -> None:
    log = json.loads(render("sarif", FULL))
    assert log["version"] == "2.1.0"
    assert log["$schema"] == "https://json.schemastore.org/sarif-2.1.0.json"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("vllm-fast-start", __version__)
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    for rule in driver["rules"]:
        written = RULES[rule["id"]]
        assert rule["shortDescription"] == {"text": written.summary}
        assert rule["fullDescription"] == rule["help"] == {"text": written.explain}
        assert rule["defaultConfiguration"] == {"level": written.severity.value}


def test_sarif_result_points_at_the_line() -> None:
    (run,) = json.loads(render("sarif", Report((ERROR,))))["runs"]
    (result,) = run["results"]
    fingerprint = result.pop("partialFingerprints")["finding/v1"]
    assert len(fingerprint) == 32
    assert result == {
        "ruleId": "schema",
        "ruleIndex": list(RULES).index("schema"),
        "level": "error",
        "message": {"text": "Job/n/a spec.x[0]: 1 is not text. Write text."},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "b%20c/%C3%BC.yaml"},
                    "region": {"startLine": 7},
                },
                "logicalLocations": [
                    {"fullyQualifiedName": "Job/n/a#spec.x[0]", "kind": "resource"}
                ],
            }
        ],
    }


def test_sarif_suppresses_waived_results_with_their_reason() -> None:
    (run,) = json.loads(render("sarif", FULL))["runs"]
    suppressed = [result for result in run["results"] if "suppressions" in result]
    assert [r["message"]["text"] for r in suppressed] == ["Job/b: known. f"]
    assert suppressed[0]["suppressions"] == [{"kind": "external", "justification": "accepted"}]
    assert suppressed[0]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "file:///c.yaml"},
        "region": {"startLine": 1},
    }


def test_sarif_result_without_a_file_or_object_still_has_a_place() -> None:
    finding = Finding("values-schema", Severity.ERROR, "m", path="a.b")
    (run,) = json.loads(render("sarif", Report((finding,))))["runs"]
    (result,) = run["results"]
    assert result["message"] == {"text": "a.b: m"}
    assert result["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "stdin"}}}]


def test_sarif_fingerprint_stays_when_lines_move() -> None:
    def fingerprint(line: int, path: str) -> str:
        finding = Finding("schema", Severity.ERROR, "m", "", "Job/a", path, "a.yaml", line)
        (run,) = json.loads(render("sarif", Report((finding,))))["runs"]
        return str(run["results"][0]["partialFingerprints"]["finding/v1"])

    assert fingerprint(1, "x") == fingerprint(9, "x")
    assert fingerprint(1, "x") != fingerprint(1, "y")


def test_sarif_notifies_of_what_was_not_checked() -> None:
    (run,) = json.loads(render("sarif", FULL))["runs"]
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is True
    assert invocation["toolExecutionNotifications"] == [
        {
            "level": "warning",
            "message": {"text": "Widget/w was not checked: no schema for example.com/v1 Widget"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": "stdin"},
                        "region": {"startLine": 4},
                    },
                    "logicalLocations": [{"fullyQualifiedName": "Widget/w", "kind": "resource"}],
                }
            ],
        }
    ]


# -- JUnit


def tree(report: Report) -> ET.Element:
    builder = ET.TreeBuilder()
    reader = expat.ParserCreate()
    reader.StartElementHandler = builder.start
    reader.EndElementHandler = builder.end
    reader.CharacterDataHandler = builder.data
    reader.ParseFile(io.BytesIO(render("junit", report).encode()))
    return builder.close()


def cases(report: Report) -> list[ET.Element]:
    return list(tree(report).iter("testcase"))


def test_junit_fails_errors_and_warnings_and_skips_the_rest() -> None:
    outcomes = [(case.attrib["name"], [child.tag for child in case]) for case in cases(FULL)]
    assert outcomes == [
        ("schema-from-documentation Job/a", ["system-out"]),
        ("schema Job/n/a spec.x[0]", ["failure"]),
        ("unknown-kind", ["failure"]),
        ("schema Job/b", ["skipped"]),
        ("Widget/w", ["skipped"]),
        ("4 objects, Kubernetes 1.36: 1 error, 1 warning, 1 note, 1 waived, 1 not checked", []),
    ]


def test_junit_counts_in_every_suite() -> None:
    root = tree(FULL)
    assert {key: root.attrib[key] for key in ("tests", "failures", "skipped")} == {
        "tests": "6",
        "failures": "2",
        "skipped": "2",
    }
    assert [(s.attrib["name"], s.attrib["tests"], s.attrib["failures"]) for s in root] == [
        ("validate", "1", "0"),
        ("b c/ü.yaml", "2", "2"),
        ("/c.yaml", "1", "0"),
        ("not checked", "1", "0"),
        ("validate", "1", "0"),
    ]


def test_junit_failure_has_place_message_and_fix() -> None:
    failure = cases(FULL)[1][0]
    assert failure.attrib == {"type": "error", "message": "1 is not text"}
    assert failure.text == "b c/ü.yaml:7\n1 is not text\nWrite text."


def test_junit_gives_the_reasons_of_what_is_skipped() -> None:
    skipped = [case[0].attrib["message"] for case in cases(FULL) if case[0:1] and case[0].attrib]
    assert "waived: accepted" in skipped
    assert "no schema for example.com/v1 Widget" in skipped


def test_junit_class_of_what_was_not_checked_is_its_file() -> None:
    (named, nameless) = (
        cases(Report(unchecked=(Unchecked("A/b", "why", file),)))[0] for file in ("c.yaml", "")
    )
    assert (named.attrib["classname"], nameless.attrib["classname"]) == ("c.yaml", "validate")


def test_junit_survives_what_xml_cannot_hold() -> None:
    assert cases(FULL)[0][0].text == "so\ufffd[0m \ufffd"
    assert "odd &amp; &lt;strange&gt;" in render("junit", FULL)


def test_junit_of_a_clean_run_is_one_case_that_passes() -> None:
    (case,) = cases(EMPTY)
    assert case.attrib["name"] == "1 object, Kubernetes 1.33: 0 errors, 0 warnings, 0 notes"
    assert list(case) == []


@pytest.mark.parametrize("form", list(RENDERERS))
def test_every_form_takes_every_report(form: str) -> None:
    for report in (FULL, EMPTY, Report()):
        assert render(form, report).endswith("\n")
