"""Pieces of messages and commands: sentences, times, gcloud's flags."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pylib.snapshot.plain import plain

_GKE_CONTEXT = re.compile(r"gke_(?P<project>[^_]+)_(?P<location>[^_]+)_(?P<cluster>[^_]+)")


def sentence(text: str) -> str:
    """The text without the full stop at its end, to go on after it."""
    return plain(text).rstrip(". ")


def seconds(number: float) -> str:
    """``45 s``, ``12 min``, ``3 h``: as precise as somebody who waits needs."""
    if number < 120:
        return f"{round(number)} s"
    return f"{round(number / 60)} min" if number < 7200 else f"{round(number / 3600)} h"


def either(names: Iterable[str]) -> str:
    """``a or b``, each once and in order."""
    found = list(dict.fromkeys(names))
    return " or ".join(filter(None, (", ".join(found[:-1]), *found[-1:])))


def gke_cluster(context: str) -> str:
    """gcloud's flags for the cluster that a kubeconfig context of GKE names."""
    match = _GKE_CONTEXT.fullmatch(context)
    if match is None:
        return "--cluster=CLUSTER --location=LOCATION"
    return (
        f"--cluster={match['cluster']} --location={match['location']} --project={match['project']}"
    )


def gke_project(context: str) -> str:
    """The project that a kubeconfig context of GKE names."""
    match = _GKE_CONTEXT.fullmatch(context)
    return match["project"] if match else "PROJECT"
