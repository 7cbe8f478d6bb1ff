"""Is there room in the namespace's ResourceQuotas for all pods of a first install together?

The dry run of one pod says whether one fits; a release of three cells, or of three replicas, needs
more.  https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pylib.diagnose.cause import Cause, Severity
from pylib.install.pods import Admitted, runs_already
from pylib.install.site import Site, size_of
from pylib.snapshot.bodies import Body, dig, part, parts
from pylib.snapshot.reader import Reader
from pylib.validate.rules.quantities import number

_PLAIN = ("cpu", "memory", "ephemeral-storage")


def room(site: Site, reader: Reader, admitted: list[Admitted]) -> Iterator[Cause]:
    """Quotas that the least number of pods would exceed, though one pod of each would fit."""
    needed: dict[str, float] = {}
    for one in admitted:
        for resource, amount in _asks(one.pod).items():
            needed[resource] = needed.get(resource, 0) + amount * _new_pods(site, one)
    for quota in reader.whole("ResourceQuota", "v1", "ResourceQuota", site.release.namespace):
        spec = part(quota, "spec")
        if spec.get("scopes") or spec.get("scopeSelector"):
            continue  # counts some pods only
        yield from _exceeded(site, quota, needed)


def _new_pods(site: Site, one: Admitted) -> int:
    if one.owner.kind != "Deployment":
        return 0 if one.owner in site.hooks else 1
    return max(0, size_of(site, one.owner) - runs_already(site, one.owner))


def _exceeded(site: Site, quota: Body, needed: Mapping[str, float]) -> Iterator[Cause]:
    hard, used = part(quota, "spec", "hard"), part(quota, "status", "used")
    name = dig(quota, "metadata", "name")
    for resource, limit in hard.items():
        taken = number(used.get(resource, "0")) or 0.0
        wanted = needed.get(resource, 0.0)
        if not wanted or taken + wanted <= (number(limit) or 0.0):
            continue
        yield Cause(
            "quota",
            Severity.ERROR,
            f"ResourceQuota/{name}",
            f"allows {resource}: {limit}, of which {used.get(resource, '0')} is used; the least "
            f"number of pods of the release needs {_amount(wanted)} more",
            "raise the quota, or lower autoscaling.minReplicas or the number of cells: "
            f"{site.kubectl(f'describe resourcequota {name}')}",
            final=True,
        )


def _asks(pod: Body) -> dict[str, float]:
    """What one pod counts for, by the names that quotas use."""
    found: dict[str, float] = {"pods": 1, "count/pods": 1}
    for kind in ("requests", "limits"):
        together: dict[str, float] = {}
        for container in parts(pod, "spec", "containers"):
            for resource, amount in _amounts(container, kind).items():
                together[resource] = together.get(resource, 0) + amount
        for container in parts(pod, "spec", "initContainers"):
            for resource, amount in _amounts(container, kind).items():
                together[resource] = max(together.get(resource, 0), amount)
        for resource, amount in together.items():
            found[f"{kind}.{resource}"] = amount
            if kind == "requests" and resource in _PLAIN:
                found[resource] = amount
    return found


def _amounts(container: Body, kind: str) -> dict[str, float]:
    stated = part(container, "resources", kind)
    return {resource: number(value) or 0.0 for resource, value in stated.items()}


def _amount(value: float) -> str:
    gib = value / 1024**3
    return f"{gib:g}Gi" if gib >= 1 else f"{value:g}"
