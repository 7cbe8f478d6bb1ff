"""The report for people: grouped by file, one line a finding, its fix below it, a summary."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby

from pylib.validate.report import Finding, Report, Severity, Unchecked
from pylib.validate.words import count

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}
_FAINT = "2"


def render(report: Report, *, colour: bool = False) -> str:
    """``file:line: severity rule object path: message``, fixes indented; ``NO_COLOR`` wins.

    https://no-color.org/ says what that variable means.
    """
    colour = colour and not os.environ.get("NO_COLOR")
    lines: list[str] = []
    for _, findings in groupby(report.findings, key=lambda finding: finding.file):
        for finding in findings:
            lines.extend(_finding(finding, colour=colour))
        lines.append("")
    if report.unchecked:
        lines.extend(_not_checked(unchecked) for unchecked in report.unchecked)
        lines.append("")
    lines.extend(report.notes)
    lines.append(summary(report))
    return "\n".join(lines) + "\n"


def summary(report: Report) -> str:
    """``12 objects, Kubernetes 1.36: 1 error, 2 warnings, 1 waived, 3 not checked``."""
    parts = [count(report.count(severity), severity.value) for severity in Severity]
    waived = sum(1 for finding in report.findings if finding.waived is not None)
    if waived:
        parts.append(f"{waived} waived")
    if report.unchecked:
        parts.append(f"{len(report.unchecked)} not checked")
    head = f"{count(report.objects, 'object')}, Kubernetes {report.kubernetes}"
    return f"{head}: {', '.join(parts)}"


def place(file: str, line: int | None) -> str:
    """``file:line``, or what there is of it."""
    return ":".join(str(part) for part in (file, line) if part)


def _finding(finding: Finding, *, colour: bool) -> Iterator[str]:
    severity = _painted(finding.severity.value, _COLOURS[finding.severity], on=colour)
    subject = " ".join(p for p in (severity, finding.rule, finding.object, finding.path) if p)
    where = place(finding.file, finding.line)
    line = f"{where}: {subject}: {finding.message}" if where else f"{subject}: {finding.message}"
    if finding.waived is None:
        yield line
        if finding.fix:
            yield _painted(f"    {finding.fix}", _FAINT, on=colour)
    else:
        yield _painted(f"{line} (waived: {finding.waived})", _FAINT, on=colour)


def _not_checked(unchecked: Unchecked) -> str:
    where = place(unchecked.file, unchecked.line)
    subject = f"not checked {unchecked.object}: {unchecked.reason}"
    return f"{where}: {subject}" if where else subject


def _painted(text: str, code: str, *, on: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if on else text
