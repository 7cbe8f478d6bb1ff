"""The verb: which release it looks at, what it prints, how it ends."""

from __future__ import annotations

import argparse
import json
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from pylib.errors import ConfigError
from pylib.kube import Kube
from pylib.snapshot import Snapshot, from_json, to_json
from pylib.snapshot.model import Revision, Unread
from pylib.verbs import observe
from tests.unit.cluster_objects import CONTEXT, FIXTURES, Json, body, node, ready, snapshot, waiting

HEALTHY = FIXTURES / "healthy.json"
BROKEN = FIXTURES / "zone_without_nodes.json"


class Terminal(StringIO):
    """An output that is a terminal."""

    def isatty(self) -> bool:
        return True


def run(*words: str | Path, out: StringIO | None = None) -> tuple[int, str]:
    """Exit code and output."""
    parser = argparse.ArgumentParser()
    observe.arguments(parser)
    target = out or StringIO()
    code = observe.run(parser.parse_args([str(word) for word in words]), target)
    return code, target.getvalue()


class Cluster:
    """Stands for connecting and looking: remembers with what, and shows snapshots in turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *shown: Snapshot) -> None:
        self.shown = list(shown)
        self.connected: list[Any] = []
        self.taken: list[tuple[str, str]] = []
        self.pauses: list[float] = []
        monkeypatch.setattr(Kube, "connect", self._connect)
        monkeypatch.setattr("pylib.snapshot.reading.take", self._take)
        monkeypatch.setattr("time.sleep", self.pauses.append)

    def _connect(self, kubeconfig: Path | None = None, context: str | None = None) -> Kube:
        self.connected.append((kubeconfig, context))
        return cast("Kube", argparse.Namespace(namespace="from-context"))

    def _take(self, _: Kube, release: str, namespace: str) -> Snapshot:
        self.taken.append((release, namespace))
        return self.shown.pop(0)


def deployment(replicas: int | None = 1, ready: int = 0) -> Json:
    """A Deployment of so many pods."""
    wanted = {} if replicas is None else {"replicas": replicas}
    return body("Deployment", "v-a", {"spec": wanted, "status": {"readyReplicas": ready}})


STARTING = snapshot(deployment())
RUNNING = snapshot(deployment(ready=1), revisions=(Revision(3, "deployed"),))


# --- from a file ----------------------------------------------------------------------------------


def test_a_healthy_release_is_a_header_a_timeline_and_exit_code_0() -> None:
    code, text = run("--from", HEALTHY)
    assert code == 0
    first, blank, pod = text.splitlines()[:3]
    assert first == (
        f"v revision 1 in namespace inference of {CONTEXT}, 2026-11-24T01:26:57Z: 2 of 2 pods ready"
    )
    assert blank == ""
    assert pod.startswith("Pod/v-a-6b7f9c854b-br94x on gpu-2: ready in ")


def test_a_cause_is_the_second_line_the_next_command_the_third_and_the_exit_code_1() -> None:
    code, text = run("--from", BROKEN)
    assert code == 1
    assert text.splitlines()[1].startswith("error zone-mismatch Pod/v-a-")
    assert text.splitlines()[2].startswith("    set the cell's zone to us-central1-a in the values")


def test_what_could_not_be_read_is_said_in_a_line() -> None:
    code, text = run("--from", FIXTURES / "pods_only.json")
    assert code == 1
    assert "0 of 1 pods ready" in text.splitlines()[0]
    [line] = [line for line in text.splitlines() if line.startswith("could not be read")]
    assert line == (
        "could not be read: APIService, Deployment, Event, HorizontalPodAutoscaler, Job, "
        "LimitRange, Namespace, Node, PersistentVolumeClaim, ReplicaSet, ResourceQuota, "
        "ScaledObject, Service, helm's record of the release; --output json has the reasons"
    )


def test_the_json_has_all_of_it() -> None:
    code, text = run("--from", BROKEN, "--output", "json")
    assert code == 1
    found = json.loads(text)
    assert {key: found[key] for key in ("version", "release", "revision", "ready", "wanted")} == {
        "version": 1,
        "release": "v",
        "revision": 1,
        "ready": 0,
        "wanted": 1,
    }
    [cause] = found["causes"]
    assert (cause["code"], cause["severity"]) == ("zone-mismatch", "error")
    assert [phase["name"] for phase in found["timeline"]["pods"][0]["phases"]] == ["scheduling"]
    _, hidden = run("--from", FIXTURES / "pods_only.json", "--output", "json")
    assert json.loads(hidden)["unread"][0]["what"] == "APIService"


def test_the_chart_goes_into_a_file(tmp_path: Path) -> None:
    target = tmp_path / "start.svg"
    code, text = run("--from", HEALTHY, "--output", "svg", "-o", target)
    assert (code, text) == (0, "")
    assert target.read_text(encoding="utf-8").startswith('<svg xmlns="http://www.w3.org/2000/svg"')


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31merror\x1b[0m" in run("--from", BROKEN, out=Terminal())[1]
    assert "\x1b" not in run("--from", BROKEN)[1]
    target = tmp_path / "report"
    run("--from", BROKEN, "-o", target, out=Terminal())
    assert "\x1b" not in target.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [],
            "observe: 1 problem\nobserve: needs one release\n    Name a config with -f, a release "
            "with --release, or a snapshot with --from.",
        ),
        (
            ["--release", "v", "--from", "x"],
            "observe: 1 problem\nobserve: needs one release\n    Name a config with -f, a release "
            "with --release, or a snapshot with --from.",
        ),
        (
            ["--from", "x", "--watch", "5"],
            "observe: 1 problem\nobserve: --watch: a snapshot does not change\n    Drop --watch, "
            "or --from.",
        ),
        (
            ["--from", "/nowhere/x.json"],
            "/nowhere/x.json: 1 problem\n/nowhere/x.json: cannot be read: No such file or directory"
            "\n    Name a file that `python -m pylib observe --save FILE` wrote.",
        ),
    ],
    ids=["nothing", "two", "watch", "no file"],
)
def test_arguments_that_do_not_fit(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run(*words)
    assert str(caught.value) == message


def test_a_file_that_is_no_text_is_no_snapshot(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not JSON"):
        run("--from", file)


# --- from a cluster -------------------------------------------------------------------------------


def test_a_release_by_name_is_looked_for_in_the_contexts_namespace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(monkeypatch, RUNNING, RUNNING)
    assert run("--release", "v")[0] == 0
    run("--release", "v", "--namespace", "other", "--context", "c", "--kubeconfig", "/k")
    assert cluster.connected == [(None, None), (Path("/k"), "c")]
    assert cluster.taken == [("v", "from-context"), ("v", "other")]


def test_a_release_by_config_has_its_own_namespace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = Path(__file__).resolve().parents[2] / "values" / "minimal" / "config.yaml"
    release = yaml.safe_load(config.read_text(encoding="utf-8"))["release"]
    cluster = Cluster(monkeypatch, RUNNING)
    run("-f", config)
    assert cluster.taken == [(release["name"], release["namespace"])]


def test_the_snapshot_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Cluster(monkeypatch, RUNNING)
    target = tmp_path / "bundle.json"
    run("--release", "v", "--save", target)
    assert from_json(target.read_text(encoding="utf-8")) == RUNNING
    assert to_json(RUNNING) == target.read_text(encoding="utf-8")


def test_watching_ends_when_the_release_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, STARTING, STARTING, RUNNING)
    out = Terminal()
    code, text = run("--release", "v", "--watch", "0.1", out=out)
    assert code == 0
    assert len(cluster.taken) == 3
    assert cluster.pauses == [1.0, 1.0], "no more than once a second"
    assert text.count("\x1b[H\x1b[2J") == 3
    plain = Cluster(monkeypatch, STARTING, RUNNING)
    assert "\x1b" not in run("--release", "v", "--watch", "30")[1]
    assert plain.pauses == [30.0]


def test_without_watching_it_looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, STARTING)
    assert run("--release", "v")[0] == 1
    assert cluster.pauses == []


@pytest.mark.parametrize(
    ("found", "counts", "code"),
    [
        (snapshot(deployment(None, ready=1)), "1 of 1", 0),
        (snapshot(deployment(0)), "0 of 0", 0),
        (snapshot(deployment(2, ready=1), deployment(1, ready=1)), "2 of 3", 1),
        (snapshot(body("Job", "d", {"status": {"succeeded": 1}})), "1 of 1", 0),
        (snapshot(body("Job", "d", {"spec": {"completions": 2}})), "0 of 2", 1),
        (snapshot(ready(), node(), unread=(Unread("Deployment", "no"),)), "1 of 1", 0),
        (snapshot(deployment(1, ready=1), waiting("no nodes available"), node()), "1 of 1", 1),
    ],
    ids=["default", "none", "some", "download", "downloading", "by its pods", "with an error"],
)  # fmt: skip
def test_what_is_ready(
    monkeypatch: pytest.MonkeyPatch, found: Snapshot, counts: str, code: int
) -> None:
    Cluster(monkeypatch, found)
    seen, text = run("--release", "v")
    assert text.splitlines()[0].endswith(f": {counts} pods ready")
    assert seen == code
