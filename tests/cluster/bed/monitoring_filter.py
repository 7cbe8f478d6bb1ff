"""The part of Cloud Monitoring's filter language that the tests' clients use; no more is read.

Followed: the guide to Monitoring filters, https://cloud.google.com/monitoring/api/v3/filters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MOST_ALTERNATIVES = 100
"""Values that ``one_of`` takes at most, by the guide."""

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ONE_OF = rf"one_of\(\s*(?:{_QUOTED}(?:\s*,\s*{_QUOTED})*)\s*\)"
_KEY = r"resource\.type|metric\.type|(?:resource|metric)\.labels?\.[A-Za-z_][A-Za-z0-9_]*"
_TERM = re.compile(
    rf"(?P<not>NOT\s+)?(?P<key>{_KEY})\s*(?P<op>!?=)\s*(?P<value>{_QUOTED}|{_ONE_OF})"
)
_AND = re.compile(r"\s+AND\s+")


class FilterError(ValueError):
    """The filter is none; the message says where."""


@dataclass(frozen=True)
class Term:
    """One comparison."""

    key: str
    values: frozenset[str]
    negated: bool

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object with these fields passes; an absent field is the empty text."""
        return (fields.get(self.key, "") in self.values) != self.negated


@dataclass(frozen=True)
class Filter:
    """Comparisons that all must hold."""

    terms: tuple[Term, ...]

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object with these fields passes."""
        return all(term.matches(fields) for term in self.terms)

    def values(self, key: str) -> frozenset[str]:
        """What a field must be one of; empty when the filter does not say."""
        found = [term.values for term in self.terms if term.key == key and not term.negated]
        return frozenset.intersection(*found) if found else frozenset()

    def metric_labels(self) -> list[str]:
        """Names of the metric's labels that the filter compares."""
        keys = {term.key for term in self.terms if term.key.startswith("metric.labels.")}
        return sorted(key.removeprefix("metric.labels.") for key in keys)


def parse(text: str) -> Filter:
    """Read a filter; raises :class:`FilterError` for anything outside the part known here."""
    terms: list[Term] = []
    at = 0
    while match := _TERM.match(text, at):
        terms.append(_term(match))
        at = match.end()
        if at == len(text):
            return Filter(tuple(terms))
        if not (between := _AND.match(text, at)):
            break
        at = between.end()
    if not text:
        return Filter(())
    raise FilterError(f"Could not parse filter {text!r} at {text[at : at + 40]!r}")


def _term(match: re.Match[str]) -> Term:
    quoted = re.findall(_QUOTED, match["value"])
    if len(quoted) > MOST_ALTERNATIVES:
        raise FilterError(f"one_of has {len(quoted)} values; the most are {MOST_ALTERNATIVES}")
    values = frozenset(re.sub(r"\\(.)", r"\1", one[1:-1]) for one in quoted)
    key = match["key"].replace(".label.", ".labels.")
    return Term(key, values, (match["op"] == "!=") != bool(match["not"]))
