"""What the scanners find, less the waivers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts.support import SCRIPTS

CHECKOV = {
    "results": {
        "failed_checks": [
            {
                "check_id": "CKV_K8S_11",
                "check_name": "CPU limits should be set",
                "file_abs_path": "/repo/values/minimal/manifests.yaml",
                "resource": "Deployment.default.vllm",
            }
        ]
    }
}
FINDING = "minimal: Deployment/default/vllm: checkov:CKV_K8S_11: CPU limits should be set"
WAIVER = {
    "rule": "checkov:CKV_K8S_11",
    "object": "Deployment/*/*",
    "reason": "throttling slows the load",
    "expires": "9999-12-31",
}


def kube_score(grade: int, *, skipped: bool = False) -> list[object]:
    """One object with one check, as kube-score writes it."""
    check = {"id": "pod-networkpolicy", "comment": "Pods have a NetworkPolicy"}
    comments = [{"summary": "no NetworkPolicy matches"}]
    return [
        {
            "type_meta": {"kind": "Deployment"},
            "object_meta": {"name": "vllm"},
            "checks": [{"check": check, "grade": grade, "skipped": skipped, "comments": comments}],
        }
    ]


def run_scan(folder: Path, waivers: str) -> subprocess.CompletedProcess[str]:
    """scan.py over a folder's results."""
    command = [sys.executable, str(SCRIPTS / "scan.py"), str(folder / waivers), str(folder)]
    return subprocess.run(command, capture_output=True, check=False, text=True)


def scan(
    folder: Path,
    *waivers: dict[str, str],
    checkov: object = CHECKOV,
    score: object = (),
) -> tuple[int, list[str]]:
    """scan.py over one case: its exit code and the lines that it prints."""
    (folder / "checkov.json").write_text(json.dumps(checkov), encoding="utf-8")
    (folder / "minimal.kube-score.json").write_text(json.dumps(score), encoding="utf-8")
    lines = [
        f"- {{rule: {w['rule']}, object: {w['object']}, reason: {w['reason']!r},"
        f" expires: {w['expires']}}}\n"
        for w in waivers
    ]
    (folder / "waivers.yaml").write_text("".join(lines), encoding="utf-8")
    done = run_scan(folder, "waivers.yaml")
    return done.returncode, (done.stdout or done.stderr.replace(f"{folder}/", "")).splitlines()


def test_a_finding_without_a_waiver_fails(tmp_path: Path) -> None:
    assert scan(tmp_path) == (1, [FINDING])


def test_a_waived_finding_passes(tmp_path: Path) -> None:
    assert scan(tmp_path, WAIVER) == (0, ["1 findings, 0 to mend"])


def test_a_waiver_of_another_object_does_not_count(tmp_path: Path) -> None:
    code, lines = scan(tmp_path, {**WAIVER, "object": "Job/*/*"})
    assert code == 1
    assert lines == [
        FINDING,
        "the waiver of checkov:CKV_K8S_11 for Job/*/* covers no finding any more: remove it",
    ]


def test_an_expired_waiver_fails_with_its_finding(tmp_path: Path) -> None:
    assert scan(tmp_path, {**WAIVER, "expires": "2000-01-01"}) == (
        1,
        [
            FINDING,
            (
                "the waiver of checkov:CKV_K8S_11 for Deployment/*/* expired on 2000-01-01: "
                "mend the finding or renew it"
            ),
        ],
    )


@pytest.mark.parametrize(("grade", "is_found"), [(1, True), (5, True), (7, False), (10, False)])
def test_kube_score_findings_are_warnings_and_worse(
    tmp_path: Path, grade: int, is_found: bool
) -> None:
    _code, lines = scan(tmp_path, checkov={"passed": 0}, score=kube_score(grade))
    wanted = "minimal: Deployment/vllm: kube-score:pod-networkpolicy: no NetworkPolicy matches"
    assert (wanted in lines) is is_found


def test_a_check_that_kube_score_skips_is_no_finding(tmp_path: Path) -> None:
    code, _lines = scan(tmp_path, checkov={"passed": 0}, score=kube_score(1, skipped=True))
    assert code == 0


def test_a_scanner_that_did_not_run_is_no_pass(tmp_path: Path) -> None:
    scan(tmp_path, WAIVER)
    (tmp_path / "checkov.json").write_text("", encoding="utf-8")
    done = run_scan(tmp_path, "waivers.yaml")
    assert done.returncode == 1
    assert done.stderr == (
        "checkov.json is no JSON: that scanner did not run; its message is above\n"
    )


def test_a_malformed_waiver_is_named(tmp_path: Path) -> None:
    assert scan(tmp_path, {**WAIVER, "expires": "soon"}) == (
        1,
        [
            "waivers.yaml: 1 problem",
            "waivers.yaml:1: [0].expires: 'soon' is no date",
            "    Write the last day as 2027-03-31.",
        ],
    )


def test_waivers_of_our_own_rules_are_passed_over(tmp_path: Path) -> None:
    own = {**WAIVER, "rule": "cpu-limit"}
    assert scan(tmp_path, WAIVER, own) == (0, ["1 findings, 0 to mend"])
