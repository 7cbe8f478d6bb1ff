"""The table of rules, and the objects that rules look at."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from pylib.errors import ConfigError
from pylib.manifests import Manifest
from pylib.validate.explain import explain, require, rule_list
from pylib.validate.report import Finding, Severity
from pylib.validate.rules import RULES, registry
from pylib.validate.rules.objects import (
    Container,
    Context,
    Hit,
    Objects,
    at,
    each,
    same_namespace,
    selects,
    texts,
)
from pylib.validate.rules.registry import Rule, declare, rule, run


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, Rule]:
    """An empty table, for rules of a test's own."""
    empty: dict[str, Rule] = {}
    monkeypatch.setattr(registry, "RULES", empty)
    return empty


def workload(kind: str, name: str = "a", namespace: str = "", **spec: Any) -> Manifest:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    body = {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return Manifest(body, "a.yaml", 3, {("spec",): 5, ("spec", "x"): 7})


def template(labels: object = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": labels or {}, "annotations": {"n": 1}}, "spec": spec}


# -- the table


def test_hit_becomes_a_finding_of_its_rule(table: dict[str, Rule]) -> None:
    @rule(name="a-rule", severity=Severity.ERROR, summary="s", explain="e")
    def check(objects: Objects) -> Iterator[Hit]:
        for owner in objects.of_kind("Job"):
            yield at(owner, "spec", "x", 0, message="one", fix="two")
            yield at(owner, message="three", severity=Severity.NOTE)

    job = workload("Job", namespace="n")
    assert list(run(Objects([job]))) == [
        Finding("a-rule", Severity.ERROR, "one", "two", "Job/n/a", "spec.x[0]", "a.yaml", 7),
        Finding("a-rule", Severity.NOTE, "three", "", "Job/n/a", "", "a.yaml", 3),
    ]
    assert table["a-rule"].check is check


def test_rules_run_in_order_or_by_name(table: dict[str, Rule]) -> None:
    for name in ("b", "a", "c"):

        @rule(name=name, severity=Severity.ERROR, summary="s", explain="e")
        def check(objects: Objects, said: str = name) -> Iterator[Hit]:
            yield at(objects.all[0], message=said)

    objects = Objects([workload("Job")])
    assert [finding.message for finding in run(objects)] == ["b", "a", "c"]
    assert [finding.message for finding in run(objects, {"c", "b"})] == ["b", "c"]
    assert list(run(objects, ())) == []


def test_declared_rule_finds_nothing_by_itself(table: dict[str, Rule]) -> None:
    declared = declare(name="a", severity=Severity.NOTE, summary="s", explain="e")
    assert table == {"a": declared}
    assert list(declared.findings(Objects([workload("Job")]))) == []


@pytest.mark.parametrize("name", ["", "A", "a_b", "a--b", "-a", "a b", "ä"])
def test_rule_name_is_in_kebab_case(table: dict[str, Rule], name: str) -> None:
    with pytest.raises(ValueError, match="is not in kebab case"):
        declare(name=name, severity=Severity.NOTE, summary="s", explain="e")


def test_rule_name_is_given_once(table: dict[str, Rule]) -> None:
    declare(name="a-rule", severity=Severity.NOTE, summary="s", explain="e")
    with pytest.raises(ValueError, match="rule name 'a-rule' is taken"):
        declare(name="a-rule", severity=Severity.NOTE, summary="s", explain="e")


@pytest.mark.parametrize("name", list(RULES))
def test_rule_is_explained(name: str) -> None:
    found = RULES[name]
    assert found.name == name
    assert found.summary == found.summary.strip()
    assert "\n" not in found.summary
    assert not found.summary.endswith(".")
    assert len(found.explain) > 80
    assert found.explain.endswith(".")


# -- words about rules


def test_explanation_has_name_severity_summary_and_reasons() -> None:
    text = explain("unknown-kind")
    head, empty, body = text.partition("\n\n")
    assert head == "unknown-kind (error): Kubernetes serves the object's kind in its apiVersion"
    assert empty
    assert re.sub(r"\s+", " ", body).strip() == RULES["unknown-kind"].explain
    assert max(map(len, text.splitlines())) <= 88


def test_unknown_rule_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        explain("unknown-kinds")
    assert str(caught.value) == (
        "command line: 1 problem\n"
        "command line: rule: there is no rule 'unknown-kinds'\n"
        "    Did you mean unknown-kind?"
    )


def test_all_unknown_rules_are_told() -> None:
    with pytest.raises(ConfigError, match="2 problems"):
        require(["schema", "xyzzy", "qqq"])


def test_list_has_a_line_for_each_rule_by_name() -> None:
    lines = rule_list().splitlines()
    assert [line.split()[0] for line in lines] == sorted(RULES)
    width = max(map(len, RULES))
    assert f"{'schema':<{width}}  error    An object matches the schema of its kind" in lines


# -- the objects


def test_kinds_are_found_in_order() -> None:
    a, b, c = workload("Job", "a"), workload("Deployment", "b"), workload("Job", "c")
    objects = Objects([a, b, c])
    assert objects.all == (a, b, c)
    assert objects.of_kind("Deployment", "Job", "Pod") == (b, a, c)
    assert objects.of_kind("Pod") == ()


def test_context_is_empty_unless_given() -> None:
    assert Objects([]).context == Context()
    assert Objects([], Context(kubernetes="1.36")).context.kubernetes == "1.36"


def test_object_is_found_by_name_its_own_namespace_first() -> None:
    anywhere, there, other = (workload("Job", "a", space) for space in ("", "x", "y"))
    objects = Objects([anywhere, other, there])
    assert objects.by_name("Job", "x", "a") is there
    assert objects.by_name("Job", "z", "a") is anywhere
    assert objects.by_name("Job", "", "a") is anywhere
    assert Objects([there]).by_name("Job", "", "a") is there
    assert Objects([there]).by_name("Job", "z", "a") is None
    assert objects.by_name("Job", "x", "b") is None
    assert objects.by_name("Pod", "x", "a") is None


@pytest.mark.parametrize(
    ("kind", "spec", "paths"),
    [
        ("Deployment", {"template": template()}, [("spec", "template")]),
        ("Job", {"template": template()}, [("spec", "template")]),
        (
            "CronJob",
            {"jobTemplate": {"spec": {"template": template()}}},
            [("spec", "jobTemplate", "spec", "template")],
        ),
        (
            "LeaderWorkerSet",
            {"leaderWorkerTemplate": {"workerTemplate": template()}},
            [("spec", "leaderWorkerTemplate", "workerTemplate")],
        ),
        (
            "LeaderWorkerSet",
            {"leaderWorkerTemplate": {k: template() for k in ("leaderTemplate", "workerTemplate")}},
            [
                ("spec", "leaderWorkerTemplate", "leaderTemplate"),
                ("spec", "leaderWorkerTemplate", "workerTemplate"),
            ],
        ),
        ("Pod", {}, [()]),
        ("Service", {"template": template()}, []),
        ("Deployment", {}, []),
        ("Deployment", {"template": []}, []),
        ("Deployment", {"template": {"spec": "x"}}, []),
    ],
)
def test_pod_templates_of_each_kind(
    kind: str, spec: dict[str, Any], paths: list[tuple[str, ...]]
) -> None:
    owner = workload(kind, **spec)
    assert [pod.path for pod in Objects([owner]).pods()] == paths
    assert [pod.path for pod in Objects([]).pods_of(owner)] == paths


def test_pod_template_knows_itself() -> None:
    owner = workload("Deployment", namespace="n", template=template({"app": 1}, nodeName="x"))
    (pod,) = Objects([owner]).pods()
    assert (pod.namespace, pod.labels, pod.annotations) == ("n", {"app": "1"}, {"n": "1"})
    assert (pod.get("nodeName"), pod.get("zone", default="none")) == ("x", "none")
    assert pod.at("nodeName", message="m") == at(
        owner, "spec", "template", "spec", "nodeName", message="m"
    )


def test_containers_come_init_containers_first() -> None:
    spec = {"containers": [{"name": "b"}, "no map"], "initContainers": [{"name": "a"}]}
    (pod,) = Objects([workload("Deployment", template=template(**spec))]).pods()
    containers = list(pod.containers())
    assert [(c.name, c.init) for c in containers] == [("a", True), ("b", False)]
    assert [c.name for c in pod.containers(init=False)] == ["b"]


def test_container_knows_itself() -> None:
    spec = {"containers": [{}, {"ports": [{"containerPort": 80}]}]}
    owner = workload("Job", template=template(**spec))
    (pod,) = Objects([owner]).pods()
    container: Container = list(pod.containers())[1]
    assert container.name == ""
    assert container.get("ports", 0, "containerPort") == 80
    assert container.get("image", default="none") == "none"
    path = ("spec", "template", "spec", "containers", 1, "image")
    assert container.at("image", message="m", fix="f") == at(owner, *path, message="m", fix="f")


def test_pods_are_found_by_their_labels() -> None:
    def pod(name: str, labels: dict[str, str], namespace: str = "") -> Manifest:
        return workload("Deployment", name, namespace, template=template(labels))

    objects = Objects(
        [
            pod("a", {"app": "x", "cell": "1"}),
            pod("b", {"app": "x", "cell": "2"}, "n"),
            pod("c", {"app": "y"}),
        ]
    )

    def matching(labels: dict[str, Any], namespace: str = "") -> list[str]:
        return [pod.owner.name for pod in objects.pods_matching(labels, namespace)]

    def selected(selector: object, namespace: str = "") -> list[str]:
        return [pod.owner.name for pod in objects.pods_selected(selector, namespace)]

    assert matching({"app": "x"}) == ["a", "b"]
    assert matching({"app": "x"}, "other") == ["a"]
    assert matching({"app": "x", "cell": 2}) == ["b"]
    assert matching({"app": "x", "zone": "1"}) == []
    assert matching({}) == []
    assert selected({"matchLabels": {"app": "x"}}, "other") == ["a"]
    assert selected({}) == ["a", "b", "c"]
    assert selected({"matchExpressions": [{"key": "cell", "operator": "Exists"}]}) == ["a", "b"]
    two = {"matchLabels": {"app": "x"}, "matchExpressions": [{"key": "cell", "operator": "Exists"}]}
    assert selected(two) == ["a", "b"]
    assert selected(None) == []


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ({"key": "a", "operator": "In", "values": ["1", 2]}, True),
        ({"key": "a", "operator": "In", "values": ["2"]}, False),
        ({"key": "a", "operator": "NotIn", "values": ["2"]}, True),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, False),
        ({"key": "b", "operator": "NotIn", "values": ["1"]}, True),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "b", "operator": "Exists"}, False),
        ({"key": "b", "operator": "DoesNotExist"}, True),
        ({"key": "a", "operator": "DoesNotExist"}, False),
        ({"key": "a", "operator": "In", "values": "1"}, False),
        ({"key": "a", "operator": "Like"}, False),
        ({}, False),
    ],
)
def test_expression_of_a_selector(expression: dict[str, Any], fits: bool) -> None:
    assert selects({"matchExpressions": [expression]}, {"a": "1"}) is fits


def test_selector_needs_all_its_labels() -> None:
    labels = {"a": "1", "b": "2"}
    assert selects({}, {})
    assert selects({"matchLabels": {"a": 1, "b": "2"}}, labels)
    assert not selects({"matchLabels": {"a": "1", "c": "3"}}, labels)
    assert not selects(["a"], labels)


def test_namespaces_that_can_be_one() -> None:
    assert same_namespace("", "a")
    assert same_namespace("a", "")
    assert same_namespace("a", "a")
    assert not same_namespace("a", "b")


def test_malformed_parts_are_left_out() -> None:
    owner = workload("Job", x=[{"a": 1}, "b", None, {"c": 2}], y="text")
    assert list(each(owner, "spec", "x")) == [(0, {"a": 1}), (3, {"c": 2})]
    assert list(each(owner, "spec", "y")) == []
    assert list(each({"x": [{}]}, "x")) == [(0, {})]
    assert texts({"a": 1, 2: None}) == {"a": "1", "2": "None"}
    assert texts(["a"]) == {}
