"""The baseline of the Pod Security Standards, control by control, as of Kubernetes 1.36."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pylib.validate.report import Severity
from pylib.validate.rules.objects import Container, Hit, Objects, PodTemplate, each
from pylib.validate.rules.quantities import whole
from pylib.validate.rules.registry import rule

STANDARDS = "https://kubernetes.io/docs/concepts/security/pod-security-standards/"
ADDABLE = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_SELINUX = frozenset(
    ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
)
SECURITY = "securityContext"


@rule(
    name="pod-security-baseline",
    severity=Severity.ERROR,
    summary="Pods keep the baseline of the Pod Security Standards",
    explain=(
        "The baseline forbids the known ways out of a container: privileged, host namespaces, host "
        "paths and ports, added capabilities, unconfined seccomp, AppArmor or SELinux, unmasked "
        "/proc, unsafe sysctls. A namespace that enforces it refuses such pods. Source: "
        f"{STANDARDS}#baseline. A read-ahead helper for NFS needs it and is waived with a reason."
    ),
)
def pod_security_baseline(objects: Objects) -> Iterator[Hit]:
    """Fields that the baseline forbids."""
    for pod in objects.pods():
        yield from _host(pod)
        yield from _sysctls(pod)
        for context, holder in _contexts(pod):
            yield from _unconfined(context, holder)
        for container in pod.containers():
            yield from _privileged(container)
            yield from _host_ports(container)
            yield from _probe_hosts(container)


Holder = PodTemplate | Container


def _contexts(pod: PodTemplate) -> Iterator[tuple[Mapping[str, Any], Holder]]:
    holders: list[Holder] = [pod, *pod.containers()]
    for holder in holders:
        found = holder.get(SECURITY)
        if isinstance(found, Mapping):
            yield found, holder


def _host(pod: PodTemplate) -> Iterator[Hit]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field) is True:
            yield pod.at(field, message=f"{field} is true", fix=f"Remove {field}.")
    for index, volume in each(pod.spec, "volumes"):
        if "hostPath" in volume:
            yield pod.at(
                "volumes",
                index,
                "hostPath",
                message=f"the volume {volume.get('name')} is a path of the node",
                fix="Use a claim, a ConfigMap or an emptyDir.",
            )


def _sysctls(pod: PodTemplate) -> Iterator[Hit]:
    for index, sysctl in each(pod.spec, SECURITY, "sysctls"):
        if sysctl.get("name") not in _SYSCTLS:
            yield pod.at(
                SECURITY,
                "sysctls",
                index,
                message=f"the sysctl {sysctl.get('name')} is not among the safe ones",
                fix="Remove it.",
            )


def _unconfined(context: Mapping[str, Any], holder: Holder) -> Iterator[Hit]:
    for field in ("seccompProfile", "appArmorProfile"):
        kind = holder.get(SECURITY, field, "type")
        if kind == "Unconfined":
            yield holder.at(
                SECURITY,
                field,
                "type",
                message=f"{field} is Unconfined",
                fix=f"Write {field}: {{type: RuntimeDefault}}.",
            )
    options = context.get("seLinuxOptions")
    if isinstance(options, Mapping):
        wrong = [key for key in ("user", "role") if options.get(key)]
        if str(options.get("type") or "") not in _SELINUX:
            wrong.append("type")
        for key in wrong:
            yield holder.at(
                SECURITY,
                "seLinuxOptions",
                key,
                message=f"the SELinux {key} is {options[key]}",
                fix="Remove it.",
            )
    if holder.get(SECURITY, "windowsOptions", "hostProcess") is True:
        yield holder.at(
            SECURITY,
            "windowsOptions",
            "hostProcess",
            message="hostProcess is true",
            fix="Remove it.",
        )


def _privileged(container: Container) -> Iterator[Hit]:
    if container.get(SECURITY, "privileged") is True:
        yield container.at(
            SECURITY,
            "privileged",
            message=f"container {container.name} is privileged",
            fix="Remove privileged.",
        )
    proc = container.get(SECURITY, "procMount", default="Default")
    if proc != "Default":
        yield container.at(
            SECURITY, "procMount", message=f"procMount is {proc}", fix="Write procMount: Default."
        )
    for name in capabilities(container, "add"):
        if name not in ADDABLE:
            yield container.at(
                SECURITY,
                "capabilities",
                "add",
                message=f"container {container.name} adds the capability {name}",
                fix=f"Remove {name}.",
            )


def capabilities(container: Container, field: str) -> list[str]:
    """Capabilities that a container adds or drops."""
    found = container.get(SECURITY, "capabilities", field)
    return [str(name) for name in found] if isinstance(found, list) else []


def _host_ports(container: Container) -> Iterator[Hit]:
    for index, port in each(container.body, "ports"):
        if whole(port.get("hostPort")):
            yield container.at(
                "ports",
                index,
                "hostPort",
                message=f"container {container.name} takes port {port['hostPort']} of the node",
                fix="Remove hostPort, and use a Service.",
            )


def _probe_hosts(container: Container) -> Iterator[Hit]:
    probes = [(probe,) for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    hooks = [("lifecycle", hook) for hook in ("postStart", "preStop")]
    for path in (*probes, *hooks):
        for action in ("httpGet", "tcpSocket"):
            host = container.get(*path, action, "host")
            if host:
                yield container.at(
                    *path,
                    action,
                    "host",
                    message=f"{path[-1]} asks {host}, not its own pod",
                    fix="Remove host.",
                )
