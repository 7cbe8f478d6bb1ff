"""What a rule is about, in words: ``validate --explain`` and ``--list-rules``."""

from __future__ import annotations

import textwrap
from collections.abc import Collection

from pylib.errors import ConfigError, Problem
from pylib.validate.rules import RULES
from pylib.validate.words import nearest

_WIDTH = 88


def explain(name: str) -> str:
    """Name, severity, summary and reasons of a rule.  Raises :class:`ConfigError` for no rule."""
    require([name])
    rule = RULES[name]
    body = textwrap.fill(rule.explain, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return f"{rule.name} ({rule.severity}): {rule.summary}\n\n{body}\n"


def rule_list() -> str:
    """One line for each rule: name, severity, summary; by name."""
    width = max(map(len, RULES))
    return "".join(
        f"{name:<{width}}  {RULES[name].severity:<7}  {RULES[name].summary}\n"
        for name in sorted(RULES)
    )


def require(names: Collection[str]) -> None:
    """Raise :class:`ConfigError` for names that are no rules, each with the nearest one."""
    found = [unknown_rule(name) for name in names]
    problems = [Problem("rule", *words) for words in found if words is not None]
    if problems:
        raise ConfigError("command line", problems)


def unknown_rule(name: str) -> tuple[str, str] | None:
    """Message and fix for a name that is no rule, ``None`` for one that is."""
    if name in RULES:
        return None
    meant = nearest(name, RULES)
    fix = f"Did you mean {meant}?" if meant else "See the rules with --list-rules."
    return f"there is no rule {name!r}", fix
