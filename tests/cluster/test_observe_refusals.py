"""``observe`` on a real control plane: what admission, adapters and permissions refuse.

Simulated: nodes and the pods on them (kwok, or the agent with real processes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pylib.diagnose import Severity, diagnose
from pylib.facts import gke
from pylib.kube import Kube
from pylib.snapshot import take, to_json
from pylib.snapshot.reading import HELM
from tests.chart.helmtool import merged
from tests.cluster.bed.adapter_cluster import registered
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.monitoring import FakeMonitoring
from tests.cluster.bed.wait import until
from tests.cluster.observing import FIXED, METRIC, NODE, SCALED, Site
from tests.cluster.release import (
    NAME,
    POOL,
    SECONDS,
    ZONE_A,
    Helm,
    pods,
    wait_ready,
    write_values,
)
from tests.cluster.serving import FIRST, Stage


@pytest.fixture
def site(bed: Bed, helm: Path, namespace: str, tmp_path: Path) -> Site:
    """Nothing is installed yet; helm 4."""
    return Site(Helm(helm, bed), namespace, tmp_path)


@pytest.fixture
def stage(bed: Bed, namespace: str, helm: Path, tmp_path: Path) -> Iterator[Stage]:
    """Nodes, disks and an agent that runs pods as processes; nothing is installed."""
    with Stage(bed, namespace, Helm(helm, bed), tmp_path) as one:
        yield one


# --- pods that the API server refuses -------------------------------------------------------------


def test_a_quota_that_is_used_up(site: Site, bed: Bed) -> None:
    site.create("ResourceQuota", "gpus", {"hard": {f"requests.{gke.GPU}": "0"}})
    site.install(FIXED)
    found = site.cause("quota-exceeded")
    assert found.object.startswith("ReplicaSet/v-a-")
    assert found.message == (
        "its pods exceed ResourceQuota/gpus: they ask for requests.nvidia.com/gpu=1, used are "
        "requests.nvidia.com/gpu=0 of requests.nvidia.com/gpu=0"
    )
    assert found.next == (
        f"kubectl -n {site.namespace} describe quota gpus"
        "  # raise it, or lower resources or replicas"
    )


def test_a_quota_for_what_pods_do_not_state(site: Site) -> None:
    site.create("ResourceQuota", "cpus", {"hard": {"limits.cpu": "100"}})
    site.install(FIXED)
    found = site.cause("quota-exceeded")
    assert found.message == ("ResourceQuota/cpus lets only pods in that say limits.cpu for: vllm")


def test_pod_security(site: Site) -> None:
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    site.kube.patch("v1", "Namespace", site.namespace, None, {"metadata": {"labels": label}})
    site.install(FIXED, {"extraVolumes": [{"name": "host", "hostPath": {"path": "/tmp"}}]})
    found = site.cause("pod-security")
    assert found.message == (
        f"namespace {site.namespace} enforces Pod Security restricted:latest, which forbids: "
        'restricted volume types (volume "host" uses restricted volume type "hostPath")'
    )
    assert found.final


def test_a_limit_range(site: Site) -> None:
    site.create(
        "LimitRange", "small", {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}
    )
    site.install(FIXED)
    found = site.cause("limit-range")
    assert found.message == (
        f"a LimitRange of namespace {site.namespace} forbids its pods: maximum memory usage per "
        "Container is 1Gi, but limit is 4Gi"
    )


def test_a_service_account_that_nobody_made(site: Site) -> None:
    site.install(FIXED, {"serviceAccount": {"create": False, "name": "robot"}})
    found = site.cause("service-account-missing")
    assert found.message == "its pods run as ServiceAccount/robot, which does not exist"


# --- autoscaling ----------------------------------------------------------------------------------


def test_without_an_adapter_the_release_serves_and_does_not_scale(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    site.install(SCALED)
    wait_ready(site.kube, site.namespace)
    found = site.cause("adapter-absent")
    assert found.object == "HorizontalPodAutoscaler/v-a"
    assert found.message == (
        "nothing serves custom.metrics.k8s.io in this cluster, so no metric reaches the autoscaler"
    )


def test_a_metric_that_nobody_writes_and_an_adapter_that_ends(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    with FakeMonitoring() as monitoring, registered(bed, monitoring, "") as adapter:
        site.install(SCALED)
        wait_ready(site.kube, site.namespace)
        found = site.cause("metric-missing")
        assert found.severity is Severity.NOTE, "the pod is new"
        assert found.message.startswith(
            f"keeps its size, for {METRIC} is missing: Cloud Monitoring has no such metric, or "
            "the adapter may not read it (its newest pod is ready for "
        )
        adapter.stop()
        down = site.cause("adapter-down")
        assert down.message.startswith(
            "keeps its size, for the metrics adapter behind "
            "APIService/v1beta2.custom.metrics.k8s.io does not answer"
        )
        assert down.next == (
            "kubectl -n custom-metrics get pods,endpointslices  # of Service "
            "custom-metrics-stackdriver-adapter"
        )


# --- what a reader may not see --------------------------------------------------------------------


def kubeconfig_of(bed: Bed, user: str, folder: Path) -> Path:
    """The bed's kubeconfig with another user's certificate."""
    document = yaml.safe_load(bed.kubeconfig.read_text(encoding="utf-8"))
    issued = bed.authority.issue(user)
    [entry] = document["users"]
    entry["user"] = {
        "client-certificate": str(issued.certificate),
        "client-key": str(issued.key),
    }
    file = folder / f"{user}.kubeconfig"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return file


def test_what_may_not_be_read_is_unknown_and_no_error(site: Site, bed: Bed) -> None:
    site.install(FIXED)
    rule = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {"name": "pods-only", "namespace": site.namespace},
    }
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    site.kube.create({**rule, "kind": "Role", "rules": rules})
    subjects = [{"kind": "User", "name": "viewer", "apiGroup": "rbac.authorization.k8s.io"}]
    reference = {"kind": "Role", "name": "pods-only", "apiGroup": "rbac.authorization.k8s.io"}
    site.kube.create({**rule, "kind": "RoleBinding", "subjects": subjects, "roleRef": reference})
    viewer = Kube.connect(kubeconfig_of(bed, "viewer", site.folder))
    until(lambda: pods(viewer, site.namespace), SECONDS, "the viewer sees pods")
    found = take(viewer, NAME, site.namespace)
    assert [body["kind"] for body in found.objects] == ["Pod"]
    assert {unread.what for unread in found.unread} >= {"Deployment", "Node", "Event", HELM}
    assert found.unread[0].reason.startswith("GET /apis/apiregistration.k8s.io/v1/apiservices/")
    assert all(cause.code != "claim-absent" for cause in diagnose(found))


# --- Secrets, weights, helm's record --------------------------------------------------------------


def test_a_secret_that_is_absent_then_empty_then_with_a_line_end(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    site.install(FIXED, {"server": {"apiKey": {"secretName": "keys", "key": "api-key"}}})
    wait_ready(site.kube, site.namespace)
    found = site.cause("secret-missing")
    assert found.object == "Secret/keys"
    assert found.message == (
        f"does not exist in namespace {site.namespace}; pods that name it cannot start"
    )
    assert found.final
    meta = {"name": "keys", "namespace": site.namespace}
    site.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {}})
    assert site.cause("secret-missing").message == (
        "has no key api-key (it has: none); pods that name it cannot start"
    )
    for value, code in ((" ", "secret-empty"), ("hunter2\n", "secret-newline")):
        patch = {"stringData": {"api-key": value}}
        site.kube.patch("v1", "Secret", "keys", site.namespace, patch)
        assert site.cause(code).object == "Secret/keys"
        assert "hunter2" not in to_json(site.look())


def test_weights_that_are_not_the_manifests(stage: Stage, kube: Kube, namespace: str) -> None:
    (stage.disk(FIRST) / "gemma/gemma-7b/model.safetensors").write_text("less")
    stage.helm.install(NAME, namespace, stage.values(FIRST))
    site = Site(stage.helm, namespace, stage.folder)
    found = site.cause("weights-check-failed")
    assert found.final
    assert found.message.startswith(
        "its weights are not what they should be: 1 of 2 files differ from the manifest: "
        "gemma/gemma-7b/model.safetensors has 4 bytes instead of 11."
    )
    assert found.next == "bake the disk again, and name the new one in weights.disk.revisions"


def test_an_upgrade_that_was_interrupted(site: Site, bed: Bed) -> None:
    bed.add_node(NODE, zone=ZONE_A, pool=POOL)
    site.install(FIXED)
    wait_ready(site.kube, site.namespace)
    values = write_values(site.folder, merged(FIXED, {"commonLabels": {"team": "ml"}}))
    site.helm.upgrade(NAME, site.namespace, values)
    wait_ready(site.kube, site.namespace)
    record = {"metadata": {"labels": {"status": "pending-upgrade"}}}
    site.kube.patch("v1", "Secret", "sh.helm.release.v1.v.v2", site.namespace, record)
    found = site.cause("helm-pending")
    assert found.severity is Severity.WARNING
    assert found.message.startswith("revision 2 is pending-upgrade for ")
    assert found.next == f"helm rollback v 1 -n {site.namespace}"
