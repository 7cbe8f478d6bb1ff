"""What checkov and kube-score found, less the waivers: fails on the rest and on idle waivers.

    python scripts/scan.py WAIVERS RESULTS

RESULTS is a folder with ``checkov.json`` (all cases) and one ``CASE.kube-score.json`` a case.
WAIVERS is a file as ``python -m pylib validate --waivers`` takes it; here only its rules with a
scanner's prefix count, ``checkov:CKV_K8S_11`` or ``kube-score:container-resources``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pylib.errors import ConfigError
from pylib.validate.waivers import Waiver, load_waivers

# kube-score grades from 1 (critical) over 5 (warning) to 10 (all right).
WARNING_GRADE = 5


@dataclass(frozen=True, order=True)
class Finding:
    """One rule that one object of one case breaks; ``object`` is ``Kind/namespace/name``."""

    case: str
    object: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.case}: {self.object}: {self.rule}: {self.message}"


def checkov_findings(results: Any) -> Iterator[Finding]:
    """What ``checkov --output json`` reports.

    It passes over a file that is no YAML in silence; kube-score does not.
    """
    for part in results if isinstance(results, list) else [results]:
        for check in part.get("results", {}).get("failed_checks", []):
            case = Path(check["file_abs_path"]).parent.name
            resource = check["resource"].replace(".", "/", 2)
            yield Finding(case, resource, f"checkov:{check['check_id']}", check["check_name"])


def kube_score_findings(case: str, results: Any) -> Iterator[Finding]:
    """What ``kube-score score --output-format json`` grades as a warning or worse."""
    for entry in results:
        meta = entry["object_meta"]
        names = (entry["type_meta"]["kind"], meta.get("namespace", ""), meta["name"])
        subject = "/".join(filter(None, names))
        for check in entry["checks"]:
            if check["skipped"] or check["grade"] > WARNING_GRADE:
                continue
            said = "; ".join(comment["summary"] for comment in check["comments"] or [])
            rule = f"kube-score:{check['check']['id']}"
            yield Finding(case, subject, rule, said or check["check"]["comment"])


def read_findings(folder: Path) -> list[Finding]:
    """Every finding in a folder of results, each once, in order."""
    found = set(checkov_findings(_load(folder / "checkov.json")))
    for file in folder.glob("*.kube-score.json"):
        found.update(kube_score_findings(file.name.removesuffix(".kube-score.json"), _load(file)))
    return sorted(found)


def judge(findings: Sequence[Finding], waivers: Sequence[Waiver], today: date) -> list[str]:
    """What must change, one line each: unwaived findings, then expired and unused waivers."""
    live = [waiver for waiver in waivers if waiver.expires >= today]
    lines = [str(finding) for finding in findings if not any(_covers(w, finding) for w in live)]
    for waiver in waivers:
        subject = f"the waiver of {waiver.rule} for {waiver.object}"
        if waiver not in live:
            lines.append(f"{subject} expired on {waiver.expires}: mend the finding or renew it")
        elif not any(_covers(waiver, finding) for finding in findings):
            lines.append(f"{subject} covers no finding any more: remove it")
    return lines


def _covers(waiver: Waiver, finding: Finding) -> bool:
    return waiver.rule == finding.rule and waiver.names(finding.object)


def _load(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        sys.exit(f"{file.name} is no JSON: that scanner did not run; its message is above")


def main(argv: Sequence[str]) -> int:
    """The program: returns 1 when anything must change."""
    file, results = Path(argv[0]), Path(argv[1])
    try:
        waivers = [waiver for waiver in load_waivers(file) if waiver.foreign]
    except ConfigError as error:
        sys.exit(str(error))
    findings = read_findings(results)
    lines = judge(findings, waivers, datetime.now(tz=UTC).date())
    for line in lines:
        print(line)
    print(f"{len(findings)} findings, {len(lines)} to mend", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
