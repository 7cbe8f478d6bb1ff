"""Sets of manifests against schemas and rules: what is found, before waivers are laid over it.

A set is what is applied together: rules that tie objects together look no further than their set,
while kubeconform sees all sets at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pylib.manifests import Manifest
from pylib.validate.kubeconform import Judgement, judge
from pylib.validate.prune import without
from pylib.validate.report import Finding, Unchecked
from pylib.validate.rules.objects import Context, Objects
from pylib.validate.rules.registry import run
from pylib.validate.schemas import Schemas


@dataclass(frozen=True)
class ManifestSet:
    """Manifests that are applied together, and the chart values they come from, where known."""

    manifests: Sequence[Manifest]
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Inspection:
    """Findings and what could not be checked, over ``objects`` objects."""

    findings: list[Finding] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)
    objects: int = 0

    def add(self, other: Inspection) -> None:
        """Take the other's outcome in."""
        self.findings += other.findings
        self.unchecked += other.unchecked
        self.objects += other.objects


def inspect(
    sets: Sequence[ManifestSet], schemas: Schemas, rules: Collection[str] | None = None
) -> Inspection:
    """Hold every set against the schemas, and each against the rules.

    Raises what :func:`pylib.validate.kubeconform.judge` raises.
    """
    everything = [manifest for each in sets for manifest in each.manifests]
    judgement = judge(everything, schemas)
    outcome = Inspection(list(judgement.findings), list(judgement.unchecked), len(everything))
    trusted = _trusted(everything, judgement)
    for each in sets:
        context = Context(kubernetes=schemas.version, values=each.values)
        members = tuple(next(trusted) for _ in each.manifests)
        outcome.findings += run(Objects(members, context), rules)
    return outcome


def _trusted(manifests: Sequence[Manifest], judgement: Judgement) -> Iterator[Manifest]:
    """The manifests as rules see them: without fields whose type is wrong."""
    for index, manifest in enumerate(manifests):
        paths = judgement.misfits.get(index)
        yield without(manifest, paths) if paths else manifest
