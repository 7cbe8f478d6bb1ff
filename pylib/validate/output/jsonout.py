"""The report for programs: stable JSON.

The shape, version 1::

    {
      "version": 1,
      "kubernetes": "1.36",
      "objects": 12,
      "counts": {"error": 1, "warning": 0, "note": 0, "waived": 0, "unchecked": 0},
      "findings": [{"rule": "…", "severity": "error|warning|note", "message": "…", "fix": "…",
                    "object": "Kind/namespace/name", "path": "spec.x[0]", "file": "…", "line": 3,
                    "waived": null}],
      "unchecked": [{"object": "…", "reason": "…", "file": "…", "line": 1}],
      "notes": []
    }

``counts`` leaves waived findings out of the three severities; ``waived`` is the waiver's reason.
Keys may be added within a version; none is renamed or taken away.
"""

from __future__ import annotations

import json

from pylib.validate.report import Report, Severity

VERSION = 1


def render(report: Report, *, colour: bool = False) -> str:
    """The report as indented JSON, in the order of its findings; ``colour`` is not used."""
    del colour
    plain = report.as_dict()
    counts = {severity.value: report.count(severity) for severity in Severity}
    counts["waived"] = sum(1 for finding in report.findings if finding.waived is not None)
    counts["unchecked"] = len(report.unchecked)
    whole = {
        "version": VERSION,
        "kubernetes": report.kubernetes,
        "objects": report.objects,
        "counts": counts,
        "findings": plain["findings"],
        "unchecked": plain["unchecked"],
        "notes": plain["notes"],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
