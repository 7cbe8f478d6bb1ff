"""The restricted profile of the Pod Security Standards, as of Kubernetes 1.36."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pylib.validate.report import Severity
from pylib.validate.rules.objects import Container, Hit, Objects, PodTemplate, each
from pylib.validate.rules.pod_baseline import ADDABLE, SECURITY, STANDARDS, Holder, capabilities
from pylib.validate.rules.quantities import whole
from pylib.validate.rules.registry import rule

_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_PROFILES = ("RuntimeDefault", "Localhost")


@rule(
    name="pod-security-restricted",
    severity=Severity.WARNING,
    summary="Pods keep the restricted profile of the Pod Security Standards",
    explain=(
        "The restricted profile: not root, no way to gain privileges, no capabilities, the "
        "runtime's seccomp profile, and no volume types that reach the node. A namespace that "
        "enforces it refuses other pods. vLLM runs so, given writable cache directories. Source: "
        f"{STANDARDS}#restricted."
    ),
)
def pod_security_restricted(objects: Objects) -> Iterator[Hit]:
    """Fields that the restricted profile wants, missing or otherwise."""
    for pod in objects.pods():
        yield from _volume_types(pod)
        for container in pod.containers():
            yield from _escalation(container)
            yield from _root(container)
            yield from _seccomp(container)
            yield from _drop_all(container)


def _volume_types(pod: PodTemplate) -> Iterator[Hit]:
    for index, volume in each(pod.spec, "volumes"):
        for kind in volume.keys() - _VOLUMES - {"name", "hostPath"}:
            yield pod.at(
                "volumes",
                index,
                kind,
                message=f"the volume {volume.get('name')} is of the type {kind}",
                fix="Mount it by a claim.",
            )


def _escalation(container: Container) -> Iterator[Hit]:
    if container.get(SECURITY, "allowPrivilegeEscalation") is not False:
        yield container.at(
            SECURITY,
            "allowPrivilegeEscalation",
            message=f"container {container.name} may gain privileges",
            fix="Write allowPrivilegeEscalation: false.",
        )


def _own_or_pods(container: Container, *path: str) -> tuple[Any, Holder]:
    """Value in the container's security context, else in the pod's, and who says it."""
    own = container.get(SECURITY, *path)
    return (
        (own, container) if own is not None else (container.pod.get(SECURITY, *path), container.pod)
    )


def _root(container: Container) -> Iterator[Hit]:
    said, holder = _own_or_pods(container, "runAsNonRoot")
    user, user_holder = _own_or_pods(container, "runAsUser")
    if said is not True:
        place = container if said is None else holder
        yield place.at(
            SECURITY,
            "runAsNonRoot",
            message=f"container {container.name} may run as root",
            fix="Write runAsNonRoot: true and runAsUser: <a number above 0>.",
        )
    if whole(user) == 0:
        yield user_holder.at(
            SECURITY,
            "runAsUser",
            message=f"container {container.name} runs as user 0, which is root",
            fix="Write runAsUser: <a number above 0>.",
        )


def _seccomp(container: Container) -> Iterator[Hit]:
    kind, _ = _own_or_pods(container, "seccompProfile", "type")
    if kind not in (*_PROFILES, "Unconfined"):
        yield container.at(
            SECURITY,
            "seccompProfile",
            message=f"container {container.name} has no seccomp profile",
            fix="Write seccompProfile: {type: RuntimeDefault}.",
        )


def _drop_all(container: Container) -> Iterator[Hit]:
    if "ALL" not in capabilities(container, "drop"):
        yield container.at(
            SECURITY,
            "capabilities",
            "drop",
            message=f"container {container.name} keeps capabilities",
            fix="Write capabilities: {drop: [ALL]}.",
        )
    for name in capabilities(container, "add"):
        if name in ADDABLE and name != "NET_BIND_SERVICE":
            yield container.at(
                SECURITY,
                "capabilities",
                "add",
                message=f"container {container.name} adds the capability {name}",
                fix=f"Remove {name}.",
            )
