"""Names of the chart's objects and values of labels: pure, and the same on every run.

The chart computes the same names in ``templates/_helpers.tpl``; a test holds the two together.
"""

from __future__ import annotations

import hashlib
import re

MODEL_ROOT = "/model-data"
"""Where every pod mounts the weights; it is part of vLLM's compile-cache key, so it never moves."""

MAX_NAME = 63
"""Longest DNS label: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/."""

MAX_RELEASE = 53
"""Longest helm release name: helm/helm pkg/chart/v2/util/validate_name.go@v4.3.1."""

RELEASE_LABEL = "vfs-release"
NAMESPACE_LABEL = "vfs-namespace"
"""Labels of Compute Engine on what a release owns; more say which cell and revision."""

REVISION_DIGITS = 12
"""Hex digits of the weights manifest's sha256 that name a revision."""


def cell_object(release: str, cell: str) -> str:
    """Name of a cell's Deployment, autoscaler and PodDisruptionBudget."""
    return f"{release}-{cell}"


def weights_claim(release: str, cell: str, revision: str) -> str:
    """Name of the PersistentVolumeClaim of one revision in one cell."""
    return f"{release}-{cell}-{revision}"


def weights_volume(namespace: str, release: str, cell: str, revision: str) -> str:
    """Name of the PersistentVolume, which is cluster-scoped and so carries the namespace."""
    return f"{namespace}-{weights_claim(release, cell, revision)}"


def weights_disk(release: str, cell: str, revision: str) -> str:
    """Name of the weights disk of one revision in one cell; what a name has no room for goes, and
    a digest of all of it comes instead."""
    name = f"{release}-{cell}-{revision}"
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(f"{release}/{cell}/{revision}".encode()).hexdigest()[:8]
    room = MAX_NAME - len(revision) - len(digest) - 2
    return f"{name[:room].rstrip('-')}-{digest}-{revision}"


def revision_of(manifest_sha256: str) -> str:
    """Name of the revision whose weights manifest has this sha256 (64 hex digits)."""
    return manifest_sha256[:REVISION_DIGITS]


def model_path(directory: str, name: str) -> str:
    """Where a pod finds the model: ``/model-data/<directory>/<name>``."""
    return "/".join(part for part in (MODEL_ROOT, directory, name) if part)


def label_value(text: str) -> str:
    """``text`` as a Compute Engine label value: ``^[\\p{Ll}0-9_-]{0,63}$``, so no dots.

    Source: https://cloud.google.com/compute/docs/labeling-resources#requirements.
    """
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:MAX_NAME]


def release_labels(release: str, namespace: str, **more: str) -> dict[str, str]:
    """Labels of a resource that the release owns; ``cell="a"`` adds ``vfs-cell: a``."""
    found = {RELEASE_LABEL: release, NAMESPACE_LABEL: namespace}
    found |= {f"vfs-{key}": value for key, value in more.items()}
    return {key: label_value(value) for key, value in found.items()}
