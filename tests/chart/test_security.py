"""Pod Security "restricted", secrets, service account, network."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from pylib.manifests import Manifest
from tests.chart.helmtool import Objects, download, merged, serve
from tests.chart.test_autoscaling import KEDA
from tests.chart.test_weights import CLAIM, NONE

KEY: dict[str, Any] = {"server": {"apiKey": {"secretName": "key"}}}
FILE = merged(KEY, {"server": {"apiKey": {"as": "file", "key": "token"}}})
EVERYTHING: dict[str, Any] = {
    "autoscaling": {"enabled": True, "source": "gke"},
    "monitoring": {"rules": {"enabled": True}},
    "server": {"chatTemplate": {"inline": "{{ messages }}"}},
}
RELEASES: dict[str, Callable[[], Objects]] = {
    "disk": serve,
    "claim": lambda: serve(CLAIM),
    "none": lambda: serve(NONE),
    "key as file": lambda: serve(FILE),
    "keda": lambda: serve(KEDA),
    "everything": lambda: serve(EVERYTHING),
    "download": download,
}
RESTRICTED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
    "projected", "secret",
}  # fmt: skip
"""https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""


def pods(objects: Objects) -> Iterator[tuple[Manifest, Mapping[str, Any]]]:
    """Every pod spec of a release, with its owner."""
    for manifest in objects.manifests:
        spec = manifest.get("spec", "template", "spec")
        spec = manifest.get("spec") if manifest.kind == "Pod" else spec
        if spec:
            yield manifest, spec


@pytest.fixture(params=list(RELEASES))
def release(request: pytest.FixtureRequest) -> Objects:
    """A rendered release of each kind."""
    return RELEASES[request.param]()


def test_every_pod_is_restricted(release: Objects) -> None:
    for _, pod in pods(release):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 20000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for volume in pod.get("volumes", []):
            assert volume.keys() - {"name"} <= RESTRICTED_VOLUMES
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_no_pod_holds_a_token_or_the_addresses_of_other_services(release: Objects) -> None:
    for _, pod in pods(release):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
    assert release.one("ServiceAccount").get("automountServiceAccountToken", default=None) is False


def test_every_container_has_requests_and_a_memory_limit(release: Objects) -> None:
    for _, pod in pods(release):
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            resources = container["resources"]
            assert {"cpu", "memory", "ephemeral-storage"} <= resources["requests"].keys()
            assert resources["limits"]["memory"] == resources["requests"]["memory"]
            # Throttling slows a start; elsewhere a limit is there for quotas that want one.
            assert ("cpu" in resources["limits"]) is (container["name"] not in ("vllm", "download"))


def test_no_namespaced_object_leaves_its_namespace_to_the_client(release: Objects) -> None:
    cluster_wide = {"PersistentVolume"}
    spaces = {m.namespace for m in release.manifests if m.kind not in cluster_wide}
    assert spaces == {"serving"}


def test_the_api_key_as_environment_is_a_reference() -> None:
    objects = serve(KEY)
    assert objects.env()["VLLM_API_KEY"] == {"secretKeyRef": {"name": "key", "key": "api-key"}}
    assert objects.server()["command"][3:] == ["with-api-key", "vllm", "serve"]
    assert "api-key" not in {volume["name"] for volume in objects.pod()["volumes"]}


def test_the_api_key_as_a_file_is_read_by_a_shell_that_becomes_the_server() -> None:
    objects = serve(FILE)
    assert "VLLM_API_KEY" not in objects.env()
    command = objects.server()["command"]
    assert command[:2] == ["/bin/sh", "-c"]
    assert command[3:] == ["with-api-key", "vllm", "serve"]
    volume = {v["name"]: v for v in objects.pod()["volumes"]}["api-key"]
    assert volume["secret"] == {
        "secretName": "key",
        "defaultMode": 0o440,
        "items": [{"key": "token", "path": "api-key"}],
    }


def test_without_a_key_nothing_of_it_is_there() -> None:
    objects = serve()
    assert objects.server()["command"] == ["vllm", "serve"]
    assert "VLLM_API_KEY" not in objects.env()
    assert "api-key" not in {volume["name"] for volume in objects.pod()["volumes"]}


def test_an_existing_service_account_is_used_and_not_made() -> None:
    objects = serve({"serviceAccount": {"create": False, "name": "llm"}})
    assert objects.all("ServiceAccount") == []
    assert objects.pod()["serviceAccountName"] == "llm"
    default = serve({"serviceAccount": {"create": False}})
    assert default.pod()["serviceAccountName"] == "default"


def test_a_service_account_takes_a_name_and_annotations() -> None:
    annotations = {"iam.gke.io/gcp-service-account": "a@b.iam.gserviceaccount.com"}
    account = {"name": "llm", "annotations": annotations}
    objects = serve({"serviceAccount": account})
    found = objects.one("ServiceAccount")
    assert found.name == objects.pod()["serviceAccountName"] == "llm"
    assert found.get("metadata", "annotations") == annotations


def test_the_policy_lets_in_the_servers_port_and_lets_out_dns_only() -> None:
    policy = serve().one("NetworkPolicy")
    assert policy.get("spec", "podSelector") == {"matchLabels": {"app": "vllm"}}
    assert policy.get("spec", "policyTypes") == ["Ingress", "Egress"]
    assert policy.get("spec", "ingress") == [{"ports": [{"protocol": "TCP", "port": "http"}]}]
    ports = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    assert policy.get("spec", "egress") == [{"ports": ports}]


def test_weights_from_the_network_let_https_out() -> None:
    egress = serve(NONE).one("NetworkPolicy").get("spec", "egress")
    assert egress[1:] == [{"ports": [{"protocol": "TCP", "port": 443}]}]


def test_named_sources_do_not_shut_out_the_test_or_the_collectors() -> None:
    source = {"podSelector": {"matchLabels": {"app": "gateway"}}}
    objects = serve({"networkPolicy": {"from": [source]}})
    (rule,) = objects.one("NetworkPolicy").get("spec", "ingress")
    assert rule["from"][0] == source
    test_pod = rule["from"][1]["podSelector"]["matchLabels"]
    labels = objects.one("Pod").get("metadata", "labels")
    assert test_pod.items() <= labels.items()
    (expression,) = rule["from"][2]["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["gke-gmp-system", "gmp-system"]


def test_further_egress_is_added() -> None:
    extra = {"ports": [{"protocol": "TCP", "port": 4317}]}
    egress = serve({"networkPolicy": {"extraEgress": [extra]}}).one("NetworkPolicy")
    assert egress.get("spec", "egress", -1) == extra


def test_policy_and_budget_can_be_left_out() -> None:
    values = {"networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False}}
    kinds = serve(values).kinds()
    assert "NetworkPolicy" not in kinds
    assert "PodDisruptionBudget" not in kinds


@pytest.mark.parametrize("away", [1, "50%"])
def test_the_budget_protects_ready_pods_and_lets_a_stuck_one_go(away: int | str) -> None:
    budget = serve({"podDisruptionBudget": {"maxUnavailable": away}}).one("PodDisruptionBudget")
    assert budget.get("spec") == {
        "maxUnavailable": away,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": {"app": "vllm", "cell": "us-central1-a"}},
    }
