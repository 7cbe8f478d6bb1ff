"""What kwok does to nodes and pods, and after which time a pod of a cell is ready."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import yaml

from pylib.errors import KubeError
from pylib.kube import Body, Kube
from pylib.manifests import Manifest
from pylib.sizing import BOOT_SECONDS, load_seconds

_FOLDER = Path(__file__).with_name("stage_files")
_GROUP = "kwok.x-k8s.io"
_VERSION = f"{_GROUP}/v1alpha1"
_KWOK_LEARNS = 0.5
"""Seconds: kwok follows the stages by a watch, and nothing says how far it is."""
_CELL = '.metadata.labels["cell"]'


def stage_crd() -> Body:
    """kwok's Stage as a custom resource; the fields are kwok's to check."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"stages.{_GROUP}"},
        "spec": {
            "group": _GROUP,
            "scope": "Cluster",
            "names": {"kind": "Stage", "plural": "stages", "singular": "stage"},
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": True,
                        }
                    },
                }
            ],
        },
    }


class Stages:
    """The stages of one cluster; pods of cells that nobody sized are ready at once."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._delays: dict[str, float] = {}

    def install(self) -> None:
        """Put all stages into the cluster."""
        for file in sorted(_FOLDER.glob("*.yaml")):
            if file.stem != "pod-ready":
                self._kube.apply(_read(file))
        self._apply_default()

    def ready_after(self, cell: str, seconds: float) -> None:
        """Pods of a cell are ready so many seconds after they run."""
        self._delays[cell] = seconds
        self._apply_default()
        own = {"key": _CELL, "operator": "In", "values": [cell]}
        self._kube.apply(_ready(f"pod-ready-{cell}", seconds, own), force=True)
        time.sleep(_KWOK_LEARNS)

    def never_ready(self, cell: str) -> None:
        """Pods of a cell run, and are never ready."""
        self.ready_after(cell, 10**7)

    def reset(self) -> None:
        """All pods are ready at once again."""
        cells, self._delays = list(self._delays), {}
        self._apply_default()
        for cell in cells:
            self._kube.delete(_VERSION, "Stage", f"pod-ready-{cell}")
        if cells:
            time.sleep(_KWOK_LEARNS)
        for cell in cells:
            self._look_again(cell)

    def _look_again(self, cell: str) -> None:
        """kwok keeps to the delay that a pod began with, until the pod changes."""
        now = {"metadata": {"annotations": {"bed/stages-reset": str(time.time())}}}
        for pod in self._kube.list("v1", "Pod", labels=f"cell={cell}"):
            meta = pod["metadata"]
            with contextlib.suppress(KubeError):  # it may have gone meanwhile
                self._kube.patch("v1", "Pod", meta["name"], meta["namespace"], now)

    def _apply_default(self) -> None:
        others = [{"key": _CELL, "operator": "NotIn", "values": sorted(self._delays)}]
        self._kube.apply(_ready("pod-ready", 0.1, *(others if self._delays else [])), force=True)


def _ready(name: str, seconds: float, *selectors: dict[str, Any]) -> Body:
    stage = _read(_FOLDER / "pod-ready.yaml")
    stage["metadata"]["name"] = name
    stage["spec"]["selector"]["matchExpressions"] += selectors
    stage["spec"]["delay"]["durationMilliseconds"] = round(seconds * 1000)
    return stage


def _read(file: Path) -> Body:
    body: Body = yaml.safe_load(file.read_text(encoding="utf-8"))
    return body


def predicted_seconds(deployment: Manifest, volume: Manifest) -> float:
    """Seconds that sizing predicts for a pod of a rendered cell: its weights, and vLLM's start."""
    facts = deployment.get("metadata", "annotations")
    gib = int(volume.get("spec", "capacity", "storage").removesuffix("Gi"))
    options = volume.get("spec", "mountOptions") or []
    ahead = [int(o.partition("=")[2]) for o in options if o.startswith("read_ahead_kb=")]
    estimate = load_seconds(
        float(facts["vllm-fast-start/model-size-gib"]),
        volume.get("metadata", "annotations")["vllm-fast-start/disk-type"],
        gib,
        read_ahead_kib=ahead[0] if ahead else 128,
        machine=facts.get("vllm-fast-start/machine-type"),
    )
    return estimate.seconds + BOOT_SECONDS
