"""Secrets, file systems and networks of vLLM pods."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylib.validate.report import Severity
from pylib.validate.rules.objects import Container, Hit, Objects, each
from pylib.validate.rules.registry import rule
from pylib.validate.rules.vllm_pods import is_server, server_pods, servers

_SECRET_NAME = re.compile(
    r"(?i)(^|_)(token|password|passwd|api_?key|secret|secret_access_key|private_key)$"
)
_SECRET_VALUE = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}|\bsk-[A-Za-z0-9_-]{20,}|\bgh[pousr]_[A-Za-z0-9]{30,}|\bAIza[\w-]{35}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_REFERENCES = ("$(", "/")
"""Beginnings of values that name a secret's place: another variable, or a file."""


@rule(
    name="secret-inline",
    severity=Severity.ERROR,
    summary="No token or key stands in a manifest",
    explain=(
        "A token in env, command or args is readable by everyone who may read the Deployment, and "
        "lives on in Git and in Helm's release records. Source: "
        "https://kubernetes.io/docs/concepts/security/secrets-good-practices/. Put it into a "
        "Secret and refer to it by valueFrom.secretKeyRef, or mount it. Then revoke the one that "
        "was written here. vLLM's own key is the matter of vllm-api-key."
    ),
)
def secret_inline(objects: Objects) -> Iterator[Hit]:
    """Environment variables and words of a command line that hold a secret."""
    for pod in objects.pods():
        for container in pod.containers():
            yield from _environment(container)
            yield from _command_line(container)


def _environment(container: Container) -> Iterator[Hit]:
    judged = {"VLLM_API_KEY"} if is_server(container) else set()  # by vllm-api-key
    for index, item in each(container.body, "env"):
        name, value = str(item.get("name")), item.get("value")
        if name in judged:
            continue
        if not isinstance(value, str) or not value or value.startswith(_REFERENCES):
            continue
        if _SECRET_NAME.search(name) or _SECRET_VALUE.search(value):
            yield container.at(
                "env",
                index,
                "value",
                message=f"{name} holds a secret in plain text",
                fix="Write valueFrom: {secretKeyRef: {name: <secret>, key: <key>}}.",
            )


def _command_line(container: Container) -> Iterator[Hit]:
    for field in ("command", "args"):
        listed = container.get(field)
        for index, word in enumerate(listed if isinstance(listed, list) else []):
            if _SECRET_VALUE.search(str(word)):
                yield container.at(
                    field,
                    index,
                    message=f"{field} holds a secret in plain text",
                    fix="Give it by an environment variable from a Secret.",
                )


@rule(
    name="read-only-root",
    severity=Severity.NOTE,
    summary="vLLM's root file system is read-only",
    explain=(
        "vLLM writes only to its caches, /tmp and /dev/shm; with those on emptyDirs the rest can "
        "be read-only, and an intruder finds nowhere to put a program. Source: "
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/ asks for less; "
        "scanners ask for this. Write readOnlyRootFilesystem: true."
    ),
)
def read_only_root(objects: Objects) -> Iterator[Hit]:
    """vLLM containers with a writable root."""
    for container in servers(objects):
        if container.get("securityContext", "readOnlyRootFilesystem") is not True:
            yield container.at(
                "securityContext",
                "readOnlyRootFilesystem",
                message=f"the root file system of container {container.name} is writable",
                fix="Write readOnlyRootFilesystem: true, and mount emptyDirs for caches and /tmp.",
            )


@rule(
    name="service-account-token",
    severity=Severity.NOTE,
    summary="vLLM gets no key to the Kubernetes API",
    explain=(
        "Every pod is given a token for the Kubernetes API unless it refuses it; vLLM never calls "
        "that API. (Workload Identity does not need it: it has its own projected token.) Source: "
        "https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/"
        "#opt-out-of-api-credential-automounting. Write automountServiceAccountToken: false."
    ),
)
def service_account_token(objects: Objects) -> Iterator[Hit]:
    """vLLM pods that mount the token."""
    for pod in server_pods(objects):
        name = str(pod.get("serviceAccountName", default="default"))
        account = objects.by_name("ServiceAccount", pod.namespace, name)
        refused = account is not None and account.get("automountServiceAccountToken") is False
        said = pod.get("automountServiceAccountToken")
        if said is True or (said is None and not refused):
            yield pod.at(
                "automountServiceAccountToken",
                message="the pod is given a token for the Kubernetes API that vLLM does not use",
                fix="Write automountServiceAccountToken: false.",
            )


@rule(
    name="network-policy",
    severity=Severity.NOTE,
    summary="A NetworkPolicy says who may reach vLLM",
    explain=(
        "vLLM's API has no authentication unless a key is set, and its metrics and tokenizer "
        "endpoints none at all: without a NetworkPolicy every pod of the cluster may call them. "
        "Source: https://docs.vllm.ai/en/latest/usage/security/. Add a NetworkPolicy that selects "
        "the pods; Dataplane V2 enforces it."
    ),
)
def network_policy(objects: Objects) -> Iterator[Hit]:
    """vLLM pods that no NetworkPolicy for ingress selects."""
    covered = {
        (pod.owner.ref, pod.path)
        for policy in objects.of_kind("NetworkPolicy")
        if "Ingress" in str(policy.get("spec", "policyTypes", default="Ingress"))
        for pod in objects.pods_selected(
            policy.get("spec", "podSelector", default={}), policy.namespace
        )
    }
    for pod in server_pods(objects):
        if (pod.owner.ref, pod.path) not in covered:
            yield pod.at(
                message="no NetworkPolicy here says who may reach this pod",
                fix="Add a NetworkPolicy whose podSelector has the pod's labels.",
            )
