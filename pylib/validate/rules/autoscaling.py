"""Autoscalers and what they scale."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Hit, Objects, at, each, same_namespace, texts
from pylib.validate.rules.registry import rule
from pylib.validate.rules.scaling import Autoscaler, Scaling

_HPA = "https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/"
_KEDA = "https://keda.sh/docs/latest/reference/scaledobject-spec/"


@rule(
    name="hpa-target",
    severity=Severity.ERROR,
    summary="An autoscaler's target exists",
    explain=(
        "An HPA or ScaledObject whose target is absent scales nothing and says so only in its "
        f"status. Source: {_HPA}. A target in the cluster but not here gives a note, unless the "
        "manifests hold workloads of that kind and namespace."
    ),
)
def hpa_target(objects: Objects) -> Iterator[Hit]:
    """Autoscalers whose target is not here."""
    for scaler in Scaling(objects).autoscalers:
        namespace = scaler.manifest.namespace
        if objects.by_name(scaler.target_kind, namespace, scaler.target_name):
            continue
        others = [
            item.name
            for item in objects.of_kind(scaler.target_kind)
            if same_namespace(item.namespace, namespace)
        ]
        yield at(
            scaler.manifest,
            "spec",
            "scaleTargetRef",
            "name",
            message=f"the target {scaler.target} is not among these manifests",
            fix=f"Name one of {', '.join(others)}." if others else "Check kind and name.",
            severity=None if others else Severity.NOTE,
        )


@rule(
    name="hpa-bounds",
    severity=Severity.ERROR,
    summary="The least replicas are no more than the most",
    explain=(
        "An HPA with minReplicas above maxReplicas, or a maximum below 1, is refused by the API "
        f"server; KEDA refuses the same. Source: {_HPA}. Where minReplicas is absent it is 1 (0 "
        "for KEDA)."
    ),
)
def hpa_bounds(objects: Objects) -> Iterator[Hit]:
    """Autoscalers whose bounds cross."""
    for scaler in Scaling(objects).autoscalers:
        if scaler.most < 1 or scaler.least > scaler.most:
            yield at(
                scaler.manifest,
                *scaler.most_path,
                message=f"{scaler.least_path[-1]} is {scaler.least}, {scaler.most_path[-1]} is "
                f"{scaler.most}",
                fix=f"Write {scaler.most_path[-1]}: {max(1, scaler.least)} or more.",
            )


@rule(
    name="hpa-replicas",
    severity=Severity.WARNING,
    summary="A scaled Deployment does not say replicas",
    explain=(
        "Each apply or helm upgrade writes replicas back, so the pods that the autoscaler added "
        f"are killed and started again, model load and all. Source: {_HPA}"
        "#migrating-deployments-and-statefulsets-to-horizontal-autoscaling. Leave replicas out."
    ),
)
def hpa_replicas(objects: Objects) -> Iterator[Hit]:
    """Workloads with both replicas and an autoscaler."""
    scaling = Scaling(objects)
    for owner in objects.of_kind("Deployment", "StatefulSet"):
        scaler = next(scaling.of(owner), None)
        replicas = owner.get("spec", "replicas")
        if scaler is not None and replicas is not None:
            yield at(
                owner,
                "spec",
                "replicas",
                message=f"replicas is {replicas}, while {scaler.manifest.ref} scales it",
                fix="Remove replicas.",
            )


@rule(
    name="hpa-duplicate",
    severity=Severity.ERROR,
    summary="One workload has one autoscaler",
    explain=(
        "Two HPAs on one target each set replicas from their own metric, and undo one another "
        f"every 15 seconds. Source: {_HPA}. Put both metrics into one HPA; it takes the larger "
        "answer."
    ),
)
def hpa_duplicate(objects: Objects) -> Iterator[Hit]:
    """Autoscalers whose target has one already."""
    first: dict[tuple[str, str], Autoscaler] = {}
    for scaler in Scaling(objects).autoscalers:
        other = first.setdefault((scaler.manifest.namespace, scaler.target), scaler)
        if other is not scaler:
            yield at(
                scaler.manifest,
                "spec",
                "scaleTargetRef",
                message=f"{other.manifest.ref} scales {scaler.target} too",
                fix="Put the metrics of both into one.",
            )


def _outlives_pods(trigger: object) -> bool:
    """Whether a KEDA trigger has a value while no pod runs: anything but vLLM's own metrics."""
    metadata = texts(trigger.get("metadata")) if isinstance(trigger, dict) else {}
    kind = trigger.get("type") if isinstance(trigger, dict) else None
    return kind not in ("cpu", "memory") and not any("vllm:" in v for v in metadata.values())


@rule(
    name="keda-zero",
    severity=Severity.ERROR,
    summary="Scaling to zero has a signal that outlives the pods",
    explain=(
        "vLLM's own metrics come from its pods: with none running there is no value, and KEDA, "
        "whose minReplicaCount is 0 unless said, never starts the first pod again. Source: "
        f"{_KEDA} and https://keda.sh/docs/latest/concepts/scaling-deployments/. Add a trigger on "
        "something outside, such as a gateway's request count, or write minReplicaCount: 1."
    ),
)
def keda_zero(objects: Objects) -> Iterator[Hit]:
    """ScaledObjects that cannot come back from zero."""
    for scaler in Scaling(objects).autoscalers:
        if scaler.manifest.kind != "ScaledObject" or scaler.least > 0:
            continue
        triggers = [trigger for _, trigger in each(scaler.manifest, "spec", "triggers")]
        if not any(_outlives_pods(trigger) for trigger in triggers):
            yield at(
                scaler.manifest,
                "spec",
                "minReplicaCount",
                message="minReplicaCount is 0, and every trigger reads metrics of the pods "
                "themselves",
                fix="Write minReplicaCount: 1, or add a trigger on a signal from outside the pods.",
            )
        yield from _activation(scaler.manifest)


def _activation(manifest: Manifest) -> Iterator[Hit]:
    for index, trigger in each(manifest, "spec", "triggers"):
        metadata = texts(trigger.get("metadata"))
        query = trigger.get("type") == "prometheus" and _outlives_pods(trigger)
        if query and "activationThreshold" not in metadata:
            yield at(
                manifest,
                "spec",
                "triggers",
                index,
                "metadata",
                message="the trigger has no activationThreshold, so any value above 0 starts a pod",
                fix='Write activationThreshold: "0", or the value from which a pod is worth it.',
                severity=Severity.NOTE,
            )
