"""The bridge to kubeconform: what it is given, what its answers become, and what is never lost."""

import json
import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pylib import proc
from pylib.errors import ToolFailedError
from pylib.manifests import Manifest
from pylib.proc import Completed
from pylib.validate.kubeconform import check, judge
from pylib.validate.report import Severity
from pylib.validate.schemas import Schemas

Run = Callable[..., Completed]


def config_map(name: str, **fields: Any) -> Manifest:
    return Manifest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **fields})


def monitoring(name: str, port: object = "http") -> Manifest:
    spec = {"selector": {}, "endpoints": [{"port": port, "interval": "15s"}]}
    return Manifest(
        {
            "apiVersion": "monitoring.googleapis.com/v1",
            "kind": "PodMonitoring",
            "metadata": {"name": name},
            "spec": spec,
        }
    )


class Spy:
    """Runs kubeconform for real and keeps what it was given."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.documents: list[dict[str, Any]] = []
        self._run = proc.run

    def __call__(self, command: Sequence[str | Path], **options: Any) -> Completed:
        if "-output" in command:
            self.commands.append([str(part) for part in command])
            text = Path(command[-1]).read_text(encoding="utf-8")
            self.documents += [json.loads(part) for part in text.split("\n---\n")]
        return self._run(command, **options)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    spy = Spy()
    monkeypatch.setattr(proc, "run", spy)
    return spy


def answering(monkeypatch: pytest.MonkeyPatch, stdout: str, stderr: str = "") -> None:
    run = proc.run

    def fake(command: Sequence[str | Path], **options: Any) -> Completed:
        if "-output" not in command:
            return run(command, **options)
        return Completed(1, stdout, stderr)

    monkeypatch.setattr(proc, "run", fake)


def report(summary: dict[str, int], *resources: dict[str, str]) -> str:
    return json.dumps({"resources": resources, "summary": summary})


def test_no_objects_need_no_kubeconform(spy: Spy) -> None:
    assert check([], "1.36") == ([], [])
    assert spy.commands == []


def test_one_process_looks_at_all_objects_and_never_at_the_network(spy: Spy) -> None:
    check([config_map("a"), monitoring("b"), config_map("c", data={"x": "y"})], "1.36")
    (command,) = spy.commands
    assert command[command.index("-n") + 1] == str(2 * (os.cpu_count() or 1))
    assert command[1:5] == ["-strict", "-output", "json", "-summary"]
    locations = [after for before, after in pairwise(command) if before == "-schema-location"]
    assert locations == [Schemas("1.36").location]
    assert "http" not in locations[0]


def test_objects_of_one_shape_are_looked_at_once(spy: Spy) -> None:
    objects = [config_map(f"c{n}", data={"key": f"value {n}"}) for n in range(50)]
    assert check(objects, "1.36") == ([], [])
    assert spy.documents == [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "data": {"key": "value 0"},
            "metadata": {"name": "0"},
        }
    ]


def test_objects_whose_values_matter_are_all_looked_at(spy: Spy) -> None:
    findings, _ = check([monitoring("a"), monitoring("b"), monitoring("c", port="")], "1.36")
    assert len(spy.documents) == 3
    assert [finding.object for finding in findings] == ["PodMonitoring/c"]


def test_every_object_of_an_invalid_shape_gets_its_own_finding() -> None:
    objects = [config_map("a", immutable="yes"), config_map("b"), config_map("c", immutable="no")]
    findings, unchecked = check(objects, "1.36")
    assert [(f.object, f.message) for f in findings] == [
        ("ConfigMap/a", "'yes' is not true or false"),
        ("ConfigMap/c", "'no' is not true or false"),
    ]
    assert unchecked == []


def test_objects_of_one_name_are_told_apart() -> None:
    objects = [
        Manifest({**config_map("a", **fields).body, "metadata": {"name": "a", "namespace": space}})
        for space, fields in (("x", {}), ("y", {"immutable": 1}), ("z", {}))
    ]
    findings, _ = check(objects, "1.36")
    assert [finding.object for finding in findings] == ["ConfigMap/y/a"]


def test_misfits_are_the_fields_of_a_wrong_type() -> None:
    wrong = config_map("a", immutable="yes", data=["x"], zzz=1)
    judgement = judge([config_map("b"), wrong], Schemas("1.36"))
    assert judgement.misfits == {1: [("data",), ("immutable",)]}


def test_kubernetes_version_decides() -> None:
    cluster = Manifest(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": "a"},
            "spec": {"cidrs": ["10.0.0.0/8"]},
        }
    )
    assert check([cluster], "1.33") == ([], [])
    older, _ = check([cluster], "1.32")
    assert [finding.rule for finding in older] == ["unknown-kind"]


def test_note_on_a_schema_from_documentation_comes_once_for_each_kind() -> None:
    def allow(name: str, kind: str, spec: dict[str, Any], api: str) -> Manifest:
        return Manifest({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})

    classes = [allow(name, "ComputeClass", {}, "cloud.google.com/v1") for name in "ab"]
    lists = [
        allow("c", "GCPResourceAllowlist", {"allowedResourcePatterns": []}, "node.gke.io/v1"),
    ]
    findings, _ = check([*lists, *classes], "1.36")
    assert [(f.rule, f.severity, f.object) for f in findings] == [
        ("schema-from-documentation", Severity.NOTE, "ComputeClass/a"),
    ]


def test_objects_that_kubeconform_cannot_judge_are_unchecked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFS_CACHE_DIR", str(tmp_path))
    schema = Schemas("1.36").find("v1", "ConfigMap")
    assert schema is not None
    schema.path.write_text('{"title": "ConfigMap", "type": 7}', encoding="utf-8")
    findings, unchecked = check([config_map("a"), config_map("b")], "1.36")
    assert findings == []
    assert [(u.object, u.reason) for u in unchecked] == [
        (
            f"ConfigMap/{name}",
            f"kubeconform could not judge it with {schema.path}: "
            "could not find schema for ConfigMap",
        )
        for name in "ab"
    ]


def test_reason_of_kubeconform_stands_where_ours_finds_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = {"name": "0", "status": "statusInvalid", "msg": "at '/spec': odd"}
    answering(monkeypatch, report({"valid": 0, "invalid": 1}, answer))
    findings, _ = check([config_map("a")], "1.36")
    assert [(f.rule, f.message, f.path) for f in findings] == [("schema", "at '/spec': odd", "")]


def test_answer_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, report({"valid": 1, "invalid": 0, "errors": 0, "skipped": 0}))
    with pytest.raises(ToolFailedError) as caught:
        check([config_map("a"), monitoring("b")], "1.36")
    assert str(caught.value) == (
        "kubeconform answered for 1 of 2 objects; this is a bug, please report it."
    )


@pytest.mark.parametrize(
    ("stdout", "stderr", "said"),
    [
        ("", "panic: no", "panic: no"),
        ("usage", "", "usage"),
        ("", "", "nothing"),
        ("[]", "", "[]"),
        ('{"summary": {"valid": 1}}', "", '{"summary": {"valid": 1}}'),
        ('{"summary": {"valid": "x"}, "resources": []}', "odd", "odd"),
    ],
)
def test_output_that_is_no_report_is_an_error(
    monkeypatch: pytest.MonkeyPatch, stdout: str, stderr: str, said: str
) -> None:
    answering(monkeypatch, stdout, stderr)
    with pytest.raises(ToolFailedError) as caught:
        check([config_map("a")], "1.36")
    assert str(caught.value) == f"kubeconform did not report in JSON; it said: {said}"


def test_documents_are_gone_afterwards(spy: Spy) -> None:
    check([config_map("a")], "1.36")
    assert not Path(spy.commands[0][-1]).exists()


@pytest.mark.parametrize("text", ["\x00", "\x7f", "---\n- x", "{{x}}", "\u2028", "🚀", "a\\ud83d"])
def test_any_text_reaches_kubeconform_as_it_is(text: str) -> None:
    rules = Manifest(
        {
            "apiVersion": "monitoring.googleapis.com/v1",
            "kind": "Rules",
            "metadata": {"name": text, "annotations": {"a": text}},
            "spec": {"groups": [{"name": text, "rules": [{"alert": text, "expr": text}]}]},
        }
    )
    assert check([rules], "1.36") == ([], [])
