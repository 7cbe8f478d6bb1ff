"""The chart as a package: metadata, lint, both Helm versions, use as a subchart."""

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pylib import proc
from pylib.yamlio import parse_all, parse_one
from tests.chart.helmtool import CHART, DOWNLOAD, HELM, HELM3, SERVE, merged, serve, template
from tests.chart.test_autoscaling import KEDA, ON
from tests.chart.test_cells import TWO
from tests.chart.test_weights import CLAIM, NONE

METADATA = parse_one((CHART / "Chart.yaml").read_text()).body
CASES: dict[str, dict[str, Any]] = {
    "disk": SERVE,
    "cells": merged(SERVE, TWO),
    "claim": merged(SERVE, CLAIM),
    "none": merged(SERVE, NONE),
    "scaled": merged(SERVE, ON),
    "keda": merged(SERVE, KEDA),
    "download": DOWNLOAD,
}


@pytest.mark.parametrize("values", CASES.values(), ids=list(CASES))
def test_helm_3_and_helm_4_render_the_same(values: dict[str, Any]) -> None:
    three, four = (
        template(values, release="vllm", namespace="serving", helm=helm) for helm in (HELM3, HELM)
    )
    assert [m.body for m in three.manifests] == [m.body for m in four.manifests]


@pytest.mark.parametrize("values", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("helm", [HELM, HELM3], ids=["helm 4", "helm 3"])
def test_lint_finds_nothing(values: dict[str, Any], helm: Path) -> None:
    words = ["lint", str(CHART), "--strict", "--quiet", "--values", "-"]
    assert proc.run([helm, *words], stdin=json.dumps(values)).stdout.strip() == ""


def test_rendering_twice_gives_the_same_text() -> None:
    words = [str(HELM), "template", "vllm", str(CHART), "--values", "-"]
    texts = {proc.run(words, stdin=json.dumps(merged(SERVE, TWO))).stdout for _ in range(3)}
    assert len(texts) == 1


def test_a_parent_chart_may_hold_it(tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    (parent / "charts").mkdir(parents=True)
    (parent / "charts" / "vllm-fast-start").symlink_to(CHART)
    (parent / "Chart.yaml").write_text("apiVersion: v2\nname: parent\nversion: 1.0.0\n")
    values = {"global": {"region": "us"}, "vllm-fast-start": SERVE}
    words = [str(HELM), "template", "vllm", str(parent), "--namespace", "serving", "--values", "-"]
    text = proc.run(words, stdin=json.dumps(values)).stdout
    assert [d.body for d in parse_all(text)] == [m.body for m in serve().manifests]


def test_the_package_holds_what_an_installation_needs_and_no_sources_of_the_schema(
    tmp_path: Path,
) -> None:
    proc.run([HELM, "package", CHART, "--destination", tmp_path])
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as package:
        names = {name.removeprefix("vllm-fast-start/") for name in package.getnames()}
    assert {
        "Chart.yaml",
        "README.md",
        "CHANGELOG.md",
        "values.yaml",
        "values.schema.json",
        "files/check_weights.py",
        "files/download/__main__.py",
        "templates/weights/_disk.tpl",
    } <= names
    assert not any(name.startswith("schema/") or "__pycache__" in name for name in names)


def test_the_changelog_has_an_entry_for_this_version() -> None:
    changelog = (CHART / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert METADATA["version"] in headings


def test_artifact_hubs_images_are_the_default_ones() -> None:
    images = parse_one(METADATA["annotations"]["artifacthub.io/images"]).body
    pod = serve()
    job = template(DOWNLOAD, release="x", namespace="y", helm=HELM).one("Job")
    assert {image["image"] for image in images} == {
        pod.server()["image"],
        pod.one("Pod").get("spec", "containers", 0)["image"],
        job.get("spec", "template", "spec", "containers", 0)["image"],
    }
    assert METADATA["annotations"]["artifacthub.io/license"] == "Apache-2.0"
    kinds = {c["kind"] for c in parse_one(METADATA["annotations"]["artifacthub.io/changes"]).body}
    assert kinds <= {"added", "changed", "deprecated", "removed", "fixed", "security"}


def test_an_older_cluster_is_refused() -> None:
    words = [str(HELM), "template", "vllm", str(CHART), "--kube-version", "1.29.9", "--values", "-"]
    done = proc.run(words, stdin=json.dumps(SERVE), ok_codes=(1,))
    assert "chart requires kubeVersion: >=1.30.0-0 which is incompatible with" in done.stderr
    gke = [*words[:5], "1.30.1-gke.1329000", *words[6:]]
    assert proc.run(gke, stdin=json.dumps(SERVE)).code == 0
