"""Probes of vLLM pods, and the time that a start takes."""

from __future__ import annotations

from collections.abc import Iterator

from pylib import sizing
from pylib.facts import gke
from pylib.facts.disks import DISK_TYPES, read_mib_s
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Container, Hit, Objects
from pylib.validate.rules.quantities import gib, whole
from pylib.validate.rules.registry import rule
from pylib.validate.rules.vllm_pods import (
    arguments,
    machine_type,
    model_gib,
    servers,
)
from pylib.validate.rules.volumes import Volumes, disk_type_of

_PROBES = "https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/"
_LONG_DELAY_SECONDS = 30
_USUAL_START_SECONDS = 300
_PARALLEL = ("runai_streamer", "fastsafetensors", "instanttensor", "prefetch", "multithread_load")


def _seconds(container: Container, probe: str, field: str, default: int) -> int:
    found = whole(container.get(probe, field))
    return default if found is None else found


def probe_seconds(container: Container, probe: str) -> int:
    """Seconds after which this probe gives a container up."""
    return _seconds(container, probe, "initialDelaySeconds", 0) + _seconds(
        container, probe, "periodSeconds", 10
    ) * _seconds(container, probe, "failureThreshold", 3)


@rule(
    name="probe-startup",
    severity=Severity.ERROR,
    summary="A liveness probe waits until vLLM has loaded",
    explain=(
        "vLLM answers /health only once the weights are loaded, minutes after the container "
        "started. Without a startupProbe the liveness probe begins at once and kills the container "
        f"before that, over and over. Source: {_PROBES}#define-startup-probes. Add a startupProbe "
        "on /health with periodSeconds 2 and a failureThreshold for the whole load."
    ),
)
def probe_startup(objects: Objects) -> Iterator[Hit]:
    """vLLM containers with a liveness probe that is shorter than a usual start."""
    for container in servers(objects):
        if not container.get("livenessProbe") or container.get("startupProbe"):
            continue
        patience = probe_seconds(container, "livenessProbe")
        if patience < _USUAL_START_SECONDS:
            yield container.at(
                "livenessProbe",
                message=f"without a startupProbe this kills vLLM {patience} s after its start, "
                "while it still loads",
                fix="Add startupProbe: {httpGet: {path: /health, port: http}, periodSeconds: 2, "
                "failureThreshold: 600}.",
            )


@rule(
    name="probe-readiness",
    severity=Severity.WARNING,
    summary="A vLLM pod behind a Service has a readiness probe",
    explain=(
        "A container without readinessProbe counts as ready the moment it starts: the Service "
        "sends requests to a server that is still loading, and a rollout takes the old pods away "
        f"too early. Source: {_PROBES}#define-readiness-probes. Write a readinessProbe on /health."
    ),
)
def probe_readiness(objects: Objects) -> Iterator[Hit]:
    """vLLM containers without a readiness probe."""
    for container in servers(objects):
        if not container.get("readinessProbe"):
            yield container.at(
                "readinessProbe",
                message=f"container {container.name} has no readinessProbe, so it gets requests "
                "while vLLM loads",
                fix="Add readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 2}.",
            )


@rule(
    name="probe-initial-delay",
    severity=Severity.WARNING,
    summary="No probe of a vLLM pod begins with a long wait",
    explain=(
        "initialDelaySeconds is a floor: a pod that could serve after 30 s takes no request before "
        "the 240 or 300 s that published vLLM manifests write. A startupProbe with a short period "
        f"waits as long as is needed and no longer. Source: {_PROBES}."
    ),
)
def probe_initial_delay(objects: Objects) -> Iterator[Hit]:
    """Probes with an initial delay of over 30 s."""
    for container in servers(objects):
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            delay = _seconds(container, probe, "initialDelaySeconds", 0)
            if delay > _LONG_DELAY_SECONDS:
                yield container.at(
                    probe,
                    "initialDelaySeconds",
                    message=f"initialDelaySeconds is {delay}, so no pod serves before that",
                    fix="Remove it, and add a startupProbe with periodSeconds: 2.",
                )


@rule(
    name="probe-budget",
    severity=Severity.ERROR,
    summary="The startup probe allows the time that loading takes",
    explain=(
        "A startupProbe kills the container after periodSeconds * failureThreshold. Held against "
        "the time to read the weights, from the model's size (annotation "
        f"{gke.MODEL_SIZE_GIB}), the disk's type and size, the read-ahead and the machine: less "
        "than that is an error; less than load and vLLM's own start, doubled, a warning. Sources "
        "of the figures: pylib/sizing.py. Raise failureThreshold; a large one costs nothing."
    ),
)
def probe_budget(objects: Objects) -> Iterator[Hit]:
    """Start-up probes that give up before vLLM can be up."""
    volumes = Volumes(objects)
    for container in servers(objects):
        load = _load_seconds(container, volumes, objects)
        if load is None or not container.get("startupProbe"):
            continue
        budget = probe_seconds(container, "startupProbe")
        wanted = sizing.probe_budget_seconds(load)
        if budget >= wanted:
            continue
        yield container.at(
            "startupProbe",
            "failureThreshold",
            message=f"the probe allows {budget} s, loading the weights takes about {load:g} s and "
            f"a start up to {wanted} s",
            fix="Write failureThreshold: "
            f"{-(-wanted // max(1, _seconds(container, 'startupProbe', 'periodSeconds', 10)))}.",
            severity=None if budget < load else Severity.WARNING,
        )


def _load_seconds(container: Container, volumes: Volumes, objects: Objects) -> float | None:
    model = model_gib(container.pod)
    if model is None:
        return None
    words = arguments(container)
    parallel = any(name in word.text for word in words for name in _PARALLEL)
    for use in volumes.uses_of(container.pod):
        size = gib(use.volume.get("spec", "capacity", "storage")) if use.volume else None
        kind = disk_type_of(use.volume, objects) if use.volume else ""
        if use.volume is None or not size or size <= 0 or kind not in DISK_TYPES:
            continue
        if read_mib_s(kind, size) <= 0:
            continue
        options = use.volume.get("spec", "mountOptions")
        return sizing.load_seconds(
            model,
            kind,
            size,
            parallel=parallel,
            read_ahead_kib=_read_ahead(options),
            machine=machine_type(container.pod, objects) or None,
        ).seconds
    return None


def _read_ahead(options: object) -> int:
    for item in options if isinstance(options, list) else []:
        match = gke.READ_AHEAD.fullmatch(str(item))
        found = whole(match[1]) if match else None
        if found:
            return found if found > 0 else gke.DEFAULT_READ_AHEAD_KIB
    return gke.DEFAULT_READ_AHEAD_KIB
