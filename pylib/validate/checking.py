"""The way in: manifests to a report, or several inspections to one report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date

from pylib.manifests import Manifest
from pylib.validate import waivers as accepted
from pylib.validate.explain import require
from pylib.validate.inspection import Inspection, ManifestSet, inspect
from pylib.validate.report import Finding, Report, in_order
from pylib.validate.rules import RULES
from pylib.validate.rules.builtin import SCHEMA_FROM_DOCUMENTATION
from pylib.validate.schemas import DEFAULT_KUBERNETES, Schemas
from pylib.validate.waivers import Waiver

__all__ = ["DEFAULT_KUBERNETES", "settle", "validate_manifests"]


def validate_manifests(
    manifests: Sequence[Manifest],
    *,
    today: date,
    kubernetes: str = DEFAULT_KUBERNETES,
    waivers: Sequence[Waiver] = (),
    rules: Collection[str] | None = None,
) -> Report:
    """Hold ``manifests`` against the schemas of a Kubernetes version and against every rule.

    ``rules`` names the only rules to run, besides the schemas; ``today`` decides which waivers
    hold.

    Raises :class:`~pylib.errors.ConfigError` for a Kubernetes version without schemas or a rule
    that is none, :class:`~pylib.errors.ToolMissingError` and
    :class:`~pylib.errors.ToolFailedError` about kubeconform.
    """
    require(rules or ())
    outcome = inspect([ManifestSet(manifests)], Schemas(kubernetes), rules)
    return settle([outcome], kubernetes=kubernetes, today=today, waivers=waivers, rules=rules)


def settle(
    parts: Sequence[Inspection],
    *,
    today: date,
    kubernetes: str = DEFAULT_KUBERNETES,
    waivers: Sequence[Waiver] = (),
    rules: Collection[str] | None = None,
) -> Report:
    """One report of several inspections, with the waivers laid over all of them."""
    whole = Inspection()
    for part in parts:
        whole.add(part)
    findings = accepted.apply(_said_once(whole.findings), waivers, today, _ran(rules))
    return Report(
        findings=in_order(findings),
        unchecked=tuple(sorted(whole.unchecked, key=lambda u: (u.file, u.line or 0))),
        objects=whole.objects,
        kubernetes=Schemas(kubernetes).version,
    )


def _said_once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings, without a second note about the origin of one schema."""
    said: set[str] = set()
    for finding in findings:
        if finding.rule == SCHEMA_FROM_DOCUMENTATION.name:
            if finding.message in said:
                continue
            said.add(finding.message)
        yield finding


def _ran(rules: Collection[str] | None) -> set[str]:
    return {
        name for name, rule in RULES.items() if rules is None or not rule.check or name in rules
    }
