"""Pods that the API server refuses to create, in the words of its admission."""

from __future__ import annotations

import pytest

from pylib.diagnose import Cause, Severity, diagnose
from tests.unit.cluster_objects import (
    Json,
    body,
    causes,
    event,
    one,
    stored,
)


def refused(message: str) -> Json:
    """A ReplicaSet whose pods are refused so."""
    failure = {"type": "ReplicaFailure", "status": "True", "message": message}
    return body(
        "ReplicaSet", "v-a-1", {"spec": {"replicas": 1}, "status": {"conditions": [failure]}}
    )


FORBIDDEN = 'pods "v-a-1-x" is forbidden: '
SAY = "kubectl -n inference "


@pytest.mark.parametrize(
    ("message", "code", "text", "command", "final"),
    [
        (
            "exceeded quota: gpus, requested: requests.nvidia.com/gpu=2, used: "
            "requests.nvidia.com/gpu=7, limited: requests.nvidia.com/gpu=8",
            "quota-exceeded",
            "its pods exceed ResourceQuota/gpus: they ask for requests.nvidia.com/gpu=2, used are "
            "requests.nvidia.com/gpu=7 of requests.nvidia.com/gpu=8",
            f"{SAY}describe quota gpus  # raise it, or lower resources or replicas",
            False,
        ),
        (
            "failed quota: cpus: must specify limits.cpu for: vllm",
            "quota-exceeded",
            "ResourceQuota/cpus lets only pods in that say limits.cpu for: vllm",
            "set them under resources in the values: limits.cpu for: vllm",
            True,
        ),
        (
            'violates PodSecurity "restricted:latest": runAsNonRoot != true',
            "pod-security",
            "namespace inference enforces Pod Security restricted:latest, which forbids: "
            "runAsNonRoot != true",
            "take what it names out of the values (the chart's own pods are restricted), or label "
            "the namespace: kubectl label ns inference pod-security.kubernetes.io/enforce=baseline "
            "--overwrite",
            True,
        ),
        (
            "maximum memory usage per Container is 1Gi, but limit is 25Gi",
            "limit-range",
            "a LimitRange of namespace inference forbids its pods: maximum memory usage per "
            "Container is 1Gi, but limit is 25Gi",
            f"{SAY}describe limitrange  # or change resources in the values",
            True,
        ),
        (
            "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000",
            "limit-range",
            "a LimitRange of namespace inference forbids its pods: cpu max limit to request ratio "
            "per Container is 2, but provided ratio is 4.000000",
            f"{SAY}describe limitrange  # or change resources in the values",
            True,
        ),
        (
            'error looking up service account inference/robot: serviceaccount "robot" not found',
            "service-account-missing",
            "its pods run as ServiceAccount/robot, which does not exist",
            "set serviceAccount.create: true in the values, or kubectl -n inference create "
            "serviceaccount robot",
            True,
        ),
        (
            "no PriorityClass with name urgent was found",
            "priority-class-missing",
            "its pods name PriorityClass/urgent, which does not exist",
            "kubectl get priorityclass  # then set priorityClassName in the values",
            True,
        ),
        (
            'admission webhook "warden.gke.io" denied the request: no hostPath.',
            "admission-denied",
            "the admission webhook warden.gke.io refuses its pods: no hostPath",
            "change what it names in the values, then run helm upgrade",
            True,
        ),
        (
            'Internal error occurred: failed calling webhook "istio.io": connection refused',
            "webhook-down",
            "the admission webhook istio.io does not answer, so no pod can be made",
            "kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations | grep "
            "istio.io",
            False,
        ),
        (
            "something new.",
            "pod-refused",
            "cannot create its pods: something new",
            f"{SAY}describe replicaset v-a-1",
            False,
        ),
    ],
    ids=[
        "quota",
        "unstated",
        "security",
        "limits",
        "ratio",
        "account",
        "priority",
        "webhook",
        "down",
        "another",
    ],
)
def test_pods_that_are_refused(
    message: str, code: str, text: str, command: str, *, final: bool
) -> None:
    severity = Severity.ERROR
    expected = Cause(code, severity, "ReplicaSet/v-a-1", text, command, final=final)
    assert one(refused(FORBIDDEN + message)) == expected


def test_a_refusal_is_known_from_its_event_too_and_is_over_when_the_pods_are_there() -> None:
    replicas = body("ReplicaSet", "v-a-1", {"spec": {"replicas": 1}})
    said = event(
        replicas,
        "FailedCreate",
        f"Error creating: {FORBIDDEN}no PriorityClass with name x was found",
    )
    assert one(replicas, said).code == "priority-class-missing"
    assert causes({**replicas, "status": {"replicas": 1}}, said) == []
    assert causes(replicas) == []


def test_a_job_whose_pod_is_refused() -> None:
    job = body("Job", "v-download")
    said = event(
        job,
        "FailedCreate",
        f"Error creating: {FORBIDDEN}exceeded quota: q, requested: a=1, used: a=0, limited: a=0",
    )
    assert one(job, said).object == "Job/v-download"


def test_a_real_refusal_by_pod_security() -> None:
    [found] = diagnose(stored("pod_security"))
    assert found.message == (
        "namespace inference enforces Pod Security restricted:latest, which forbids: restricted "
        'volume types (volume "host" uses restricted volume type "hostPath")'
    )
