"""Rules that tie fields of a config together: one function each, all run, nothing raised.

Each yields problems that name both fields that clash and what to write instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from pylib.config.checks_cell import cell_problems
from pylib.config.model import Claim, Config, Disk, NoWeights
from pylib.config.model_path import implied_path, model_path_of
from pylib.config.types import HF_SOURCE
from pylib.errors import Problem
from pylib.names import MAX_NAME, MAX_RELEASE, cell_object, weights_volume

Check = Callable[[Config], Iterator[Problem]]


def cross_problems(config: Config) -> Iterator[Problem]:
    """Every clash between fields of a config whose fields are right one by one."""
    for check in _CHECKS if config.mode == "serve" else _DOWNLOAD_CHECKS:
        yield from check(config)


def _serving(config: Config) -> Iterator[Problem]:
    wanted = {"serving": config.serving, "weights": config.weights, "cells": config.cells}
    for name, value in wanted.items():
        if not value:
            yield Problem(
                name, "is required in mode: serve", f"Add {name}:, or write mode: download."
            )


def _source(config: Config) -> Iterator[Problem]:
    model = config.model
    if model.source is None:
        if config.mode == "serve" and isinstance(config.weights, Claim) and model.name:
            return
        yield Problem(
            "model.source",
            "is required",
            "Add source: gs://bucket/dir/name or hf://org/name"
            " (or, with weights.kind: claim, model.name).",
        )
        return
    hugging_face = HF_SOURCE.fullmatch(model.source)
    if model.revision and not hugging_face:
        yield Problem(
            "model.revision",
            f"{model.revision!r} is of no use to {model.source}",
            "Remove it; only hf:// sources have revisions.",
        )
    implied = implied_path(model.source)
    path = model_path_of(config)
    if not hugging_face and path != implied:
        where = "/".join(filter(None, (implied.directory, implied.name)))
        field = "name" if path.name != implied.name else "directory"
        yield Problem(
            f"model.{field}",
            f"{getattr(path, field)!r} is not where {model.source} lies on the disk (/{where})",
            f"Remove model.{field}, or change model.source.",
        )


def _download_at_start(config: Config) -> Iterator[Problem]:
    weights = config.weights
    if not isinstance(weights, NoWeights):
        return
    if config.model.source and not HF_SOURCE.fullmatch(config.model.source):
        yield Problem(
            "model.source",
            f"{config.model.source} cannot be downloaded at start (weights.kind is none)",
            "Write hf://org/name, or weights.kind: disk.",
        )
    if not weights.claims and weights.sizeGiB is None:
        yield Problem(
            "weights.sizeGiB", "is required without weights.claims", "Add sizeGiB: or claims:."
        )
    if weights.claims and weights.sizeGiB is not None:
        yield Problem(
            "weights.sizeGiB", "is of no use beside weights.claims", "Remove one of the two."
        )
    if weights.sizeGiB is not None and weights.sizeGiB < config.model.sizeGiB:
        yield _too_small("weights.sizeGiB", weights.sizeGiB, config)


def _sizes(config: Config) -> Iterator[Problem]:
    weights = config.weights
    if not isinstance(weights, Disk):
        return
    if weights.sizeGiB < config.model.sizeGiB:
        yield _too_small("weights.sizeGiB", weights.sizeGiB, config)
    if weights.throughputMiBps and weights.type != "hyperdisk-ml":
        yield Problem(
            "weights.throughputMiBps",
            f"cannot be set on a {weights.type}",
            "Remove it, or write type: hyperdisk-ml.",
        )


def _too_small(path: str, size: int, config: Config) -> Problem:
    return Problem(
        path,
        f"{size} GiB cannot hold the model of {config.model.sizeGiB} GiB (model.sizeGiB)",
        f"Write a size above {config.model.sizeGiB}.",
    )


def _claim_cells(config: Config) -> Iterator[Problem]:
    weights = config.weights
    if isinstance(weights, Disk) or weights is None or not weights.claims:
        if isinstance(weights, Claim):
            yield Problem("weights.claims", "names no claim", "Write claims: {<cell>: <claim>}.")
        return
    cells = {cell.key for cell in config.cells}
    if not cells:  # said once, of cells
        return
    for cell in sorted(cells - set(weights.claims)):
        yield Problem(
            "weights.claims",
            f"names no claim for the cell {cell!r}",
            f"Add {cell}: <claim name>.",
        )
    for extra in sorted(set(weights.claims) - cells):
        yield Problem(
            f"weights.claims.{extra}",
            "names a cell that is not in cells",
            f"Write one of {', '.join(sorted(cells))}, or remove it.",
        )


def _cells(config: Config) -> Iterator[Problem]:
    counts = Counter(cell.key for cell in config.cells)
    for index, cell in enumerate(config.cells):
        path = f"cells[{index}]"
        if counts[cell.key] > 1:
            yield Problem(
                f"{path}.name",
                f"{cell.key!r} is the name of {counts[cell.key]} cells",
                "Give each cell in one zone a name of its own.",
            )
            counts[cell.key] = 1
        if not cell.zone.startswith(f"{config.region}-"):
            yield Problem(
                f"{path}.zone",
                f"{cell.zone} is not in region {config.region}",
                f"Write a zone such as {config.region}-a, or change region.",
            )
        yield from cell_problems(path, cell, config)


def _scaling(config: Config) -> Iterator[Problem]:
    scaling = config.autoscaling
    if not scaling.enabled:
        return
    if scaling.minReplicas > scaling.maxReplicas:
        yield Problem(
            "autoscaling.minReplicas",
            f"{scaling.minReplicas} is more than maxReplicas ({scaling.maxReplicas})",
            "Lower minReplicas or raise maxReplicas.",
        )
    if scaling.source == "keda" and scaling.keda is None:
        yield Problem(
            "autoscaling.keda", "is required with source: keda", "Add keda: {serverAddress: …}."
        )
    if scaling.source != "keda" and scaling.keda is not None:
        yield Problem(
            "autoscaling.keda",
            f"is of no use with source: {scaling.source}",
            "Remove it, or write source: keda.",
        )
    if scaling.minReplicas == 0 and not (scaling.keda and scaling.keda.activation):
        yield Problem(
            "autoscaling.minReplicas",
            "0 needs a signal that outlives the pods",
            "Write source: keda with keda.activation.query, or minReplicas: 1.",
        )
    if not config.monitoring.enabled and scaling.source != "gke":
        yield Problem(
            "monitoring.enabled",
            f"false leaves autoscaling.source {scaling.source} without its metric",
            "Write enabled: true, source: gke, or autoscaling.enabled: false.",
        )


def _release(config: Config) -> Iterator[Problem]:
    length = len(config.release.name)
    if length > MAX_RELEASE:
        yield Problem(
            "release.name",
            f"has {length} characters; helm allows {MAX_RELEASE}",
            "Write a shorter name.",
        )


def _names(config: Config) -> Iterator[Problem]:
    release, namespace = config.release.name, config.release.namespace
    for index, cell in enumerate(config.cells):
        longest = cell_object(release, cell.key)
        if isinstance(config.weights, Disk):
            longest = weights_volume(namespace, release, cell.key, "0" * 12)
        if len(longest) > MAX_NAME:
            yield Problem(
                f"cells[{index}].name",
                f"makes the object name {longest!r} of {len(longest)} characters;"
                f" {MAX_NAME} are allowed",
                "Shorten release.name, release.namespace, or give the cell a short name.",
            )


_CHECKS: tuple[Check, ...] = (
    _serving,
    _source,
    _download_at_start,
    _sizes,
    _claim_cells,
    _cells,
    _scaling,
    _release,
    _names,
)
_DOWNLOAD_CHECKS: tuple[Check, ...] = (_source, _release)
