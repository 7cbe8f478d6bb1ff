"""Node pools: which the config wants, and what is to be done where others are there.  Pure.

A secondary boot disk cannot be changed in place, nor a machine type in use: another image is
another pool.  A pool keeps the config's name while it fits; the next one gets a suffix made of what
it is, so that the same config finds the same pool again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from pylib import gcloud
from pylib.cloud.pools import NodePool, PoolSpec
from pylib.config.model import Cell, Config, Provisioning
from pylib.errors import Problem
from pylib.facts.gke import MAX_POOL_NAME
from pylib.lock import Lock
from pylib.names import release_labels
from pylib.provision.action import Action, Verb
from pylib.provision.owned import ours

BROKEN = frozenset({"ERROR", "RUNNING_WITH_ERROR"})
_SCALED = frozenset({"least", "most"})
_FREE = frozenset({"labels", "name", *_SCALED})
"""Fields that do not make another pool."""
_DIGITS = 6


@dataclass(frozen=True)
class Chosen:
    """The pool of a cell, by the name that it has or will have, and what is done to it."""

    cell: str
    spec: PoolSpec
    action: Action


def image_link(config: Config, lock: Lock) -> str | None:
    """Link of the image cache that nodes start with."""
    asked, cache = config.imageCache, lock.imageCache
    if not asked.enabled:
        return None
    if asked.existing and asked.name:
        return f"projects/{config.imagesProject or config.project}/global/images/{asked.name}"
    return None if cache is None else f"projects/{cache.project}/global/images/{cache.name}"


def wanted_pool(config: Config, cell: Cell, image: str | None) -> PoolSpec | None:
    """The pool that a cell asks for; ``None`` for a cell with a ComputeClass."""
    if cell.nodePool is None:
        return None
    return PoolSpec(
        location=config.cluster.location or config.region,
        cluster=config.cluster.name,
        name=cell.nodePool.name,
        zones=(cell.zone,),
        machine_type=cell.machineType,
        accelerator=cell.accelerator.type,
        accelerator_count=cell.accelerator.count,
        disk_type=cell.bootDisk.type,
        disk_gib=cell.bootDisk.sizeGiB,
        image=image,
        least=cell.minNodes,
        most=cell.maxNodes,
        labels=release_labels(config.release.name, config.release.namespace, cell=cell.key),
        spot=cell.provisioning is Provisioning.SPOT,
        reservation=cell.reservation,
        flex_start=cell.provisioning is Provisioning.FLEX_START,
        kms_key=config.kmsKey,
    )


def plan_pools(
    config: Config, lock: Lock, found: Mapping[str, NodePool], problems: list[Problem]
) -> Iterator[Chosen]:
    """The pool of each cell; what cannot be goes to ``problems``."""
    image = image_link(config, lock)
    for index, cell in enumerate(config.cells):
        spec = wanted_pool(config, cell, image)
        if spec is None or cell.nodePool is None:
            continue
        path = f"cells[{index}].nodePool"
        if cell.nodePool.existing:
            yield from _existing(cell, spec, found.get(spec.name), path, problems)
        else:
            yield from _own(config, cell, spec, found, path, problems)


def _existing(
    cell: Cell, spec: PoolSpec, found: NodePool | None, path: str, problems: list[Problem]
) -> Iterator[Chosen]:
    if found is None:
        message = f"{spec.path} is said to exist and does not"
        problems.append(Problem(path, message, "Mend the name, or write existing: false."))
        return
    for field in ("machine_type", "accelerator", "accelerator_count"):
        has, wants = getattr(found.spec, field), getattr(spec, field)
        if has != wants:
            message = f"{spec.path} has {field} {has!r}, not {wants!r} as the cell says"
            problems.append(Problem(path, message, "Change the cell to what exists."))
    if not set(spec.zones) & set(found.spec.zones):
        message = f"{spec.path} is in {', '.join(found.spec.zones)}, not in {cell.zone}"
        problems.append(Problem(path, message, "Change the cell's zone, or name another pool."))
    why = "existing: true"
    if spec.image and found.spec.image != spec.image:
        why += f"; its nodes start without {spec.image.rsplit('/', 1)[-1]}"
    yield Chosen(cell.key, found.spec, Action(Verb.CHECK, "node pool", spec.name, why))


def _own(
    config: Config,
    cell: Cell,
    spec: PoolSpec,
    found: Mapping[str, NodePool],
    path: str,
    problems: list[Problem],
) -> Iterator[Chosen]:
    named = [spec, replace(spec, name=suffixed(spec))]
    for candidate in named:
        there = found.get(candidate.name)
        if there is not None and ours(there.spec.labels, config) and not unlike(there.spec, spec):
            yield Chosen(cell.key, candidate, _kept(config.project, candidate, there))
            return
    for candidate in named:
        there = found.get(candidate.name)
        if there is None:
            first = found.get(spec.name)
            why = f"{spec.name} has another {', '.join(unlike(first.spec, spec))}" if first else ""
            command = gcloud.create_pool(config.project, candidate)
            action = Action(
                Verb.CREATE, "node pool", candidate.name, why, (command,), spec=candidate
            )
            yield Chosen(cell.key, candidate, action)
            return
        if not ours(there.spec.labels, config):
            message = f"{candidate.path} is not this release's; it is left alone"
            fix = "Write existing: true to use it as it is, or another name."
            problems.append(Problem(path, message, fix))
            return
    message = f"{spec.path} and {named[1].name} are there, and neither is as the cell says"
    problems.append(Problem(path, message, "Write another name."))


def _kept(project: str, spec: PoolSpec, there: NodePool) -> Action:
    if there.status == "STOPPING":
        line = gcloud.create_pool(project, spec)
        why = "the one of that name is being deleted"
        return Action(Verb.CREATE, "node pool", spec.name, why, (line,), spec=spec)
    if there.status in BROKEN:
        why = f"{there.status}: {there.message or 'no reason given'}"
        lines = (gcloud.delete_pool(project, spec), gcloud.create_pool(project, spec))
        return Action(Verb.REPLACE, "node pool", spec.name, why, lines, spec=spec)
    scaled = [field for field in sorted(_SCALED) if _differs(field, there.spec, spec)]
    if scaled:
        limits = f"{there.spec.least} to {there.spec.most}"
        why = f"{spec.least} to {spec.most} nodes, not {limits}"
        line = gcloud.scale_pool(project, spec)
        return Action(Verb.CHANGE, "node pool", spec.name, why, (line,), spec=spec)
    return Action(Verb.REUSE, "node pool", spec.name, spec=spec)


def unlike(one: PoolSpec, other: PoolSpec) -> list[str]:
    """Fields in which two pools differ that cannot be changed in place."""
    fields = (field for field in asdict(other) if field not in _FREE)
    return [field for field in fields if _differs(field, one, other)]


def suffixed(spec: PoolSpec) -> str:
    """The pool's name when another has the plain one."""
    fixed = {key: value for key, value in asdict(spec).items() if key not in _FREE}
    text = json.dumps(fixed, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return f"{spec.name[: MAX_POOL_NAME - _DIGITS - 1].rstrip('-')}-{digest}"


def _differs(field: str, one: PoolSpec, other: PoolSpec) -> bool:
    return bool(getattr(one, field) != getattr(other, field))
