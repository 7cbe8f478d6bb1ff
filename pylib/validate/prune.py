"""An object without the fields whose type is wrong, so that rules can trust what they read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pylib.manifests import Manifest
from pylib.yamlio import Path


def without(manifest: Manifest, paths: Iterable[Path]) -> Manifest:
    """A copy without the fields at ``paths``; entries of lists become null, to keep indices."""
    body: Any = manifest.body
    for path in paths:
        body = _cut(body, path)
    return replace(manifest, body=body)


def _cut(node: Any, path: Path) -> Any:
    step, *rest = path
    if isinstance(node, list) and isinstance(step, int):
        changed = _cut(node[step], tuple(rest)) if rest and node[step] is not None else None
        return [*node[:step], changed, *node[step + 1 :]]
    if not rest:
        return {key: value for key, value in node.items() if key != step}
    return {**node, step: _cut(node[step], tuple(rest))} if step in node else node
