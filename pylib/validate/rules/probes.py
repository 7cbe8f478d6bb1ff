"""Probes of vLLM pods."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.validate.report import Severity
from pylib.validate.rules.objects import Container, Hit, Objects, each
from pylib.validate.rules.quantities import whole
from pylib.validate.rules.registry import rule
from pylib.validate.rules.vllm_pods import (
    servers,
)

_PROBES = "https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/"
_KINDS = ("startupProbe", "readinessProbe", "livenessProbe")
_PATHS = frozenset({"/health", "/load", "/metrics", "/ping", "/v1/models", "/version"})
_LONG_DELAY_SECONDS = 30
_SHORT_START_SECONDS = 120
"""A little above the published cold starts of 7B models: 71 to 92 s,
https://github.com/vllm-project/vllm/pull/40331."""
_USUAL_START_SECONDS = 300


def probe_field(container: Container, probe: str, field: str, default: int) -> int:
    """A number of a probe, with the default that Kubernetes takes."""
    found = whole(container.get(probe, field))
    return default if found is None else found


def probe_seconds(container: Container, probe: str) -> int:
    """Seconds after which this probe gives a container up."""
    return probe_field(container, probe, "initialDelaySeconds", 0) + probe_field(
        container, probe, "periodSeconds", 10
    ) * probe_field(container, probe, "failureThreshold", 3)


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
                "when it may still load",
                fix="Add startupProbe: {httpGet: {path: /health, port: http}, periodSeconds: 2, "
                "failureThreshold: 600}.",
                severity=None if patience < _SHORT_START_SECONDS else Severity.WARNING,
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
        for probe in _KINDS:
            delay = probe_field(container, probe, "initialDelaySeconds", 0)
            if delay > _LONG_DELAY_SECONDS:
                yield container.at(
                    probe,
                    "initialDelaySeconds",
                    message=f"initialDelaySeconds is {delay}, so no pod serves before that",
                    fix="Remove it, and add a startupProbe with periodSeconds: 2.",
                )


@rule(
    name="probe-target",
    severity=Severity.ERROR,
    summary="A probe asks a port and a path that vLLM has",
    explain=(
        "A probe on a named port that the container does not declare never succeeds, nor one on a "
        "path that vLLM does not serve (it answers 404): the pod is never ready, or is killed. "
        f"Source: {_PROBES} and https://docs.vllm.ai/en/latest/serving/openai_compatible_server/. "
        "Ask /health; paths that are not in our list give a warning."
    ),
)
def probe_target(objects: Objects) -> Iterator[Hit]:
    """Probes of vLLM containers on unknown ports and paths."""
    for container in servers(objects):
        declared = {str(port.get("name")) for _, port in each(container.body, "ports")}
        for probe in _KINDS:
            port = container.get(probe, "httpGet", "port")
            path = container.get(probe, "httpGet", "path")
            if port is not None and whole(port) is None and str(port) not in declared:
                yield container.at(
                    probe,
                    "httpGet",
                    "port",
                    message=f"port is {port}, and container {container.name} declares no such port",
                    fix=f"Add {{name: {port}, containerPort: 8000}} to its ports.",
                )
            if path is not None and str(path) not in _PATHS:
                yield container.at(
                    probe,
                    "httpGet",
                    "path",
                    message=f"path is {path}, which vLLM does not serve as far as we know",
                    fix="Write path: /health.",
                    severity=Severity.WARNING,
                )
