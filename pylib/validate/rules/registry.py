"""The table of rules.

Writing a rule::

    from collections.abc import Iterator

    from pylib.validate.report import Severity
    from pylib.validate.rules.objects import Hit, Objects, at
    from pylib.validate.rules.registry import rule


    @rule(
        name="pv-access-mode",
        severity=Severity.ERROR,
        summary="A shared weights volume is ReadOnlyMany",
        explain="Why it matters, what happens otherwise, the source (URL), and how to mend it.",
    )
    def pv_access_mode(objects: Objects) -> Iterator[Hit]:
        for volume in objects.of_kind("PersistentVolume"):
            modes = volume.get("spec", "accessModes", default=[])
            if modes != ["ReadOnlyMany"]:
                yield at(
                    volume, "spec", "accessModes",
                    message=f"accessModes is {modes}, so one node at a time can mount it",
                    fix="Write accessModes: [ReadOnlyMany].",
                )

One function is one rule.  It yields a :class:`~pylib.validate.rules.objects.Hit` per broken field,
made with ``at(manifest, *path, …)``, ``pod.at(*path_in_pod_spec, …)`` or
``container.at(*path, …)``; object, dotted path, file, line, name and severity are filled in here.
A hit whose severity differs from its rule's says so with ``severity=``.  What the run knows beside
the manifests is ``objects.context``; a field that is empty there is not known, and the rule then
yields nothing.

A rule meets manifests that this project did not write.  What kubeconform found to be of the wrong
type is cut out before rules run, but kinds without a schema come as they are: read with
``manifest.get(…)``, ``each(…)`` and ``texts(…)`` of :mod:`pylib.validate.rules.objects`, which
leave out what is malformed.  A module of rules is listed in :mod:`pylib.validate.rules`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from pylib.validate.report import Finding, Severity
from pylib.validate.rules.objects import Hit, Objects
from pylib.yamlio import dotted

Check = Callable[[Objects], Iterator[Hit]]

_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Rule:
    """A rule and its words: ``summary`` is one line, ``explain`` a paragraph with the source.

    ``check`` is ``None`` where the finding is made elsewhere, as by a schema.
    """

    name: str
    severity: Severity
    summary: str
    explain: str
    check: Check | None = None

    def findings(self, objects: Objects) -> Iterator[Finding]:
        """What the rule finds in these objects."""
        if self.check is not None:
            for hit in self.check(objects):
                yield _finding(self, hit)


RULES: dict[str, Rule] = {}
"""Every rule by name; filled when :mod:`pylib.validate.rules` is imported."""


def rule(*, name: str, severity: Severity, summary: str, explain: str) -> Callable[[Check], Check]:
    """Put the decorated function into :data:`RULES`.

    Raises :class:`ValueError` for a name that is taken or not in kebab case.
    """

    def register(check: Check) -> Check:
        _add(Rule(name, severity, summary, explain, check))
        return check

    return register


def declare(*, name: str, severity: Severity, summary: str, explain: str) -> Rule:
    """Put a rule without a function into :data:`RULES`.  Raises as :func:`rule` does."""
    return _add(Rule(name, severity, summary, explain))


def _add(new: Rule) -> Rule:
    if not _KEBAB.fullmatch(new.name):
        raise ValueError(f"rule name {new.name!r} is not in kebab case")
    if new.name in RULES:
        raise ValueError(f"rule name {new.name!r} is taken")
    RULES[new.name] = new
    return new


def run(objects: Objects, names: Collection[str] | None = None) -> Iterator[Finding]:
    """Findings of all rules, or of those named, in the order in which rules were registered."""
    for each_rule in RULES.values():
        if names is None or each_rule.name in names:
            yield from each_rule.findings(objects)


def _finding(broken: Rule, hit: Hit) -> Finding:
    return Finding(
        rule=broken.name,
        severity=hit.severity or broken.severity,
        message=hit.message,
        fix=hit.fix,
        object=hit.manifest.ref,
        path=dotted(hit.path),
        file=hit.manifest.file,
        line=hit.manifest.line_of(*hit.path),
    )
