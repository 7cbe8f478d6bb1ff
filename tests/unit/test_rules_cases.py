"""Each rule on manifests that break it, and on near misses: tests/unit/rule_cases/<topic>.yaml.

A case starts from good.yaml, in which no rule finds anything, and changes it: ``set`` writes or
(with null) removes fields, ``drop`` removes objects, ``add`` adds some; or it brings its own
``manifests``.  ``findings`` is everything that its rule then says, and ``also`` names the other
rules that speak up.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pylib.manifests import Manifest
from pylib.validate.report import Finding
from pylib.validate.rules import RULES, registry
from pylib.validate.rules.objects import Context, Objects
from pylib.yamlio import parse_all, parse_one

FOLDER = Path(__file__).parent / "rule_cases"
GOOD = (FOLDER / "good.yaml").read_text(encoding="utf-8")
ALIASES = {
    "account": "ServiceAccount",
    "deployment": "Deployment",
    "hpa": "HorizontalPodAutoscaler",
    "pdb": "PodDisruptionBudget",
    "pod": "Deployment.spec.template.spec",
    "podmonitoring": "PodMonitoring",
    "policy": "NetworkPolicy",
    "pv": "PersistentVolume",
    "pvc": "PersistentVolumeClaim",
    "server": "Deployment.spec.template.spec.containers[0]",
    "service": "Service",
    "template": "Deployment.spec.template",
}
Case = Mapping[str, Any]
WRITTEN = [name for name, rule in RULES.items() if rule.check is not None]


def manifests(text: str) -> list[Manifest]:
    return [Manifest(d.body, "rendered.yaml", d.line, d.lines) for d in parse_all(text)]


def changed(bodies: Sequence[dict[str, Any]], change: str, value: Any) -> None:
    alias, _, rest = change.partition(".")
    kind, _, path = f"{ALIASES[alias]}.{rest}".partition(".")
    steps = [
        int(step[1:-1]) if step.startswith("[") else step
        for step in re.findall(r"[^.\[\]]+|\[\d+\]", path)
    ]
    node: Any = next(body for body in bodies if body["kind"] == kind)
    for step in steps[:-1]:
        node = node[step] if isinstance(step, int) else node.setdefault(step, {})
    if value is None:
        del node[steps[-1]]
    else:
        node[steps[-1]] = value


def prepared(case: Case) -> list[Manifest]:
    if "manifests" in case:
        return manifests(case["manifests"])
    bodies = [copy.deepcopy(dict(m.body)) for m in manifests(GOOD)]
    for change, value in case.get("set", {}).items():
        changed(bodies, change, value)
    dropped = [ALIASES[alias] for alias in case.get("drop", ())]
    kept = [Manifest(body, "rendered.yaml") for body in bodies if body["kind"] not in dropped]
    return [*kept, *manifests(case.get("add", ""))]


CASES: list[Case] = [
    case
    for file in sorted(FOLDER.glob("*.yaml"))
    if file.name != "good.yaml"
    for case in parse_one(file.read_text(encoding="utf-8")).body
]


def said(finding: Finding) -> dict[str, str]:
    told = {
        "object": finding.object,
        "path": finding.path,
        "message": finding.message,
        "fix": finding.fix,
    }
    usual = RULES[finding.rule].severity
    return told if finding.severity is usual else {**told, "severity": finding.severity.value}


def findings_of(case: Case) -> list[Finding]:
    objects = Objects(prepared(case), Context(**case.get("context", {})))
    names = {case["rule"]} if "manifests" in case else None
    return list(registry.run(objects, names))


@pytest.mark.fault("I9")  # secret-inline
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['rule']}: {case['case']}")
def test_rule_says_exactly_what_is_wrong(case: Case) -> None:
    found = findings_of(case)
    assert [said(f) for f in found if f.rule == case["rule"]] == case["findings"]
    others = sorted({f.rule for f in found} - {case["rule"]})
    assert others == case.get("also", [])


def test_nothing_is_found_in_good_manifests() -> None:
    assert list(registry.run(Objects(manifests(GOOD)))) == []


@pytest.mark.parametrize("name", WRITTEN)
def test_every_rule_has_a_case_that_breaks_it(name: str) -> None:
    assert any(case["findings"] for case in CASES if case["rule"] == name)


@pytest.mark.parametrize("name", WRITTEN)
def test_every_rule_explains_itself(name: str) -> None:
    rule = RULES[name]
    assert re.search(r"https://|@[0-9a-f]{7}|arXiv|pylib/", rule.explain)
    assert not rule.summary.endswith(".")
    assert rule.explain.endswith(".")


def test_every_finding_says_what_to_do() -> None:
    fixes = [finding.get("fix") for case in CASES for finding in case["findings"]]
    assert all(fix and fix.endswith(".") for fix in fixes)


def test_finding_has_file_and_line_of_its_field() -> None:
    text = GOOD.replace("read_ahead_kb=4096", "read_ahead_kb=128")
    [finding] = registry.run(Objects(manifests(text)))
    line = 1 + text[: text.index("read_ahead_kb=128")].count("\n")
    assert (finding.file, finding.line, finding.rule) == ("rendered.yaml", line, "pv-read-ahead")


ODD_VALUES: tuple[Any, ...] = (None, "x", -1, 1.5, True, [], {}, [None], [{}], {"a": {"b": []}})
ODDER = """
kind: AutoscalingMetric
metadata: {name: vllm}
spec:
  metrics:
    - pod:
        selector: {matchLabels: {app: vllm}}
        containers: [{metrics: [{gauge: {name: running}}]}]
---
kind: ScaledObject
metadata: {name: vllm}
spec:
  scaleTargetRef: {name: vllm-a}
  minReplicaCount: 0
  triggers: [{type: prometheus, metadata: {query: up}}]
---
kind: StorageClass
metadata: {name: ml}
provisioner: pd.csi.storage.gke.io
parameters: {type: hyperdisk-ml}
mountOptions: [read_ahead_kb=4096]
"""


def places(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items: list[tuple[str | int, Any]] = []
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list):
        items = list(enumerate(node))
    return [place for key, value in items for place in [(*path, key), *places(value, (*path, key))]]


@pytest.mark.parametrize("index", range(len(manifests(GOOD + "---" + ODDER))))
def test_no_odd_value_anywhere_stops_the_rules(index: int) -> None:
    bodies = [m.body for m in manifests(GOOD + "---" + ODDER)]
    for place in places(bodies[index]):
        for value in ODD_VALUES:
            odd: Any = copy.deepcopy(bodies[index])
            node = odd
            for step in place[:-1]:
                node = node[step]
            node[place[-1]] = value
            kept = [*bodies[:index], odd, *bodies[index + 1 :]]
            found = list(registry.run(Objects([Manifest(body) for body in kept])))
            assert all(finding.message for finding in found)
