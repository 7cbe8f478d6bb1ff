"""Snapshots: read from a server that has the release, refuses some of it, or is away."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import cast

import pytest

from pylib.errors import KubeError
from pylib.kube import Kube
from pylib.snapshot import Snapshot, take, to_json
from pylib.snapshot.model import Log, Revision, SecretKeys, Tenant, Unread
from pylib.snapshot.pods import secret_keys
from pylib.snapshot.times import parsed
from tests.unit.cluster_objects import (
    CONTEXT,
    Json,
    body,
    claim,
    event,
    mounting,
    node,
    pod,
    ready,
    volume,
    waiting,
)

INSTANCE = {"metadata": {"labels": {"app.kubernetes.io/instance": "v"}}}


class FakeKube:
    """Serves objects as the API's client does, by label and field selectors; refuses some kinds."""

    context = CONTEXT

    def __init__(
        self, *objects: Json, logs: Mapping[tuple[str, str, bool], str] | None = None
    ) -> None:
        self.objects = objects
        self.texts = dict(logs or {})
        self.refused: dict[str, KubeError] = {}
        self.starts: dict[str, str] = {}
        self.asked: list[str] = []

    def version(self) -> str:
        return "1.36"

    def list(
        self, _api: str, kind: str, _namespace: str | None, *, labels: str = "", fields: str = ""
    ) -> list[Json]:
        self.asked.append(f"list {kind} {labels}{fields}".strip())
        self._refuse(kind)
        return [found for found in self.objects if _matches(found, kind, labels, fields)]

    def get(self, _api: str, kind: str, name: str, _namespace: str | None) -> Json | None:
        self._refuse(kind)
        for found in self.objects:
            if (found["kind"], found["metadata"]["name"]) == (kind, name):
                return found
        return None

    def logs(
        self, name: str, _namespace: str, container: str, *, previous: bool, **_: int
    ) -> str | None:
        self._refuse("log")
        return self.texts.get((name, container, previous))

    def raw_text(self, path: str) -> str:
        self.asked.append(path)
        return self.starts.get(path.split("?", maxsplit=1)[0], '{"kind":"Status","code":500}')

    def _refuse(self, kind: str) -> None:
        if kind in self.refused:
            raise self.refused[kind]


def _matches(found: Json, kind: str, labels: str, fields: str) -> bool:
    own = found["metadata"].get("labels", {})
    for pair in filter(None, labels.split(",")):
        key, _, value = pair.partition("=")
        if " in " not in pair and own.get(key) != value:
            return False
    about = found.get("involvedObject", {})
    wanted = dict(pair.split("=") for pair in fields.split(",") if "!" not in pair and pair)
    if wanted.get("involvedObject.name", about.get("name")) != about.get("name"):
        return False
    on = wanted.get("spec.nodeName")
    return found["kind"] == kind and on in (None, found.get("spec", {}).get("nodeName"))


def seen(kube: FakeKube) -> Snapshot:
    """A snapshot through the fake client."""
    return take(cast("Kube", kube), "v", "inference")


def test_a_snapshot_holds_the_release_and_what_it_stands_on() -> None:
    serving = ready(INSTANCE, mounting("weights"))
    bound = claim("weights", {"spec": {"volumeName": "disk-a"}}, phase="Bound")
    other = body("Pod", "stranger")
    kube = FakeKube(
        serving, other, bound, volume(), node(), node("n2", {"metadata": {"labels": {"x": "y"}}}),
        event(serving, "Pulled", "done"), event(other, "Pulled", "done"),
        logs={("v-a-1", "vllm", False): "hello\n"},
    )  # fmt: skip
    found = seen(kube)
    assert [(item["kind"], item["metadata"]["name"]) for item in found.objects] == [
        ("Pod", "v-a-1"),
        ("PersistentVolumeClaim", "weights"),
        ("PersistentVolume", "disk-a"),
        ("Node", "n1"),
        ("Node", "n2"),
        ("Event", "Pulled-2026-03-01T12:03:00Z"),
    ]
    assert (found.context, found.release, found.namespace) == (CONTEXT, "v", "inference")
    assert (found.kubernetes, found.unread) == ("1.36", ())
    assert found.log("v-a-1", "vllm") == "hello\n"
    assert found.log("v-a-1", "vllm", previous=True) is None
    assert parsed(found.taken)


def test_what_lies_around_the_release_is_there_too() -> None:
    serving = ready(INSTANCE, mounting("shared"))
    elsewhere = node("n1", {"metadata": {"labels": {"topology.kubernetes.io/zone": "other"}}})
    kube = FakeKube(
        serving,
        body("Service", "v", INSTANCE),
        claim("own", INSTANCE),
        claim("shared", {"spec": {"volumeName": "gone"}}, phase="Bound"),
        body("StorageClass", "standard-rwo"),
        body("EndpointSlice", "v-1"),
        body("Namespace", "inference"),
        body("ResourceQuota", "gpus"),
        body("LimitRange", "small"),
        body("APIService", "v1beta1.custom.metrics.k8s.io"),
        body("APIService", "v1.apps"),
        elsewhere,
    )
    found = seen(kube)
    assert [f"{item['kind']}/{item['metadata']['name']}" for item in found.objects] == [
        "Pod/v-a-1",
        "Service/v",
        "PersistentVolumeClaim/own",
        "PersistentVolumeClaim/shared",
        "StorageClass/standard-rwo",
        "EndpointSlice/v-1",
        "Node/n1",
        "Namespace/inference",
        "ResourceQuota/gpus",
        "LimitRange/small",
        "APIService/v1beta1.custom.metrics.k8s.io",
    ]
    assert "list EndpointSlice kubernetes.io/service-name in (v)" in kube.asked


def test_pods_of_helm_test_are_no_part_of_the_release() -> None:
    hook = body("Pod", "v-test", INSTANCE, {"metadata": {"annotations": {"helm.sh/hook": "test"}}})
    assert seen(FakeKube(hook)).of("Pod") == []


def test_a_refused_kind_is_unknown_and_the_others_are_there() -> None:
    kube = FakeKube(ready(INSTANCE), node())
    kube.refused["Node"] = KubeError("nodes is forbidden", status=403, reason="Forbidden")
    kube.refused["log"] = KubeError("no", status=403)
    found = seen(kube)
    assert [item["kind"] for item in found.objects] == ["Pod"]
    assert found.unread == (Unread("Node", "nodes is forbidden"), Unread("log", "no"))
    assert not found.could_read("Node")
    assert found.could_read("PersistentVolume")


@pytest.mark.parametrize("status", [0, 401])
def test_a_server_that_is_away_or_knows_no_such_user_is_an_error(status: int) -> None:
    kube = FakeKube()
    kube.refused["Deployment"] = KubeError("away", status=status)
    with pytest.raises(KubeError, match="away"):
        seen(kube)


def test_helms_record_is_read_from_labels_alone() -> None:
    def record(version: str, status: str, **more: str) -> Json:
        labels = {"owner": "helm", "name": "v", "version": version, "status": status, **more}
        data = {"release": "hunter2"}
        return body(
            "Secret",
            f"sh.helm.release.v1.v.v{version}",
            {"metadata": {"labels": labels}, "data": data},
        )

    kube = FakeKube(
        record("10", "pending-upgrade", modifiedAt="1772366400"),
        record("9", "deployed"),
        record("x", "deployed"),
        record("8", "superseded", modifiedAt="99999999999999"),
    )
    found = seen(kube)
    assert found.revisions == (
        Revision(8, "superseded", "2026-03-01T12:00:00Z"),
        Revision(9, "deployed", "2026-03-01T12:00:00Z"),
        Revision(10, "pending-upgrade", "2026-03-01T12:00:00Z"),
    )
    assert "hunter2" not in to_json(found)


def test_of_a_secret_only_what_its_keys_are_like_is_kept() -> None:
    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    data = {
        "good": encoded("hunter2"), "blank": encoded(" \n"), "line": encoded("hunter2\n"),
        "odd": "%%%", "null": None,
    }  # fmt: skip
    reference = {"secretKeyRef": {"name": "keys", "key": "good"}}
    optional = {"secretKeyRef": {"name": "maybe", "key": "k", "optional": True}}
    container = {
        "name": "vllm",
        "env": [{"name": "A", "valueFrom": reference}, {"name": "B", "valueFrom": optional}],
        "envFrom": [{"secretRef": {"name": "all"}}, {"secretRef": {"name": "m", "optional": True}}],
    }
    volumes = [
        {"secret": {"secretName": "files", "items": [{"key": "token", "path": "t"}]}},
        {"projected": {"sources": [{"secret": {"name": "parts"}}]}},
        {"emptyDir": {}},
    ]
    spec = {"containers": [container], "volumes": volumes, "imagePullSecrets": [{"name": "pull"}]}
    mine = body("Pod", "v-a-1", INSTANCE, {"spec": spec})
    assert secret_keys([mine]) == {
        "files": {"token"}, "parts": set(), "all": set(), "keys": {"good"},
    }  # fmt: skip
    found = seen(FakeKube(mine, body("Secret", "keys", {"data": data})))
    assert found.secrets == (
        SecretKeys("files", None),
        SecretKeys("parts", None),
        SecretKeys("all", None),
        SecretKeys(
            "keys",
            {
                "blank": "blank",
                "good": "filled",
                "line": "newline",
                "null": "blank",
                "odd": "filled",
            },
        ),
        SecretKeys("pull", None),
    )


def test_secrets_that_may_not_be_read_are_unknown() -> None:
    kube = FakeKube(body("Pod", "p", INSTANCE, {"spec": {"imagePullSecrets": [{"name": "pull"}]}}))
    kube.refused["Secret"] = KubeError("no", status=403)
    found = seen(kube)
    assert found.secrets == ()
    assert not found.could_read("Secret")


def test_a_selector_that_finds_no_node_is_counted_label_by_label() -> None:
    elsewhere = node(
        "n9", {"metadata": {"labels": {"topology.kubernetes.io/zone": "us-central1-f"}}}
    )
    found = seen(FakeKube(waiting("0/1 nodes are available: …", INSTANCE), elsewhere))
    assert found.label_counts == {
        "cloud.google.com/gke-nodepool=vllm-l4": 1,
        "topology.kubernetes.io/zone=us-central1-a": 0,
    }
    assert [item["metadata"]["name"] for item in found.of("Node")] == ["n9"]


def test_while_a_pod_waits_it_is_said_who_holds_the_gpus() -> None:
    gpus = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}
    holder = body(
        "Pod",
        "other",
        {"metadata": {"namespace": "lab"}, "spec": {"nodeName": "n1", "containers": [gpus]}},
    )
    small = body("Pod", "small", {"spec": {"nodeName": "n1", "containers": [{}]}})
    kube = FakeKube(waiting("0/1 nodes are available: …", INSTANCE), node(), holder, small)
    assert seen(kube).tenants == (Tenant("n1", "lab/other", 2),)
    assert seen(FakeKube(ready(INSTANCE), node(), holder)).tenants == ()


def test_events_of_many_nodes_are_asked_for_at_once() -> None:
    kube = FakeKube(ready(INSTANCE), *(node(f"n{number}") for number in range(11)))
    seen(kube)
    asked = [words for words in kube.asked if words.startswith("list Event")]
    assert asked == ["list Event", "list Event involvedObject.kind=Node"]


def test_only_the_newest_events_of_an_object_are_kept() -> None:
    serving = ready(INSTANCE)
    many = [event(serving, "Unhealthy", str(n), f"2026-03-01T12:00:{n:02}Z") for n in range(59)]
    found = seen(FakeKube(serving, *many))
    assert [item["message"] for item in found.events_of(serving)] == [
        str(number) for number in range(19, 59)
    ]


def test_attachments_are_found_by_the_name_that_the_kubelet_gives_them() -> None:
    name = "csi-2b8d8a1b3ef0e4b6dfbf1a3a9c2c6a0e"
    serving = pod(INSTANCE, mounting("weights"))
    bound = claim("weights", {"spec": {"volumeName": "disk-a"}}, phase="Bound")
    kube = FakeKube(serving, bound, volume(), node(), body("VolumeAttachment", name))
    assert seen(kube).of("VolumeAttachment") == []
    text = "projects/my-project/zones/us-central1-a/disks/gemma-7bpd.csi.storage.gke.ion1"
    right = f"csi-{hashlib.sha256(text.encode()).hexdigest()}"
    kube.objects = (*kube.objects, body("VolumeAttachment", right))
    assert len(seen(kube).of("VolumeAttachment")) == 1
    kube.objects = (ready(INSTANCE, mounting("weights")), *kube.objects[1:])
    assert seen(kube).of("VolumeAttachment") == [], "a pod that is ready has its disk"


# --- logs -----------------------------------------------------------------------------------------


def test_logs_are_read_of_what_ran_and_of_the_run_before() -> None:
    statuses = [
        {"name": "vllm", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    ]
    inits = [{"name": "check-weights", "state": {"terminated": {"exitCode": 0}}}]
    mine = pod(
        INSTANCE, {"status": {"containerStatuses": statuses, "initContainerStatuses": inits}}
    )
    texts = {("v-a-1", "vllm", True): "failed", ("v-a-1", "check-weights", False): "2 files"}
    found = seen(FakeKube(mine, node(), logs=texts))
    assert found.logs == (
        Log("v-a-1", "check-weights", "2 files\n"),
        Log("v-a-1", "vllm", "failed\n", previous=True),
    )


def test_logs_of_nodes_that_do_not_answer_are_not_waited_for() -> None:
    away = node("n1", {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})
    kube = FakeKube(ready(INSTANCE), away, logs={("v-a-1", "vllm", False): "text"})
    assert seen(kube).logs == ()


def test_probes_and_scrapes_are_left_out_and_the_start_of_a_long_log_is_there() -> None:
    noise = 'INFO:     10.0.0.1:5 - "GET /health HTTP/1.1" 200 OK\n' * 4990
    tail = noise + 'INFO: "POST /v1/completions HTTP/1.1" 200 OK\n' * 10
    kube = FakeKube(ready(INSTANCE), node(), logs={("v-a-1", "vllm", False): tail})
    kube.starts["/api/v1/namespaces/inference/pods/v-a-1/log"] = "first line\n"
    text = seen(kube).logs[0].text
    assert text.splitlines()[0] == "first line"
    assert text.count("\n") == 11
    assert "/health" not in text
    kube.starts.clear()
    assert seen(kube).logs[0].text.count("\n") == 10


def test_slow_nodes_end_the_reading_of_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    pods = [ready(INSTANCE, {"metadata": {"name": f"p{number}"}}) for number in range(4)]
    logs = {(f"p{number}", "vllm", False): "x" for number in range(4)}
    found = seen(FakeKube(*pods, node(), logs=logs))
    assert [log.pod for log in found.logs] == ["p0"]
    assert found.unread == (Unread("log", "the nodes answer too slowly"),)
