"""Waivers: the file, what each covers, and what happens to old and idle ones."""

from datetime import date
from pathlib import Path

import pytest

from pylib.errors import ConfigError
from pylib.validate.report import Finding, Severity
from pylib.validate.waivers import Waiver, apply, load_waivers, parse_waivers

TODAY = date(2026, 6, 15)
GOOD = """\
- rule: schema
  object: Deployment/*/vllm-*
  reason: the platform says so
  expires: 2026-06-15
"""


def finding(rule: str = "schema", owner: str = "Deployment/x/vllm-a") -> Finding:
    return Finding(rule, Severity.ERROR, "message", object=owner, file="a.yaml", line=3)


def waiver(
    rule: str = "schema", owner: str = "Deployment/*", expires: date = TODAY, line: int = 1
) -> Waiver:
    return Waiver(rule, owner, "reason", expires, "waivers.yaml", line)


def applied(findings: list[Finding], *waivers: Waiver, ran: set[str] | None = None) -> list[str]:
    names = {"schema", "unknown-kind"} if ran is None else ran
    return [f"{f.rule}: {f.waived or f.message}" for f in apply(findings, waivers, TODAY, names)]


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_waivers(text, "w.yaml")
    return str(caught.value).splitlines()


def test_file_of_waivers(tmp_path: Path) -> None:
    file = tmp_path / "waivers.yaml"
    file.write_text(f"# accepted\n{GOOD}", encoding="utf-8")
    assert load_waivers(file) == (
        Waiver(
            rule="schema",
            object="Deployment/*/vllm-*",
            reason="the platform says so",
            expires=date(2026, 6, 15),
            file=str(file),
            line=2,
        ),
    )


@pytest.mark.parametrize("text", ["", "# none\n", "[]\n"])
def test_file_without_waivers(text: str) -> None:
    assert parse_waivers(text, "w.yaml") == ()


@pytest.mark.parametrize("rule", ["checkov:CKV_K8S_11", "kube-score:container-resources"])
def test_rules_of_other_scanners_may_stand_there(rule: str) -> None:
    (found,) = parse_waivers(GOOD.replace("schema", rule), "w.yaml")
    assert found.foreign
    assert applied([], found, ran={rule}) == []


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_waivers(tmp_path / "nowhere.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/nowhere.yaml: 1 problem\n"
        f"{tmp_path}/nowhere.yaml: cannot be read: No such file or directory\n"
        "    Name a YAML file of waivers."
    )


def test_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read: it is not UTF-8"):
        load_waivers(file)


def test_file_that_is_no_yaml() -> None:
    assert problems("- a: b: c\n")[1].startswith("w.yaml:1: not valid YAML: ")


def test_file_that_is_no_list() -> None:
    assert problems("rule: schema\n") == [
        "w.yaml: 1 problem",
        "w.yaml:1: a map stands where the list of waivers belongs",
        "    Write a list: - rule: …",
    ]


def test_every_problem_of_every_waiver_is_told() -> None:
    text = (
        "- rule: shema\n"
        "  object: ''\n"
        "  reason: 7\n"
        "  expires: 2026-13-01\n"
        "  expire: never\n"
        "- schema\n"
        "- rule: xyzzy\n"
        "  object: '*'\n"
        "  reason: r\n"
        "  zzz: 1\n"
    )
    assert problems(text) == [
        "w.yaml: 9 problems",
        "w.yaml:1: [0].rule: there is no rule 'shema'",
        "    Did you mean schema?",
        "w.yaml:2: [0].object: the key is missing or empty",
        "    Write object: each waiver needs rule, object, reason and expires.",
        "w.yaml:3: [0].reason: 7 is not text",
        "    Write text.",
        "w.yaml:4: [0].expires: '2026-13-01' is no date",
        "    Write the last day as 2027-03-31.",
        "w.yaml:5: [0].expire: there is no such key",
        "    Did you mean expires?",
        "w.yaml:6: [1]: 'schema' is no waiver",
        "    Write a map with rule, object, reason and expires.",
        "w.yaml:7: [2].rule: there is no rule 'xyzzy'",
        "    See the rules with --list-rules.",
        "w.yaml:7: [2].expires: the key is missing or empty",
        "    Write expires: each waiver needs rule, object, reason and expires.",
        "w.yaml:10: [2].zzz: there is no such key",
        "    Take it out.",
    ]


@pytest.mark.parametrize("text", ["20260615", "2026-W25-1", "2026-06-15T00:00:00", "15.6.2026"])
def test_dates_are_written_one_way(text: str) -> None:
    lines = problems(GOOD.replace("2026-06-15", f"'{text}'"))
    assert lines[1] == f"w.yaml:4: [0].expires: {text!r} is no date"


def test_finding_is_silenced_with_the_reason() -> None:
    (result,) = apply([finding()], [waiver()], TODAY, {"schema"})
    assert (result.waived, result.message) == ("reason", "message")


@pytest.mark.parametrize(
    ("pattern", "owner", "fits"),
    [
        ("Deployment/x/vllm-a", "Deployment/x/vllm-a", True),
        ("Deployment/*/vllm-?", "Deployment/x/vllm-a", True),
        ("Deployment/*", "Deployment/x/vllm-a", True),
        ("Deployment/*/vllm-a", "Deployment/vllm-a", True),
        ("Deployment/vllm-a", "Deployment/vllm-a", True),
        ("Deployment/vllm-a", "Deployment/x/vllm-a", False),
        ("deployment/*", "Deployment/x/vllm-a", False),
        ("Deployment/*/vllm", "Deployment/x/vllm-a", False),
        ("*", "", True),
    ],
)
def test_object_is_a_glob(pattern: str, owner: str, fits: bool) -> None:
    assert waiver(owner=pattern).names(owner) is fits


def test_waiver_of_another_rule_silences_nothing() -> None:
    assert applied([finding()], waiver("unknown-kind")) == [
        "schema: message",
        "waiver-unused: no finding of unknown-kind is on Deployment/*",
    ]


def test_waiver_holds_on_its_last_day_and_not_after() -> None:
    assert applied([finding()], waiver(expires=TODAY)) == ["schema: reason"]
    assert applied([finding()], waiver(expires=date(2026, 6, 14))) == [
        "schema: message",
        "waiver-expired: the waiver of schema for Deployment/* ended on 2026-06-14",
    ]


def test_waiver_that_still_holds_wins_over_one_that_does_not() -> None:
    old, new = waiver(expires=date(2026, 1, 1), line=1), waiver(line=5)
    assert applied([finding()], old, new) == [
        "schema: reason",
        "waiver-expired: the waiver of schema for Deployment/* ended on 2026-01-01",
    ]


def test_one_waiver_covers_many_findings() -> None:
    assert applied([finding(), finding(owner="Deployment/b")], waiver()) == ["schema: reason"] * 2


def test_waiver_that_covers_nothing_is_a_warning_where_it_stands() -> None:
    (result,) = apply([], [waiver(line=7)], TODAY, {"schema"})
    assert result == Finding(
        "waiver-unused",
        Severity.WARNING,
        "no finding of schema is on Deployment/*",
        "Take the waiver out, or correct its object.",
        file="waivers.yaml",
        line=7,
    )


def test_expired_waiver_is_a_warning_where_it_stands() -> None:
    (result,) = apply([], [waiver(expires=date(2020, 1, 1), line=7)], TODAY, {"schema"})
    assert (result.rule, result.severity, result.file, result.line, result.fix) == (
        "waiver-expired",
        Severity.WARNING,
        "waivers.yaml",
        7,
        "Mend the finding, or renew the waiver with a new date and reason.",
    )


def test_waiver_of_a_rule_that_did_not_run_is_not_called_unused() -> None:
    assert applied([], waiver(), ran=set()) == []
