"""Quotas: limits, what is used, and the refusal when there is too little left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pylib.emulator.catalog import MACHINES
from pylib.emulator.errors import ApiError, Json, OperationFailedError
from pylib.emulator.naming import last
from pylib.emulator.world import World
from pylib.facts.gke_bake import cpu_metric, disk_metric

_FAMILIES = sorted({name.partition("-")[0] for name in MACHINES})
_REGION = {
    **{cpu_metric(f"{family}-"): 2400.0 for family in _FAMILIES},
    "DISKS_TOTAL_GB": 409600.0,
    "SSD_TOTAL_GB": 81920.0,
    "HDML_TOTAL_GB": 81920.0,
    "INSTANCES": 24000.0,
    "IN_USE_ADDRESSES": 2300.0,
    "NVIDIA_T4_GPUS": 64.0,
    "NVIDIA_L4_GPUS": 64.0,
    "NVIDIA_A100_GPUS": 64.0,
    "NVIDIA_H100_GPUS": 64.0,
}
_PROJECT = {
    "CPUS_ALL_REGIONS": 2400.0,
    "GPUS_ALL_REGIONS": 128.0,
    "IMAGES": 2000.0,
    "SNAPSHOTS": 5000.0,
    "NETWORKS": 50.0,
}
_GPU_METRICS = {
    "nvidia-tesla-t4": "NVIDIA_T4_GPUS",
    "nvidia-l4": "NVIDIA_L4_GPUS",
    "nvidia-tesla-a100": "NVIDIA_A100_GPUS",
    "nvidia-h100-80gb": "NVIDIA_H100_GPUS",
}
_STOPPED = {"TERMINATED", "SUSPENDED"}


def region_quotas(world: World, project: str, region: str) -> list[Json]:
    """Quotas of a region, as regions.get has them."""
    used = _region_usage(world, project, region)
    return [
        {"metric": metric, "limit": _limit(world, region, metric), "usage": float(used[metric])}
        for metric in _REGION
    ]


def project_quotas(world: World, project: str) -> list[Json]:
    """Quotas of the project, as projects.get has them."""
    used = _project_usage(world, project)
    return [
        {"metric": metric, "limit": _limit(world, "", metric), "usage": float(used[metric])}
        for metric in _PROJECT
    ]


def machine_need(machine_type: str, count: int = 1, *, address: bool = False) -> dict[str, float]:
    """What VMs of a type take of a region's quotas."""
    machine = MACHINES[machine_type]
    need = {cpu_metric(machine_type): float(machine.vcpus * count), "INSTANCES": float(count)}
    if machine.accelerator in _GPU_METRICS:
        need[_GPU_METRICS[machine.accelerator]] = float(machine.gpus * count)
    if address:
        need["IN_USE_ADDRESSES"] = float(count)
    return need


def disk_need(disk_type: str, gib: int) -> dict[str, float]:
    """What a disk takes of a region's quotas."""
    if disk_type.startswith("pd-"):
        return {disk_metric(disk_type): float(gib)}
    return {"HDML_TOTAL_GB": float(gib)} if disk_type == "hyperdisk-ml" else {}


def take(world: World, project: str, region: str, need: Mapping[str, float]) -> Json:
    """Check a region's quotas, and those over all regions.

    What is short is refused at once, or, where the settings put quota into operations, returned
    as an ``_error`` for the operation.
    """
    used = _region_usage(world, project, region)
    for metric, wanted in need.items():
        limit = _limit(world, region, metric)
        if used[metric] + wanted > limit:
            return _short(world, metric, limit, f"in region {region}")
    everywhere = _project_usage(world, project)
    cpus = _cpus(need)
    limit = _limit(world, "", "CPUS_ALL_REGIONS")
    if cpus and everywhere["CPUS_ALL_REGIONS"] + cpus > limit:
        return _short(world, "CPUS_ALL_REGIONS", limit, "globally")
    return {}


def take_global(world: World, project: str, metric: str) -> Json:
    """Check one more of a quota of the project, as :func:`take` does."""
    limit = _limit(world, "", metric)
    if _project_usage(world, project)[metric] + 1 > limit:
        return _short(world, metric, limit, "globally")
    return {}


def _cpus(amounts: Mapping[str, float]) -> float:
    return sum(amount for metric, amount in amounts.items() if metric.endswith("CPUS"))


def _short(world: World, metric: str, limit: float, where: str) -> Json:
    message = f"Quota '{metric}' exceeded.  Limit: {limit:.1f} {where}."
    if world.settings.quota_level == "operation":
        return {"_quota": {"code": "QUOTA_EXCEEDED", "message": message}}
    raise ApiError(403, "quotaExceeded", message)


def fail_short(data: Json) -> None:
    """End the operation if quota was short when it began."""
    if short := data.get("_quota"):
        raise OperationFailedError(short["code"], short["message"])


def _limit(world: World, region: str, metric: str) -> float:
    default = _REGION[metric] if region else _PROJECT[metric]
    return world.settings.quotas.get(f"{region}/{metric}" if region else metric, default)


def _region_usage(world: World, project: str, region: str) -> Counter[str]:
    used: Counter[str] = Counter()
    for ref, doc in world.store.find("disks", project).items():
        if _in_region(ref.scope, region) and not doc.get("_unpaid"):
            used.update(_whole(disk_need(last(doc["type"]), int(doc["sizeGb"]))))
    for ref, doc in world.store.find("instances", project).items():
        if _in_region(ref.scope, region) and not doc.get("_unpaid"):
            used.update(_whole(_vm_usage(doc)))
    for doc in world.store.find("nodePools", project).values():
        for zone in doc["locations"]:
            if _in_region(f"zones/{zone}", region) and doc["config"]["machineType"] in MACHINES:
                need = machine_need(doc["config"]["machineType"], doc.get("_nodes", 0))
                used.update(_whole(need))
    return used


def _vm_usage(doc: Json) -> dict[str, float]:
    if doc["status"] in _STOPPED:
        return {"INSTANCES": 1.0}
    cards = doc["networkInterfaces"]
    return machine_need(
        last(doc["machineType"]), address=any(card.get("accessConfigs") for card in cards)
    )


def _project_usage(world: World, project: str) -> Counter[str]:
    used: Counter[str] = Counter()
    for region in world.settings.regions:
        here = _region_usage(world, project, region)
        used["CPUS_ALL_REGIONS"] += int(_cpus(here))
        used["GPUS_ALL_REGIONS"] += sum(here[metric] for metric in _GPU_METRICS.values())
    used["IMAGES"] = len(world.store.find("images", project))
    used["SNAPSHOTS"] = len(world.store.find("snapshots", project))
    used["NETWORKS"] = 1
    return used


def _whole(need: Mapping[str, float]) -> dict[str, int]:
    return {metric: int(wanted) for metric, wanted in need.items()}


def _in_region(scope: str, region: str) -> bool:
    return scope.removeprefix("zones/").rpartition("-")[0] == region
