"""The store of schemas: versions, kinds, custom resources, and the files that kubeconform reads."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from pathlib import Path

import jsonschema
import pytest

from pylib import cache
from pylib.errors import ConfigError, ToolMissingError
from pylib.validate import schemas
from pylib.validate.schemas import (
    CRD,
    CRDS,
    DEFAULT_KUBERNETES,
    DOCUMENTATION,
    KUBERNETES,
    Schema,
    Schemas,
    available,
    well_formed,
)

SUPPORTED = ("1.33", "1.34", "1.35", "1.36", "1.37")
CUSTOM = {
    ("autoscaling.gke.io/v1beta1", "AutoscalingMetric"): DOCUMENTATION,
    ("cloud.google.com/v1", "ComputeClass"): DOCUMENTATION,
    ("keda.sh/v1alpha1", "ClusterTriggerAuthentication"): CRD,
    ("keda.sh/v1alpha1", "ScaledObject"): CRD,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): CRD,
    ("monitoring.googleapis.com/v1", "ClusterPodMonitoring"): CRD,
    ("monitoring.googleapis.com/v1", "ClusterRules"): CRD,
    ("monitoring.googleapis.com/v1", "GlobalRules"): CRD,
    ("monitoring.googleapis.com/v1", "PodMonitoring"): CRD,
    ("monitoring.googleapis.com/v1", "Rules"): CRD,
    ("node.gke.io/v1", "GCPResourceAllowlist"): CRD,
    ("snapshot.storage.k8s.io/v1", "VolumeSnapshot"): CRD,
    ("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass"): CRD,
    ("snapshot.storage.k8s.io/v1", "VolumeSnapshotContent"): CRD,
}


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VFS_CACHE_DIR", str(tmp_path))
    return tmp_path


def found(kubernetes: str, api_version: str, kind: str) -> Schema:
    schema = Schemas(kubernetes).find(api_version, kind)
    assert schema is not None
    return schema


def test_supported_versions_are_all_there_in_order() -> None:
    assert available()[-5:] == SUPPORTED
    assert DEFAULT_KUBERNETES in SUPPORTED


@pytest.mark.parametrize("text", ["1.36", "v1.36", "1.36.2", " 1.36 ", "v1.36.1-gke.1234000"])
def test_version_may_be_written_as_people_have_it(text: str) -> None:
    assert Schemas(text).version == "1.36"


@pytest.mark.parametrize("text", ["1.99", "1", "latest", "", "1.36x", "../1.36"])
def test_version_without_schemas_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Schemas(text)
    assert str(caught.value) == (
        "command line: 1 problem\n"
        f"command line: kubernetes: there are no schemas for Kubernetes {text!r}\n"
        f"    Use one of {', '.join(available())}."
    )


@pytest.mark.parametrize("kubernetes", SUPPORTED)
def test_each_kind_of_each_version_makes_a_bundle_that_stands_alone(kubernetes: str) -> None:
    store = Schemas(kubernetes)
    kinds = [(f"{g}/{v}" if g else v, k) for g, v, k in store._roots]
    assert len(kinds) > 150
    for api_version, kind in [*kinds, *CUSTOM]:
        schema = store.find(api_version, kind)
        assert schema is not None, kind
        whole = json.loads(schema.text)
        jsonschema.Draft7Validator.check_schema(whole)
        references = set(re.findall(r'"\$ref": "([^"]*)"', schema.text))
        assert {r.removeprefix("#/$defs/") for r in references} <= set(whole["$defs"])


@pytest.mark.parametrize("kubernetes", SUPPORTED)
def test_only_these_kinds_of_kubernetes_constrain_values(kubernetes: str) -> None:
    store = Schemas(kubernetes)
    names = [
        kind
        for group, version, kind in store._roots
        if not kind.endswith("List")
        and found(kubernetes, f"{group}/{version}".strip("/"), kind).constrains_values
    ]
    assert sorted(names) == ["CustomResourceDefinition", "Eviction", "StatefulSet"]


@pytest.mark.parametrize(("key", "origin"), CUSTOM.items(), ids=str)
def test_custom_resource_says_where_its_schema_comes_from(
    key: tuple[str, str], origin: str
) -> None:
    schema = found("1.36", *key)
    assert schema.origin == origin
    assert schema.source.startswith("https://")
    assert origin == DOCUMENTATION or "/tree/" in schema.source


def test_there_is_no_custom_resource_beyond_those() -> None:
    kinds = {(f"{g}/{v}", k) for g, v, k in schemas._custom_resources()}
    assert kinds == set(CUSTOM)


def closed(node: object) -> bool:
    """Every map with named fields says that there are no others."""
    if isinstance(node, list):
        return all(map(closed, node))
    if not isinstance(node, dict):
        return True
    named = isinstance(node.get("properties"), dict) and node.get("type") == "object"
    return not (named and node.get("additionalProperties") is not False) and all(
        map(closed, node.values())
    )


@pytest.mark.parametrize("file", sorted(CRDS.glob("*/*.json")), ids=lambda file: file.stem)
def test_custom_resources_are_closed_and_lie_where_their_names_say(file: Path) -> None:
    schema = json.loads(file.read_text(encoding="utf-8"))
    assert closed(schema)
    first = schema["x-kubernetes-group-version-kind"][0]
    assert file.parent.name == first["group"]
    assert file.name == f"{first['kind'].lower()}_{first['version']}.json"


def test_kubernetes_kind_has_its_source() -> None:
    schema = found("1.33", "apps/v1", "Deployment")
    assert (schema.origin, schema.source) == (KUBERNETES, "kubernetes-validate v1.33")


def test_bundle_is_small_and_lies_where_kubeconform_looks(own_cache: Path) -> None:
    schema = found("1.36", "apps/v1", "Deployment")
    template = Schemas("1.36").location
    for name, value in (
        ("Group", "apps"),
        ("ResourceKind", "deployment"),
        ("ResourceAPIVersion", "v1"),
    ):
        template = template.replace(f"{{{{.{name}}}}}", value)
    assert Path(template) == schema.path
    assert own_cache in schema.path.parents
    assert schema.path.stat().st_size < 60_000
    assert "description" not in json.loads(schema.text)["$defs"]["io.k8s.api.core.v1.Container"]


def test_kind_of_the_core_group_lies_under_its_version(own_cache: Path) -> None:
    assert found("1.36", "v1", "Service").path.parts[-2:] == ("v1", "service_v1.json")


def test_bundle_is_made_once(own_cache: Path) -> None:
    path = found("1.36", "v1", "Service").path
    before = path.stat()
    found("1.36", "v1", "Service")
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_only_kinds_asked_for_are_made(own_cache: Path) -> None:
    found("1.36", "v1", "Service")
    found("1.36", "keda.sh/v1alpha1", "ScaledObject")
    names = sorted(path.name for path in own_cache.rglob("*.json"))
    assert names == ["scaledobject_v1alpha1.json", "service_v1.json"]


@pytest.mark.parametrize("damage", ["", "{", '{"title": "Other"}'])
def test_damaged_bundle_is_made_anew(own_cache: Path, damage: str) -> None:
    schema = found("1.36", "v1", "Service")
    good = schema.text
    schema.path.write_text(damage, encoding="utf-8")
    assert found("1.36", "v1", "Service").text == good


def test_changed_custom_resources_get_another_folder(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Schemas("1.36").folder
    monkeypatch.setattr(schemas, "_crd_texts", lambda: ("{}",))
    assert Schemas("1.36").folder != before


def test_two_runs_at_once_make_the_same_bundles(own_cache: Path) -> None:
    kinds = [("v1", "Service"), ("apps/v1", "Deployment"), ("batch/v1", "Job")] * 4
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda key: found("1.36", *key).text, kinds))
    assert len(set(texts)) == 3
    assert not [path for path in own_cache.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("apps/v1", "Nope"),
        ("apps/v1", "deployment"),
        ("apps/v9", "Deployment"),
        ("v1", "Deployment"),
        ("storage.example.com/v1", "StorageClass"),
        ("storage.example.k8s.io/v1", "StorageClass"),
        ("meta.k8s.io/v1", "DeleteOptions"),
        ("../apps/v1", "Deployment"),
        ("apps/v1", "../Deployment"),
        ("", ""),
    ],
)
def test_kind_without_a_schema_is_none(api_version: str, kind: str) -> None:
    found("1.36", "apps/v1", "Deployment")
    assert Schemas("1.36").find(api_version, kind) is None


@pytest.mark.parametrize(
    ("api_version", "owned"),
    [
        ("v1", True),
        ("apps/v1", True),
        ("extensions/v1beta1", True),
        ("networking.k8s.io/v1", True),
        ("rbac.authorization.k8s.io/v9", True),
        ("snapshot.storage.k8s.io/v1", False),
        ("gateway.networking.k8s.io/v1", False),
        ("example.com/v1", False),
    ],
)
def test_groups_that_are_kubernetes_own(api_version: str, owned: bool) -> None:
    assert Schemas("1.36").owns(api_version) is owned


def test_api_versions_of_a_kind() -> None:
    store = Schemas("1.36")
    assert store.serves("HorizontalPodAutoscaler") == ("autoscaling/v1", "autoscaling/v2")
    assert store.serves("ScaledObject") == ("keda.sh/v1alpha1",)
    assert store.serves("Service") == ("v1",)
    assert store.serves("Nope") == ()


def test_similar_kind_of_the_same_api_version() -> None:
    store = Schemas("1.36")
    assert store.similar("apps/v1", "Deploymnet") == "Deployment"
    assert store.similar("keda.sh/v1alpha1", "scaledobject") == "ScaledObject"
    assert store.similar("apps/v1", "Xyzzy") is None


@pytest.mark.parametrize(
    ("api_version", "kind", "good"),
    [
        ("v1", "Service", True),
        ("monitoring.googleapis.com/v1beta2", "PodMonitoring", True),
        ("v1", "", False),
        ("", "Service", False),
        ("1", "Service", False),
        ("a/b/v1", "Service", False),
        ("v1\n", "Service", False),
        ("v1", "Ser vice", False),
        ("v1", "{{x}}", False),
    ],
)
def test_what_can_name_a_kind(api_version: str, kind: str, good: bool) -> None:
    assert well_formed(api_version, kind) is good


def test_package_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "find_spec", lambda _: None)
    schemas._package.cache_clear()
    with pytest.raises(ToolMissingError) as caught:
        schemas._package()
    assert str(caught.value) == (
        "the Python package kubernetes-validate is not installed; it holds the schemas. "
        "Install vllm-fast-start with its dependencies."
    )


def test_package_without_metadata_is_known_by_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModuleSpec("kubernetes_validate", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(schemas, "find_spec", lambda _: spec)
    schemas._package.cache_clear()
    package = schemas._package()
    schemas._package.cache_clear()
    assert package.name_and_version == f"kubernetes_validate-{tmp_path.stat().st_mtime_ns}"


def test_folder_names_the_packages_version() -> None:
    assert Schemas("1.36").folder.is_relative_to(cache.folder())
    assert "kubernetes_validate-" in Schemas("1.36").folder.parts[-2]
