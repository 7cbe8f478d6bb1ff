"""The verb ``accept``: its words, its JSON, its exit codes."""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pylib.accept import Evidence
from pylib.accept.model import Read
from pylib.cloud.faults import CallError, Kind
from pylib.errors import ConfigError
from pylib.verbs import accept as verb
from tests.unit.accepted import CONFIG, NODE, evidence
from tests.unit.cluster_objects import CONTEXT


@dataclass
class Cluster:
    """Stands for connecting and reading: remembers with what."""

    context: str = CONTEXT
    evidence: Evidence = field(default_factory=evidence)
    taken: dict[str, Any] = field(default_factory=dict)
    project: Any = "a project"

    def connect(self, kubeconfig: Path | None, context: str | None) -> Cluster:
        """Itself."""
        self.taken["where"] = (kubeconfig, context)
        return self

    def cloud(self, project: str, **how: Any) -> Any:
        """The project, or why there is no way to it."""
        self.taken["project"] = (project, how["endpoint"])
        if isinstance(self.project, CallError):
            raise self.project
        return self.project

    def take(self, _: Any, cloud: Read[Any], *__: Any, **how: Any) -> Evidence:
        """What is there."""
        self.taken |= {"cloud": cloud, **how}
        return self.evidence


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """In place of clusters and projects."""
    found = Cluster()
    monkeypatch.setattr("pylib.kube.Kube.connect", found.connect)
    monkeypatch.setattr("pylib.cloud.gcp.connect", found.cloud)
    monkeypatch.setattr("pylib.accept.take", found.take)
    return found


def run(folder: Path, *words: str, text: str = CONFIG) -> tuple[int, str]:
    """Exit code and output."""
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    parser = argparse.ArgumentParser()
    verb.arguments(parser)
    out = io.StringIO()
    return verb.run(parser.parse_args(["-f", str(file), *words]), out), out.getvalue()


def test_when_all_passes_the_exit_code_is_0_and_each_check_is_a_line(
    cluster: Cluster, tmp_path: Path
) -> None:
    code, text = run(tmp_path)
    lines = text.splitlines()
    assert code == 0
    assert lines[0].startswith(f"v in namespace inference of {CONTEXT}, 20")
    assert lines[1] == (
        "passed    baked image, image vllm-v0-33-0: id 7, READY, bake-phase: published"
    )
    assert "11 passed, 0 failed, 0 unchecked" in lines
    assert any(line.startswith("  weights: predicted 34 s, limited by disk") for line in lines)
    assert cluster.taken["namespace"] == "inference"
    assert cluster.taken["timeout"] == 120.0
    assert cluster.taken["config_file"] == str(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("spoilt", "state", "why"),
    [
        ({"vms": {NODE: Read[Any](None, "denied")}}, "unchecked", "denied"),
        ({"images": {}}, "unchecked", "it was not read"),
    ],
)
def test_what_could_not_be_checked_is_no_success(
    cluster: Cluster, tmp_path: Path, spoilt: dict[str, Any], state: str, why: str
) -> None:
    cluster.evidence = evidence(**spoilt)
    code, text = run(tmp_path, "--output", "json")
    found = json.loads(text)
    assert (code, found["counts"]) == (1, {"passed": 10, "failed": 0, "unchecked": 1})
    [check] = [it for it in found["checks"] if it["state"] == state]
    assert check["why"] == why
    assert check["next"].startswith("gcloud compute ")
    assert found["timeline"]["pods"][0]["prediction"]["actual"] == 0.5
    code, text = run(tmp_path)
    assert code == 1
    assert f"          {why}\n          gcloud compute " in text


def test_without_a_way_to_the_project_the_cluster_is_looked_at_all_the_same(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.project = CallError("credentials", Kind.CREDENTIALS, "none found")
    run(tmp_path, "--endpoint", "http://127.0.0.1:1", "--namespace", "else", "--timeout", "7")
    read = cluster.taken["cloud"]
    assert read.found is None
    assert read.why_not == "credentials: none found Run: gcloud auth application-default login"
    assert cluster.taken["project"] == ("my-project", "http://127.0.0.1:1")
    assert (cluster.taken["namespace"], cluster.taken["timeout"]) == ("else", 7.0)


def test_another_cluster_than_the_configs_is_refused_unless_it_is_named(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.context = "gke_my-project_us-east1_other"
    with pytest.raises(ConfigError, match="is not the config's cluster"):
        run(tmp_path)
    assert run(tmp_path, "--context", cluster.context)[0] == 0


def test_a_download_has_nothing_to_accept(cluster: Cluster, tmp_path: Path) -> None:
    text = "\n".join(CONFIG.splitlines()[:6]).replace("version: 1", "version: 1\nmode: download")
    with pytest.raises(ConfigError, match="nothing serves to accept"):
        run(tmp_path, text=text)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_timeout_is_a_number_of_seconds(tmp_path: Path, seconds: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, "--timeout", seconds)
    assert caught.value.code == 2
