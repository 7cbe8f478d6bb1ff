"""Findings that a team accepts, each with its reason and a last day.

One YAML file, a list; all four keys are required::

    - rule: cpu-limit                 # a rule of ours, or a scanner's with its prefix
      object: Deployment/*/vllm-*     # glob on Kind/namespace/name
      reason: the platform sets the limit by policy
      expires: 2027-03-31             # the last day on which it holds

Rules with a prefix (``checkov:CKV_K8S_11``, ``kube-score:…``) belong to other scanners; they may
stand here and are not looked at.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pylib.errors import ConfigError, Problem
from pylib.validate.explain import unknown_rule
from pylib.validate.report import Finding
from pylib.validate.rules.builtin import WAIVER_EXPIRED, WAIVER_UNUSED
from pylib.validate.rules.registry import Rule
from pylib.validate.words import listed, nearest, show
from pylib.yamlio import Document, YamlError, dotted, parse_one

_KEYS = ("rule", "object", "reason", "expires")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SCANNER = re.compile(r"[a-z0-9-]+:\S+")


@dataclass(frozen=True)
class Waiver:
    """One accepted finding, or several by glob; ``expires`` is the last day on which it holds."""

    rule: str
    object: str
    reason: str
    expires: date
    file: str = ""
    line: int | None = None

    def names(self, ref: str) -> bool:
        """Whether the glob fits an object's ``Kind/namespace/name`` or ``Kind/name``.

        ``Deployment/*/vllm`` fits an object without a namespace too.
        """
        parts = ref.split("/")
        full = f"{parts[0]}//{parts[1]}" if len(parts) == 2 else ref
        return fnmatchcase(ref, self.object) or fnmatchcase(full, self.object)

    @property
    def foreign(self) -> bool:
        """Whether the rule is another scanner's."""
        return ":" in self.rule


def load_waivers(path: Path) -> tuple[Waiver, ...]:
    """Read a file of waivers.  Raises :class:`ConfigError` with every problem in it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problem = Problem("", f"cannot be read: {reason}", "Name a YAML file of waivers.")
        raise ConfigError(str(path), [problem]) from None
    return parse_waivers(text, str(path))


def parse_waivers(text: str, file: str) -> tuple[Waiver, ...]:
    """Waivers from YAML text; ``file`` names it in messages.  Raises as :func:`load_waivers`."""
    try:
        document = parse_one(text)
    except YamlError as error:
        raise ConfigError(file, error.problems) from None
    if not document.lines:
        return ()
    if not isinstance(document.body, list):
        message = f"{show(document.body)} stands where the list of waivers belongs"
        problem = Problem("", message, "Write a list: - rule: …", document.line)
        raise ConfigError(file, [problem])
    problems: list[Problem] = []
    waivers = [
        _waiver(entry, index, document, file, problems) for index, entry in enumerate(document.body)
    ]
    if problems:
        raise ConfigError(file, problems)
    return tuple(waiver for waiver in waivers if waiver is not None)


def apply(
    findings: Iterable[Finding],
    waivers: Sequence[Waiver],
    today: date,
    ran: Collection[str],
) -> list[Finding]:
    """The findings, those that a waiver covers marked so, and findings about the waivers.

    An expired waiver silences nothing.  ``ran`` names the rules that ran: a waiver for another one
    is not called unused.
    """
    by_rule: dict[str, list[Waiver]] = defaultdict(list)
    for waiver in waivers:
        by_rule[waiver.rule].append(waiver)
    used: set[Waiver] = set()
    result: list[Finding] = []
    for finding in findings:
        covering = [w for w in by_rule.get(finding.rule, ()) if w.names(finding.object)]
        used.update(covering)
        valid = next((waiver for waiver in covering if today <= waiver.expires), None)
        result.append(finding.with_waiver(valid.reason) if valid else finding)
    for waiver in waivers:
        if waiver.foreign:
            continue
        if waiver.expires < today:
            result.append(_expired(waiver))
        elif waiver not in used and waiver.rule in ran:
            result.append(_unused(waiver))
    return result


def _expired(waiver: Waiver) -> Finding:
    message = f"the waiver of {waiver.rule} for {waiver.object} ended on {waiver.expires}"
    fix = "Mend the finding, or renew the waiver with a new date and reason."
    return _about(waiver, WAIVER_EXPIRED, message, fix)


def _unused(waiver: Waiver) -> Finding:
    message = f"no finding of {waiver.rule} is on {waiver.object}"
    return _about(waiver, WAIVER_UNUSED, message, "Take the waiver out, or correct its object.")


def _about(waiver: Waiver, rule: Rule, message: str, fix: str) -> Finding:
    return Finding(rule.name, rule.severity, message, fix, file=waiver.file, line=waiver.line)


def _waiver(
    entry: Any, index: int, document: Document, file: str, problems: list[Problem]
) -> Waiver | None:
    """The waiver of one entry, or ``None`` after its problems were noted."""
    line = document.lines.get((index,), document.line)
    if not isinstance(entry, dict):
        fix = f"Write a map with {listed(_KEYS)}."
        problems.append(Problem(f"[{index}]", f"{show(entry)} is no waiver", fix, line))
        return None
    before = len(problems)
    for key in (*_KEYS, *(key for key in entry if key not in _KEYS)):
        found = _problem_with(key, entry)
        if found is not None:
            where = document.lines.get((index, key), line)
            problems.append(Problem(dotted((index, key)), *found, where))
    if len(problems) > before:
        return None
    expires = date.fromisoformat(entry["expires"])
    return Waiver(entry["rule"], entry["object"], entry["reason"], expires, file, line)


def _problem_with(key: str, entry: dict[str, Any]) -> tuple[str, str] | None:
    """Message and fix for one key of an entry, or ``None`` when it is in order."""
    if key not in _KEYS:
        meant = nearest(key, _KEYS)
        return "there is no such key", f"Did you mean {meant}?" if meant else "Take it out."
    value = entry.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        return "the key is missing or empty", f"Write {key}: each waiver needs {listed(_KEYS)}."
    if not isinstance(value, str):
        return f"{show(value)} is not text", "Write text."
    if key == "expires":
        return _problem_with_date(value)
    foreign = _SCANNER.fullmatch(value)
    return unknown_rule(value) if key == "rule" and not foreign else None


def _problem_with_date(value: str) -> tuple[str, str] | None:
    try:
        good = bool(_DATE.fullmatch(value) and date.fromisoformat(value))
    except ValueError:
        good = False
    return None if good else (f"{value!r} is no date", "Write the last day as 2027-03-31.")
