"""A further weights kind is one template and one schema branch, and touches nothing else."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pylib import chartdoc, proc
from pylib.errors import ToolFailedError
from pylib.manifests import Manifest
from pylib.yamlio import parse_all
from tests.chart.helmtool import CHART, HELM, SERVE, merged

_BRANCH = """
description: Weights in a bucket, streamed.
properties:
  uri: {type: string, pattern: "gs://.+", description: Folder of the model.}
selected:
  uri: {type: string, minLength: 1}
"""
_HOOKS = {
    "model": "{{ .root.Values.weights.stream.uri }}",
    "args": "- --load-format=runai_streamer",
    "env": "- {name: STREAM, value: '1'}",
    "volumes": "- {name: extra, emptyDir: {}}",
    "mounts": "- {name: extra, mountPath: /extra}",
    "initContainers": "",
    "usesScripts": "false",
    "egress": "",
    "ephemeralGiB": "0",
    "validate": '{{ if contains ".." .root.Values.weights.stream.uri }}No way up.{{ end }}',
    "notes": "",
    "names": "",
}


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """The chart with a kind ``stream`` beside the others."""
    copy = tmp_path / "vllm-fast-start"
    shutil.copytree(CHART, copy)
    hooks = [
        f'{{{{- define "vllm-fast-start.weights.stream.{name}" -}}}}\n{body}\n{{{{- end }}}}\n'
        for name, body in _HOOKS.items()
    ]
    (copy / "templates" / "weights" / "_stream.tpl").write_text("\n".join(hooks))
    (copy / "schema" / "weights" / "stream.yaml").write_text(_BRANCH)
    chartdoc.write(copy)
    return copy


def run(chart: Path, **stream: Any) -> tuple[Manifest, ...]:
    """Objects of a release of kind ``stream``."""
    values = merged(SERVE, {"weights": {"kind": "stream", "stream": stream}})
    text = proc.run([HELM, "template", "vllm", chart, "-f", "-"], stdin=json.dumps(values)).stdout
    return tuple(Manifest(document.body) for document in parse_all(text))


def test_the_new_kind_renders(chart: Path) -> None:
    (deployment,) = (m for m in run(chart, uri="gs://b/m") if m.kind == "Deployment")
    (server,) = deployment.get("spec", "template", "spec", "containers")
    assert server["args"][0] == "gs://b/m"
    assert "--load-format=runai_streamer" in server["args"]
    assert {"name": "STREAM", "value": "1"} in server["env"]
    assert "initContainers" not in deployment.get("spec", "template", "spec")


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ({}, "at '/weights/stream': missing property 'uri'"),
        ({"uri": "gs://b/m", "url": 1}, "additional properties 'url' not allowed"),
        ({"uri": "s3://b"}, "at '/weights/stream/uri': 's3://b' does not match pattern"),
        ({"uri": "gs://b/../m"}, "No way up."),
    ],
)
def test_the_new_kind_is_checked(chart: Path, stream: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolFailedError) as caught:
        run(chart, **stream)
    assert message in str(caught.value)


def test_the_new_kind_is_in_the_readme(chart: Path) -> None:
    readme = (chart / "README.md").read_text()
    assert "| `weights.stream.uri` | string |  | Folder of the model. |" in readme
