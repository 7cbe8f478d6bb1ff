"""What checkov and kube-score found, less the waivers: fails on the rest and on idle waivers.

    python scripts/scan.py WAIVERS RESULTS

RESULTS is a folder with ``checkov.json`` (all cases) and one ``CASE.kube-score.json`` a case.
WAIVERS is a YAML list of maps with four keys: ``rule`` (the scanner's own id), ``object``
(``Kind/name``, where ``*`` stands for any text), ``reason`` and ``expires`` (a date).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

# kube-score grades from 1 (critical) over 5 (warning) to 10 (all right).
WARNING_GRADE = 5
KEYS = {"rule", "object", "reason", "expires"}


@dataclass(frozen=True, order=True)
class Finding:
    """One rule that one object of one case breaks; ``object`` is ``Kind/name``."""

    case: str
    object: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.case}: {self.object}: {self.rule}: {self.message}"


@dataclass(frozen=True)
class Waiver:
    """A finding that stays on purpose, until ``expires``."""

    rule: str
    object: str
    reason: str
    expires: date

    def covers(self, finding: Finding) -> bool:
        """True when this waiver speaks of that finding."""
        return self.rule == finding.rule and fnmatchcase(finding.object, self.object)


def checkov_findings(results: Any) -> Iterator[Finding]:
    """What ``checkov --output json`` reports.

    It passes over a file that is no YAML in silence; kube-score does not.
    """
    for part in results if isinstance(results, list) else [results]:
        for check in part.get("results", {}).get("failed_checks", []):
            case = Path(check["file_abs_path"]).parent.name
            kind, _namespace, name = check["resource"].split(".", 2)
            yield Finding(case, f"{kind}/{name}", check["check_id"], check["check_name"])


def kube_score_findings(case: str, results: Any) -> Iterator[Finding]:
    """What ``kube-score score --output-format json`` grades as a warning or worse."""
    for entry in results:
        subject = f"{entry['type_meta']['kind']}/{entry['object_meta']['name']}"
        for check in entry["checks"]:
            if check["skipped"] or check["grade"] > WARNING_GRADE:
                continue
            said = "; ".join(comment["summary"] for comment in check["comments"] or [])
            yield Finding(case, subject, check["check"]["id"], said or check["check"]["comment"])


def read_findings(folder: Path) -> list[Finding]:
    """Every finding in a folder of results, each once, in order."""
    found = set(checkov_findings(_load(folder / "checkov.json")))
    for file in folder.glob("*.kube-score.json"):
        found.update(kube_score_findings(file.name.removesuffix(".kube-score.json"), _load(file)))
    return sorted(found)


def read_waivers(file: Path) -> list[Waiver]:
    """The waivers of a file, none when it is absent; ends the program on a malformed one."""
    if not file.exists():
        return []
    entries = yaml.safe_load(file.read_text(encoding="utf-8")) or []
    return [_waiver(file, number, entry) for number, entry in enumerate(entries)]


def judge(findings: Sequence[Finding], waivers: Sequence[Waiver], today: date) -> list[str]:
    """What must change, one line each: unwaived findings, then expired and unused waivers."""
    live = [waiver for waiver in waivers if waiver.expires >= today]
    lines = [str(finding) for finding in findings if not any(w.covers(finding) for w in live)]
    for waiver in waivers:
        subject = f"the waiver of {waiver.rule} for {waiver.object}"
        if waiver not in live:
            lines.append(f"{subject} expired on {waiver.expires}: mend the finding or renew it")
        elif not any(waiver.covers(finding) for finding in findings):
            lines.append(f"{subject} covers no finding any more: remove it")
    return lines


def _waiver(file: Path, number: int, entry: Any) -> Waiver:
    where = f"{file}: waiver [{number}]"
    if not isinstance(entry, dict) or set(entry) != KEYS:
        sys.exit(f"{where} needs exactly the keys {', '.join(sorted(KEYS))}; it is {entry!r}")
    if not isinstance(entry["expires"], date):
        sys.exit(f"{where}: expires is {entry['expires']!r}; write a date, as in 2027-06-30")
    if not str(entry["reason"] or "").strip():
        sys.exit(f"{where}: the reason is empty; say why {entry['rule']} is right to be broken")
    return Waiver(**entry)


def _load(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        sys.exit(f"{file.name} is no JSON: that scanner did not run; its message is above")


def main(argv: Sequence[str]) -> int:
    """The program: returns 1 when anything must change."""
    waivers, results = Path(argv[0]), Path(argv[1])
    findings = read_findings(results)
    lines = judge(findings, read_waivers(waivers), datetime.now(tz=UTC).date())
    for line in lines:
        print(line)
    print(f"{len(findings)} findings, {len(lines)} to mend", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
