"""Objects beside the release: they pass validate, and only what differs is applied."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pylib.config.model import ComputeClass, Config, Provisioning
from pylib.config.parse import load_config
from pylib.kube import Body
from pylib.lock import CachedImage, Lock, LockedCache
from pylib.manifests import Manifest
from pylib.provision.objects import adapter, covers, wanted_objects
from pylib.validate.checking import validate_manifests

CASES = Path("values")
IMAGE = "docker.io/vllm/vllm-openai:v0.33.0"
CACHE = LockedCache(
    project="images-project", name="vllm-v0-33-0", images=(CachedImage(reference=IMAGE),)
)


def _config(case: str, **cell: Any) -> Config:
    config = load_config(CASES / case / "config.yaml")
    cells = tuple(it.model_copy(update=cell) for it in config.cells)
    return config.model_copy(update={"cells": cells})


def _kinds(bodies: list[Body]) -> list[str]:
    return [str(body["kind"]) for body in bodies]


def _with_class(**cell: Any) -> list[Body]:
    own = {"computeClass": ComputeClass(name="l4", existing=False), "nodePool": None}
    config = _config("gemma-7b-fast", **own, **cell)
    return wanted_objects(config, Lock(version=1, imageCache=CACHE))


def test_a_cell_with_a_class_gets_it_and_the_images_that_gke_may_use() -> None:
    allowlist, found = _with_class()
    assert allowlist["spec"] == {
        "allowedResourcePatterns": ["projects/images-project/global/images/.*"]
    }
    [priority] = found["spec"]["priorities"]
    assert priority["storage"]["secondaryBootDisks"] == [
        {
            "diskImageName": "vllm-v0-33-0",
            "project": "images-project",
            "mode": "CONTAINER_IMAGE_CACHE",
        }
    ]
    assert priority["gpu"] == {"type": "nvidia-l4", "count": 2, "driverVersion": "latest"}


@pytest.mark.parametrize(
    ("cell", "bought"),
    [
        ({"provisioning": Provisioning.SPOT}, {"spot": True}),
        ({"provisioning": Provisioning.FLEX_START}, {"flexStart": {"enabled": True}}),
        (
            {"provisioning": Provisioning.RESERVATION, "reservation": "mine"},
            {"reservations": {"affinity": "Specific", "specific": [{"name": "mine"}]}},
        ),
    ],
)
def test_a_class_buys_nodes_as_the_cell_says(cell: dict[str, Any], bought: Body) -> None:
    [priority] = _with_class(**cell)[1]["spec"]["priorities"]
    assert {**priority, **bought} == priority


def test_a_class_that_exists_is_not_made() -> None:
    config = _config("keda-from-zero")
    assert _kinds(wanted_objects(config, Lock(version=1))) == []
    assert _kinds(wanted_objects(config, Lock(version=1, imageCache=CACHE))) == [
        "GCPResourceAllowlist"
    ]


def test_the_adapter_comes_where_the_autoscaler_asks_it_and_nowhere_else() -> None:
    tutorial = _kinds(wanted_objects(_config("gemma-7b-tutorial"), Lock(version=1)))
    assert tutorial == _kinds(adapter())
    assert tutorial[0] == "Namespace"
    assert tutorial[-2:] == ["APIService", "APIService"]
    assert wanted_objects(_config("gemma-7b-fast"), Lock(version=1)) == []


def test_what_is_applied_passes_validate() -> None:
    bodies = [*_with_class(), *wanted_objects(_config("gemma-7b-tutorial"), Lock(version=1))]
    manifests = [Manifest(body) for body in bodies]
    report = validate_manifests(
        tuple(manifests), today=date(2026, 1, 1), kubernetes="1.36", waivers=()
    )
    assert [it for it in report.findings if it.severity == "error"] == []


def test_what_the_server_filled_in_is_no_difference() -> None:
    wanted = {"spec": {"ports": [{"port": 443}], "selector": {"a": "b"}}}
    live = {"spec": {"ports": [{"port": 443, "nodePort": 1}], "selector": {"a": "b"}, "x": 1}}
    assert covers(live, wanted)
    assert not covers({"spec": {"ports": []}}, wanted)
    assert not covers({"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}, wanted)
    assert not covers(None, wanted)
