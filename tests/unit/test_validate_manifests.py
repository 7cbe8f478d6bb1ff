"""The whole check: schemas, rules over what they trust, waivers, and order."""

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylib.errors import ConfigError
from pylib.manifests import Manifest
from pylib.validate import inspection
from pylib.validate.checking import settle, validate_manifests
from pylib.validate.inspection import ManifestSet, inspect
from pylib.validate.output import RENDERERS
from pylib.validate.prune import without
from pylib.validate.report import Finding, Severity, Unchecked
from pylib.validate.rules.objects import Hit, Objects, at
from pylib.validate.rules.registry import Rule
from pylib.validate.schemas import Schemas
from pylib.validate.waivers import Waiver
from pylib.yamlio import parse_all

TODAY = date(2026, 6, 15)
GOOD = [
    Manifest(document.body, "good.yaml", document.line, document.lines)
    for document in parse_all(
        (Path(__file__).parent / "rule_cases" / "good.yaml").read_text(encoding="utf-8")
    )
]


def config_map(name: str, file: str = "a.yaml", line: int = 1, **fields: Any) -> Manifest:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **fields}
    return Manifest(body, file, line)


def widget(name: str, file: str, line: int) -> Manifest:
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}}
    return Manifest(body, file, line)


def waiver(rule: str, owner: str = "*") -> Waiver:
    return Waiver(rule, owner, "reason", TODAY, "w.yaml", 1)


def test_manifests_in_order_give_a_clean_report() -> None:
    report = validate_manifests(GOOD, today=TODAY)
    assert (report.findings, report.unchecked) == ((), ())
    assert (report.objects, report.kubernetes) == (len(GOOD), "1.36")


def test_version_is_reported_without_its_patch() -> None:
    assert validate_manifests([], today=TODAY, kubernetes="v1.34.7").kubernetes == "1.34"


def test_findings_and_what_is_unchecked_come_in_the_order_of_the_files() -> None:
    report = validate_manifests(
        [
            widget("w", "b.yaml", 9),
            config_map("b", "b.yaml", 5, data=1),
            widget("v", "b.yaml", 2),
            config_map("a", "a.yaml", 7, data=1, immutable=1),
        ],
        today=TODAY,
        rules=(),
    )
    assert [(f.file, f.line, f.path) for f in report.findings] == [
        ("a.yaml", 7, "data"),
        ("a.yaml", 7, "immutable"),
        ("b.yaml", 5, "data"),
    ]
    assert [u.object for u in report.unchecked] == ["Widget/v", "Widget/w"]


def test_rules_may_be_chosen() -> None:
    pods = [m for m in GOOD if m.kind == "Deployment"]
    body: Any = copy.deepcopy(dict(pods[0].body))
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "vllm/vllm-openai:latest"
    changed = [Manifest(body, "a.yaml")]
    all_of_them = {f.rule for f in validate_manifests(changed, today=TODAY).findings}
    assert "image-tag" in all_of_them
    assert len(all_of_them) > 1
    chosen = validate_manifests(changed, today=TODAY, rules=["image-tag"])
    assert {f.rule for f in chosen.findings} == {"image-tag"}
    assert validate_manifests(changed, today=TODAY, rules=[]).findings == ()


def test_rule_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no rule 'image-tags'"):
        validate_manifests([], today=TODAY, rules=["image-tags"])


def test_version_without_schemas_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no schemas for Kubernetes '1\.99'"):
        validate_manifests([], today=TODAY, kubernetes="1.99")


def test_waiver_silences_findings_of_schemas_too() -> None:
    report = validate_manifests(
        [config_map("a", data=1)], today=TODAY, waivers=[waiver("schema", "ConfigMap/*")]
    )
    assert [(f.rule, f.waived) for f in report.findings] == [("schema", "reason")]
    assert not report.failed(Severity.WARNING)


def test_waiver_for_a_rule_not_chosen_is_not_called_unused() -> None:
    waivers = [waiver("image-tag"), waiver("unknown-kind")]
    report = validate_manifests([], today=TODAY, waivers=waivers, rules=[])
    assert [f.message for f in report.findings] == ["no finding of unknown-kind is on *"]
    report = validate_manifests([], today=TODAY, waivers=waivers)
    assert len(report.findings) == 2


def test_rules_never_see_a_field_of_a_wrong_type(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def check(objects: Objects) -> Iterator[Hit]:
        seen.extend(manifest.body for manifest in objects.all)
        yield at(objects.all[0], message=objects.context.kubernetes)

    spying = Rule("spy", Severity.NOTE, "s", "e", check)
    monkeypatch.setattr(inspection, "run", lambda objects, _: spying.findings(objects))
    broken = config_map("a", data=[1], immutable=True, binaryData={"x": 1, "y": "z"})
    report = validate_manifests([config_map("b"), broken], today=TODAY)
    assert seen[1] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
        "immutable": True,
        "binaryData": {"y": "z"},
    }
    assert [f.message for f in report.findings if f.rule == "spy"] == ["1.36"]


def test_rules_look_no_further_than_their_set(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], Any]] = []

    def run(objects: Objects, _: object) -> list[Finding]:
        seen.append(([m.name for m in objects.all], objects.context.values))
        return []

    monkeypatch.setattr(inspection, "run", run)
    sets = [
        ManifestSet([config_map("a"), config_map("b", data=1)], {"n": 1}),
        ManifestSet([]),
        ManifestSet([config_map("c")]),
    ]
    outcome = inspect(sets, Schemas("1.36"))
    assert seen == [(["a", "b"], {"n": 1}), ([], {}), (["c"], {})]
    assert outcome.objects == 3
    assert [finding.object for finding in outcome.findings] == ["ConfigMap/b"]


def test_one_report_of_several_inspections() -> None:
    schemas = Schemas("1.36")
    parts = [
        inspect([ManifestSet([config_map("b", "b.yaml", data=1)])], schemas, []),
        inspect([ManifestSet([widget("w", "a.yaml", 1), config_map("c")])], schemas, []),
    ]
    report = settle(parts, today=TODAY, waivers=[waiver("schema")])
    assert [(f.object, f.waived) for f in report.findings] == [("ConfigMap/b", "reason")]
    assert [u.object for u in report.unchecked] == ["Widget/w"]
    assert report.objects == 3


# -- taking fields out


def test_fields_are_taken_out_and_the_original_stays() -> None:
    body = {"a": {"b": [1, {"c": 2, "d": 3}], "e": 4}, "f": 5}
    before = json.dumps(body)
    manifest = Manifest(body, "a.yaml", 3)
    result = without(manifest, [("f",), ("a", "b", 1, "c"), ("a", "b", 0)])
    assert result.body == {"a": {"b": [None, {"d": 3}], "e": 4}}
    assert (result.file, result.line) == ("a.yaml", 3)
    assert json.dumps(body) == before


def test_field_below_one_that_is_gone_is_gone_with_it() -> None:
    body = {"a": [{"b": 1}], "c": {"d": 1}}
    paths: list[tuple[str | int, ...]] = [("a", 0), ("a", 0, "b"), ("c",), ("c", "d")]
    assert without(Manifest(body), paths).body == {"a": [None]}


# -- whatever comes in

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every path below the root of an object."""
    pairs: list[tuple[str | int, Any]] = []
    if isinstance(node, dict):
        pairs = list(node.items())
    elif isinstance(node, list):
        pairs = list(enumerate(node))
    for key, child in pairs:
        yield (*path, key)
        yield from places(child, (*path, key))


def replaced(body: Any, path: tuple[str | int, ...], value: Any) -> Any:
    result = copy.deepcopy(body)
    node = result
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return result


PLACES = [(number, path) for number, m in enumerate(GOOD) for path in places(m.body)]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON), min_size=1, max_size=3))
def test_no_value_anywhere_in_an_object_stops_the_check(
    changes: list[tuple[tuple[int, tuple[str | int, ...]], Any]],
) -> None:
    bodies: list[Any] = [dict(manifest.body) for manifest in GOOD]
    for (number, path), value in changes:
        with suppress(KeyError, IndexError, TypeError):  # an earlier change took the place away
            bodies[number] = replaced(bodies[number], path, value)
    report = validate_manifests([Manifest(body, "x.yaml") for body in bodies], today=TODAY)
    assert report.objects == len(GOOD)
    for finding in report.findings:
        assert isinstance(finding, Finding)
        assert finding.message
    for unchecked in report.unchecked:
        assert isinstance(unchecked, Unchecked)
        assert "no schema for" in unchecked.reason
    for render in RENDERERS.values():
        assert render(report)
