"""``apiVersion``, ``kind`` and ``metadata``: what must hold before a schema can be chosen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pylib.manifests import Manifest
from pylib.validate.report import Finding, Severity, Unchecked
from pylib.validate.rules.builtin import SCHEMA, UNKNOWN_KIND
from pylib.validate.rules.registry import Rule
from pylib.validate.schemas import Schemas, well_formed
from pylib.validate.words import listed, show
from pylib.yamlio import Path, dotted

_TEXTS: tuple[Path, ...] = (
    ("apiVersion",),
    ("kind",),
    ("metadata", "name"),
    ("metadata", "generateName"),
    ("metadata", "namespace"),
)


def finding(
    manifest: Manifest,
    path: Path,
    message: str,
    fix: str = "",
    *,
    rule: Rule = SCHEMA,
    severity: Severity | None = None,
) -> Finding:
    """A finding on the field at ``path``, which need not exist."""
    return Finding(
        rule=rule.name,
        severity=severity or rule.severity,
        message=message,
        fix=fix,
        object=manifest.ref,
        path=dotted(path),
        file=manifest.file,
        line=manifest.line_of(*path),
    )


def problems(manifest: Manifest) -> Iterator[Finding]:
    """What keeps the object from being held against any schema."""
    metadata = manifest.body.get("metadata")
    if not isinstance(metadata, Mapping):
        message = f"{show(metadata)} is not a map"
        yield finding(manifest, ("metadata",), message, "Write a map with at least a name.")
    for path in _TEXTS:
        value = manifest.get(*path)
        if value is not None and not isinstance(value, str):
            fix = "Write text, in quotes if it looks like a number, true or null."
            yield finding(manifest, path, f"{show(value)} is not text", fix)
    if not well_formed(manifest.api_version, manifest.kind):
        message = f"{manifest.api_version!r} and {manifest.kind!r} name no kind of object"
        fix = "Write apiVersion as group/version and kind as one word: apps/v1 and Deployment."
        yield finding(manifest, ("apiVersion",), message, fix)


def not_json(manifest: Manifest) -> Finding:
    """The finding on an object that holds an infinite number or NaN, which JSON lacks."""
    path = next(_not_finite(manifest.body, ()), ())
    message = f"{manifest.get(*path)} cannot be sent to Kubernetes, whose JSON has no such number"
    return finding(manifest, path, message, "Write a finite number, or text in quotes.")


def without_schema(manifest: Manifest, schemas: Schemas) -> Finding | Unchecked:
    """An unknown kind: a mistake in Kubernetes' own groups, not checked in anyone else's."""
    served = [v for v in schemas.serves(manifest.kind) if v != manifest.api_version]
    if schemas.owns(manifest.api_version):
        message = f"Kubernetes {schemas.version} has no {manifest.kind} in {manifest.api_version}"
        similar = schemas.similar(manifest.api_version, manifest.kind)
        fix = "Correct apiVersion or kind."
        if served:
            fix = f"Write apiVersion: {listed(served, 'or')}."
        elif similar is not None:
            fix = f"Did you mean {similar}?"
        return finding(manifest, ("kind",), message, fix, rule=UNKNOWN_KIND)
    reason = f"no schema for {manifest.api_version} {manifest.kind}"
    if served:
        reason += f"; there is one for {listed(served)}"
    return Unchecked(manifest.ref, reason, manifest.file, manifest.line)


def _not_finite(node: object, path: Path) -> Iterator[Path]:
    if isinstance(node, float) and not math.isfinite(node):
        yield path
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _not_finite(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _not_finite(value, (*path, index))
