"""How many pods an object can make, and what scales it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from pylib.manifests import Manifest
from pylib.validate.rules.objects import Objects, Path
from pylib.validate.rules.quantities import whole

KEDA_DEFAULT_MAX = 100
KEDA_DEFAULT_MIN = 0
"""https://keda.sh/docs/latest/reference/scaledobject-spec/."""


@dataclass(frozen=True)
class Autoscaler:
    """An HPA or ScaledObject with its bounds; ``least`` and ``most`` have their defaults."""

    manifest: Manifest
    target_kind: str
    target_name: str
    least: int
    most: int
    least_path: Path
    most_path: Path

    @property
    def target(self) -> str:
        """The target as ``Kind/name``."""
        return f"{self.target_kind}/{self.target_name}"


def _autoscaler(manifest: Manifest) -> Autoscaler:
    keda = manifest.kind == "ScaledObject"
    names = ("minReplicaCount", "maxReplicaCount") if keda else ("minReplicas", "maxReplicas")
    least = whole(manifest.get("spec", names[0]))
    most = whole(manifest.get("spec", names[1]))
    return Autoscaler(
        manifest=manifest,
        target_kind=str(manifest.get("spec", "scaleTargetRef", "kind", default="Deployment")),
        target_name=str(manifest.get("spec", "scaleTargetRef", "name", default="")),
        least=(KEDA_DEFAULT_MIN if keda else 1) if least is None else least,
        most=(KEDA_DEFAULT_MAX if keda else 1) if most is None else most,
        least_path=("spec", names[0]),
        most_path=("spec", names[1]),
    )


class Scaling:
    """Autoscalers of a run by their targets."""

    def __init__(self, objects: Objects) -> None:
        self.autoscalers = tuple(
            map(_autoscaler, objects.of_kind("HorizontalPodAutoscaler", "ScaledObject"))
        )
        self._by_target: dict[tuple[str, str], dict[str, list[Autoscaler]]] = defaultdict(dict)
        for scaler in self.autoscalers:
            homes = self._by_target[scaler.target_kind, scaler.target_name]
            homes.setdefault(scaler.manifest.namespace, []).append(scaler)

    def of(self, owner: Manifest) -> Iterator[Autoscaler]:
        """The autoscalers of one object."""
        homes = self._by_target.get((owner.kind, owner.name), {})
        near = [owner.namespace, ""] if owner.namespace else [*homes]
        for namespace in near:
            yield from homes.get(namespace, ())

    def most_pods(self, owner: Manifest) -> int:
        """Most pods of this object at one time, without the surplus of a rollout."""
        if owner.kind == "Job":
            return whole(owner.get("spec", "parallelism")) or 1
        if owner.kind == "CronJob":
            return whole(owner.get("spec", "jobTemplate", "spec", "parallelism")) or 1
        fixed = whole(owner.get("spec", "replicas"))
        return max(
            (scaler.most for scaler in self.of(owner)), default=1 if fixed is None else fixed
        )
