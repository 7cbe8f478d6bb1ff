"""Termination of vLLM pods, and what Kubernetes puts into their environment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pylib import sizing
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Container, Hit, Objects
from pylib.validate.rules.quantities import whole
from pylib.validate.rules.registry import rule
from pylib.validate.rules.vllm_pods import (
    arguments,
    option,
    servers,
)

_DEFAULT_GRACE_SECONDS = 30


def _drain_seconds(container: Container) -> int:
    found = option(arguments(container), "--shutdown-timeout")
    return (whole(found.text) or 0) if found else 0


def _pre_stop_seconds(container: Container) -> int:
    hook = container.get("lifecycle", "preStop")
    slept = whole(container.get("lifecycle", "preStop", "sleep", "seconds"))
    if slept is not None or not hook:
        return slept or 0
    command = container.get("lifecycle", "preStop", "exec", "command", default=[])
    words = " ".join(map(str, command)).split() if isinstance(command, list) else []
    for word, following in pairwise(words):
        if word.rpartition("/")[2] == "sleep" and following.rstrip("s;").isdecimal():
            return int(following.rstrip("s;"))
    return 0


@rule(
    name="grace-period",
    severity=Severity.ERROR,
    summary="A pod has time for preStop and for the requests in flight",
    explain=(
        "terminationGracePeriodSeconds (30 by default) counts from the deletion: preStop runs in "
        "it, then vLLM drains for its --shutdown-timeout. What is not done then is killed, and "
        "the answers in flight with it. Source: https://kubernetes.io/docs/concepts/workloads/pods/"
        "pod-lifecycle/#pod-termination. Write at least preStop + drain + a few seconds."
    ),
)
def grace_period(objects: Objects) -> Iterator[Hit]:
    """vLLM pods whose grace period is no longer than preStop and drain."""
    for container in servers(objects):
        stop, drain = _pre_stop_seconds(container), _drain_seconds(container)
        grace = whole(container.pod.get("terminationGracePeriodSeconds"))
        given = _DEFAULT_GRACE_SECONDS if grace is None else grace
        if stop + drain >= given:
            said = f"{given}" if grace is not None else f"not set, so {given}"
            yield container.pod.at(
                "terminationGracePeriodSeconds",
                message=f"terminationGracePeriodSeconds is {said}, preStop takes {stop} s and the "
                f"drain {drain} s of it",
                fix="Write terminationGracePeriodSeconds: "
                f"{sizing.grace_seconds(stop, drain, 15)}.",
            )


@rule(
    name="service-links",
    severity=Severity.ERROR,
    summary="No Service puts VLLM_PORT into vLLM's environment",
    explain=(
        "Kubernetes gives each pod variables for every Service of its namespace: one named vllm "
        "makes VLLM_PORT=tcp://…, which vLLM reads as its own port and refuses. Source: "
        "https://docs.vllm.ai/en/latest/configuration/env_vars/. Write enableServiceLinks: false, "
        "or rename the Service."
    ),
)
def service_links(objects: Objects) -> Iterator[Hit]:
    """vLLM pods with service links beside a Service named vllm."""
    for container in servers(objects):
        pod = container.pod
        service = objects.by_name("Service", pod.namespace, "vllm")
        if service is not None and pod.get("enableServiceLinks") is not False:
            yield pod.at(
                "enableServiceLinks",
                message="the Service vllm puts VLLM_PORT=tcp://… into this pod, and vLLM does not "
                "start",
                fix="Write enableServiceLinks: false.",
            )
