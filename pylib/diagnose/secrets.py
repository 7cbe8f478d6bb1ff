"""Secrets and ConfigMaps that pods name: absent, without the key, empty, with a line end."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.mounts import absent_files
from pylib.diagnose.scene import Scene, container_statuses, has_started
from pylib.snapshot.bodies import Body, name_of, ref_of, word
from pylib.snapshot.plain import plain
from pylib.snapshot.pods import pull_secrets, secret_keys

_CONFIG_MAP = re.compile(r'configmap "([^"]{1,253})" not found|ConfigMap \S+/(\S+)')


def causes(scene: Scene) -> Iterator[Cause]:
    """What is wrong with the Secrets and ConfigMaps that pods cannot start without."""
    workloads = [*scene.snapshot.of("Deployment", "Job"), *scene.pods()]
    needed = secret_keys(workloads)
    known = {secret.name: secret.keys for secret in scene.snapshot.secrets}
    for name, keys in needed.items():
        if name in known:
            yield from _secret(scene, name, sorted(keys), known[name])
    for name in pull_secrets(workloads):
        if name in known and known[name] is None:
            yield _absent(scene, name, Severity.WARNING, "registries are asked without it")
    for pod in scene.pods():
        yield from _config_map(scene, pod)


def _secret(scene: Scene, name: str, keys: list[str], found: object) -> Iterator[Cause]:
    if not isinstance(found, dict):
        yield _absent(scene, name, Severity.ERROR, "pods that name it cannot start")
        return
    has = ", ".join(map(plain, sorted(found))) or "none"
    for key in keys:
        code, message = {
            None: (
                "secret-missing",
                f"has no key {key} (it has: {has}); pods that name it cannot start",
            ),
            "blank": ("secret-empty", f"holds nothing under {key}"),
            "newline": (
                "secret-newline",
                f"has a line end after the value of {key}, which becomes a part of it",
            ),
        }.get(found.get(key), ("", ""))
        if code:
            final = code != "secret-newline"
            severity = Severity.ERROR if final else Severity.WARNING
            command = _create(scene, name, key)
            yield Cause(code, severity, f"Secret/{name}", message, command, final=final)


def _absent(scene: Scene, name: str, severity: Severity, so: str) -> Cause:
    return Cause(
        "secret-missing",
        severity,
        f"Secret/{name}",
        f"does not exist in namespace {scene.snapshot.namespace}; {so}",
        _create(scene, name, "KEY"),
        final=severity is Severity.ERROR,
    )


def _create(scene: Scene, name: str, key: str) -> str:
    return (
        scene.kubectl(
            f"create secret generic {name} --from-file={key}=FILE --dry-run=client -o yaml"
        )
        + " | kubectl apply -f -"
    )


def _config_map(scene: Scene, pod: Body) -> Iterator[Cause]:
    said = [] if has_started(pod) else absent_files(scene, pod)
    said += [
        word(status, "state", "waiting", "message")
        for status in container_statuses(pod)
        if word(status, "state", "waiting", "reason") == "CreateContainerConfigError"
    ]
    for message in said:
        match = _CONFIG_MAP.search(message)
        if match:
            name = match[1] or match[2]
            yield Cause(
                "config-missing",
                Severity.ERROR,
                ref_of(pod),
                f"cannot start: {plain(message)}",
                scene.kubectl(f"get configmap {name}")
                + "  # helm upgrade makes the chart's own anew",
            )
            return
        if "ecret" in message and not scene.snapshot.could_read("Secret"):
            yield Cause(
                "secret-missing",
                Severity.ERROR,
                ref_of(pod),
                f"cannot start: {plain(message)}",
                scene.kubectl(f"describe pod {name_of(pod)}"),
            )
            return
