"""Workloads and what selects their pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.objects import (
    Hit,
    Objects,
    at,
    same_namespace,
    selects,
    texts,
)
from pylib.validate.rules.quantities import whole
from pylib.validate.rules.registry import rule
from pylib.validate.rules.scaling import Scaling

_CONTROLLERS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


def pairs(labels: Mapping[str, str]) -> str:
    """Labels as ``key=value``, separated by commas."""
    return ", ".join(f"{key}={value}" for key, value in labels.items())


def has_pods(objects: Objects, namespace: str) -> bool:
    """Whether these manifests hold pods of a namespace, so that a selector can be judged."""
    return any(same_namespace(pod.namespace, namespace) for pod in objects.pods())


@rule(
    name="workload-selector",
    severity=Severity.ERROR,
    summary="A workload selects the pods of its own template",
    explain=(
        "The API server refuses a Deployment whose selector does not match its template's labels. "
        "Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector. "
        "Copy the selector's labels into the template; a selector cannot change later."
    ),
)
def workload_selector(objects: Objects) -> Iterator[Hit]:
    """Controllers whose selector misses their template."""
    for owner in objects.of_kind(*_CONTROLLERS):
        selector = owner.get("spec", "selector")
        for pod in objects.pods_of(owner):
            if isinstance(selector, Mapping) and not selects(selector, pod.labels):
                yield at(
                    owner,
                    "spec",
                    "selector",
                    message=f"the selector {pairs(texts(selector.get('matchLabels')))} does not "
                    f"match the template's labels {pairs(pod.labels)}",
                    fix="Give the template the labels of the selector.",
                )


@rule(
    name="selector-overlap",
    severity=Severity.ERROR,
    summary="No two workloads select the same pods",
    explain=(
        "An autoscaler counts the pods that its target's selector finds. Where two Deployments "
        "find each other's pods it reports AmbiguousSelector and stops scaling, and the "
        "controllers may fight over the pods. Source: https://kubernetes.io/docs/tasks/"
        "run-application/horizontal-pod-autoscale/#algorithm-details. Add a label that tells them "
        "apart, such as the cell."
    ),
)
def selector_overlap(objects: Objects) -> Iterator[Hit]:
    """Workloads whose selector also finds the pods of an earlier one."""
    for owner in objects.of_kind(*_CONTROLLERS):
        selector = owner.get("spec", "selector")
        if not isinstance(selector, Mapping) or not selector.get("matchLabels"):
            continue
        for pod in objects.pods_selected(selector, owner.namespace):
            other = pod.owner
            if other.kind in _CONTROLLERS and other.ref != owner.ref:
                yield at(
                    owner,
                    "spec",
                    "selector",
                    message=f"the selector also finds the pods of {other.ref}",
                    fix="Add a label to selector and template that only this workload has.",
                )


@rule(
    name="pdb-selector",
    severity=Severity.ERROR,
    summary="A PodDisruptionBudget finds pods and lets a node drain",
    explain=(
        "A budget that selects no pod protects nothing. One that lets no pod go (maxUnavailable "
        "0, or minAvailable at the number of pods) blocks every drain and node upgrade; GKE then "
        "waits an hour and evicts all the same. Source: https://kubernetes.io/docs/tasks/"
        "run-application/configure-pdb/. Write maxUnavailable: 1."
    ),
)
def pdb_selector(objects: Objects) -> Iterator[Hit]:
    """Budgets that select nothing, or forbid everything."""
    scaling = Scaling(objects)
    for budget in objects.of_kind("PodDisruptionBudget"):
        pods = objects.pods_selected(budget.get("spec", "selector"), budget.namespace)
        if not pods and has_pods(objects, budget.namespace):
            labels = pairs(texts(budget.get("spec", "selector", "matchLabels")))
            yield at(
                budget,
                "spec",
                "selector",
                message=f"no pod here has the labels {labels}",
                fix="Select labels that the pod template has.",
            )
        yield from _blocks(budget, sum(scaling.most_pods(pod.owner) for pod in pods))


def _blocks(budget: Manifest, pods: int) -> Iterator[Hit]:
    away, stay = budget.get("spec", "maxUnavailable"), budget.get("spec", "minAvailable")
    least = whole(stay)
    field, value = "", None
    if away in (0, "0", "0%"):
        field, value = "maxUnavailable", away
    elif stay == "100%" or (pods and least is not None and least >= pods):
        field, value = "minAvailable", stay
    if field:
        yield at(
            budget,
            "spec",
            field,
            message=f"{field} is {value}, so no pod may ever be evicted and no node drains",
            fix="Write maxUnavailable: 1.",
            severity=Severity.WARNING,
        )
