"""The report as SARIF 2.1.0, which code hosts show beside the lines of a change.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pylib import __version__
from pylib.validate.report import Finding, Report, Unchecked
from pylib.validate.rules import RULES
from pylib.validate.rules.registry import Rule

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_STDIN = "stdin"


def render(report: Report, *, colour: bool = False) -> str:
    """The report as one run of one tool; every rule is described, also those that found nothing."""
    del colour
    names = list(RULES)
    run = {
        "tool": {
            "driver": {
                "name": "vllm-fast-start",
                "version": __version__,
                "rules": [_rule(rule) for rule in RULES.values()],
            }
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [_notification(u) for u in report.unchecked],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, names.index(finding.rule)) for finding in report.findings],
    }
    whole = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.explain},
        "help": {"text": rule.explain},
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _result(finding: Finding, rule_index: int) -> dict[str, Any]:
    subject = " ".join(part for part in (finding.object, finding.path) if part)
    text = f"{subject}: {finding.message}" if subject else finding.message
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": finding.severity.value,
        "message": {"text": f"{text}. {finding.fix}" if finding.fix else text},
        "locations": [_location(finding.file, finding.line, finding.object, finding.path)],
        "partialFingerprints": {"finding/v1": _fingerprint(finding)},
    }
    if finding.waived is not None:
        result["suppressions"] = [{"kind": "external", "justification": finding.waived}]
    return result


def _location(file: str, line: int | None, owner: str, path: str) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(file)}}
    if line is not None:
        physical["region"] = {"startLine": line}
    location: dict[str, Any] = {"physicalLocation": physical}
    if owner:
        name = f"{owner}#{path}" if path else owner
        location["logicalLocations"] = [{"fullyQualifiedName": name, "kind": "resource"}]
    return location


def _uri(file: str) -> str:
    """A path as a URI: relative as it was given, or ``file:`` when absolute."""
    if file in ("", "-"):
        return _STDIN
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _fingerprint(finding: Finding) -> str:
    """The same for the same finding after lines have moved."""
    parts = (finding.rule, finding.file, finding.object, finding.path)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _notification(unchecked: Unchecked) -> dict[str, Any]:
    return {
        "level": "warning",
        "message": {"text": f"{unchecked.object} was not checked: {unchecked.reason}"},
        "locations": [_location(unchecked.file, unchecked.line, unchecked.object, "")],
    }
