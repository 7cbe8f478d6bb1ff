"""Renders the chart with the real helm, as its users do, and looks into what came out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pylib import proc
from pylib.errors import ToolFailedError
from pylib.manifests import Manifest
from pylib.yamlio import parse_all

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "vllm-fast-start"
HELM = ROOT / ".tools" / "bin" / "helm"
HELM3 = ROOT / ".tools" / "bin" / "helm3"

Values = dict[str, Any]

KUBERNETES = "1.36.0"
"""Helm 3 built from its module would take 1.20, which the chart refuses."""

ZONE = "us-central1-a"
REVISION = "3f2a9c01b7de"
SERVE: Values = {
    "model": {"name": "gemma-7b", "directory": "gemma", "sizeGiB": 16},
    "weights": {
        "kind": "disk",
        "disk": {
            "project": "my-project",
            "sizeGiB": 1024,
            "current": REVISION,
            "revisions": [{"name": REVISION, "disks": {ZONE: "gemma-7b-a"}}],
        },
    },
    "cells": [{"zone": ZONE, "nodePool": "vllm-l4", "accelerator": "nvidia-l4"}],
}
"""The least that serves from a disk."""

DOWNLOAD: Values = {"mode": "download", "download": {"source": "gs://models/gemma/gemma-7b"}}
"""The least that downloads."""


@dataclass(frozen=True)
class Objects:
    """What one ``helm template`` printed."""

    text: str
    manifests: tuple[Manifest, ...]

    def all(self, kind: str) -> list[Manifest]:
        """Every object of ``kind``, in the order of the text."""
        return [m for m in self.manifests if m.kind == kind]

    def one(self, kind: str, name: str | None = None) -> Manifest:
        """The only object of ``kind``, or the only one of that name."""
        found = [m for m in self.all(kind) if name in (None, m.name)]
        assert len(found) == 1, f"{len(found)} x {kind} {name or ''}"
        return found[0]

    def kinds(self) -> list[str]:
        """The kinds of all objects, sorted, each as often as it is there."""
        return sorted(m.kind for m in self.manifests)

    def pod(self, name: str | None = None) -> Mapping[str, Any]:
        """Pod spec of the only Deployment, or of the one of that name."""
        spec: Mapping[str, Any] = self.one("Deployment", name).get("spec", "template", "spec")
        return spec

    def server(self, name: str | None = None) -> Mapping[str, Any]:
        """The vLLM container of that pod."""
        server: Mapping[str, Any] = self.pod(name)["containers"][0]
        return server

    def env(self) -> dict[str, Any]:
        """Environment of the server by name: the value, or what it is taken from."""
        return {e["name"]: e.get("value", e.get("valueFrom")) for e in self.server()["env"]}


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Values:
    """``base`` with ``over`` on top, maps merged and everything else replaced, as helm does."""
    result = dict(base)
    for key, value in over.items():
        inner = result.get(key)
        if isinstance(inner, dict) and isinstance(value, dict):
            result[key] = merged(inner, value)
        else:
            result[key] = value
    return result


def serve(
    over: Mapping[str, Any] | None = None,
    *,
    release: str = "vllm",
    namespace: str = "serving",
    helm: Path = HELM,
) -> Objects:
    """The serving release of :data:`SERVE` with ``over`` on top."""
    return template(merged(SERVE, over or {}), release=release, namespace=namespace, helm=helm)


def download(over: Mapping[str, Any] | None = None) -> Objects:
    """The download release of :data:`DOWNLOAD` with ``over`` on top."""
    return template(merged(DOWNLOAD, over or {}), release="fetch", namespace="serving", helm=HELM)


def template(values: Values, *, release: str, namespace: str, helm: Path) -> Objects:
    """``helm template`` with exactly ``values``; raises ToolFailedError when helm refuses."""
    return _template(json.dumps(values, sort_keys=True), release, namespace, helm)


@cache
def _template(values: str, release: str, namespace: str, helm: Path) -> Objects:
    words = ["template", release, str(CHART), "--namespace", namespace, "--values", "-"]
    words += ["--kube-version", KUBERNETES]
    text = proc.run([helm, *words], stdin=values).stdout
    return Objects(text, tuple(Manifest(document.body) for document in parse_all(text)))


def refusal(values: Values, *, release: str = "vllm", helm: Path = HELM) -> str:
    """What helm says when it refuses ``values``, without its own frame around the text."""
    try:
        template(values, release=release, namespace="serving", helm=helm)
    except ToolFailedError as error:
        text = str(error).partition("\n")[2]
        text = re.sub(r"^Error: (execution error at \([^)]*\): )?", "", text)
        return text.replace("Use --debug flag to render out invalid YAML", "").strip()
    msg = "helm rendered what it should refuse"
    raise AssertionError(msg)


def refused(over: Mapping[str, Any], *, release: str = "vllm") -> str:
    """What helm says about the serving release with ``over`` on top."""
    return refusal(merged(SERVE, over), release=release)


def notes(values: Values, release: str = "vllm") -> str:
    """The NOTES that an installation of ``values`` ends with."""
    words = ["install", release, str(CHART), "--namespace", "serving", "--values", "-"]
    done = proc.run([HELM, *words, "--dry-run=client"], stdin=json.dumps(values))
    return done.stdout.partition("NOTES:\n")[2].rstrip()
