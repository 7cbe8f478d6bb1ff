"""What sizing says a pod's load should take, from what the chart wrote on pod and volume."""

from __future__ import annotations

import math
import re

from pylib import sizing
from pylib.facts import gke
from pylib.facts.vllm_loaders import reads_in_parallel
from pylib.snapshot.bodies import Body, named, parts, texts, word, words
from pylib.snapshot.model import Snapshot
from pylib.snapshot.pods import SERVER, claim_names
from pylib.timeline.model import Phase, Prediction
from pylib.validate.rules.quantities import gib, number


def prediction(snapshot: Snapshot, pod: Body, phases: list[Phase]) -> Prediction | None:
    """The predicted load of the weights; ``None`` when the pod does not say enough."""
    facts = words(pod, "metadata", "annotations")
    model = number(facts.get(gke.MODEL_SIZE_GIB))
    volume = _volume(snapshot, pod)
    kind = words(volume, "metadata", "annotations").get(gke.DISK_TYPE, "")
    size = gib(word(volume, "spec", "capacity", "storage"))
    machine = facts.get(gke.MACHINE_TYPE) or _machine(snapshot, pod)
    if model is None or size is None or not kind or not math.isfinite(model + size):
        return None
    ahead = _read_ahead(volume)
    parallel = reads_in_parallel(_arguments(pod))
    try:
        found = sizing.load_seconds(
            model, kind, size, parallel=parallel, read_ahead_kib=ahead, machine=machine
        )
    except ValueError:
        return None
    how = "many reads at once" if parallel else f"one read at a time, {ahead} KiB read ahead"
    where = f" on {machine}" if machine else ""
    return Prediction(
        seconds=found.seconds,
        limited_by=found.limited_by,
        mib_s=found.mib_s,
        basis=f"{model:g} GiB from a {kind} of {size:g} GiB{where}, {how}",
        actual=_actual(phases),
    )


def _actual(phases: list[Phase]) -> float | None:
    for name in ("load weights", "load model"):
        for phase in phases:
            if phase.name == name and phase.seconds is not None:
                return phase.seconds
    return None


def _volume(snapshot: Snapshot, pod: Body) -> Body | None:
    """The volume of the pod whose disk the chart described."""
    for name in claim_names([pod]):
        claim = snapshot.get("PersistentVolumeClaim", name)
        volume = snapshot.get("PersistentVolume", word(claim, "spec", "volumeName"))
        if volume and gke.DISK_TYPE in words(volume, "metadata", "annotations"):
            return volume
    return None


def _machine(snapshot: Snapshot, pod: Body) -> str | None:
    node = snapshot.get("Node", word(pod, "spec", "nodeName"))
    return words(node, "metadata", "labels").get(gke.INSTANCE_TYPE)


def _arguments(pod: Body) -> list[str]:
    return texts(named(parts(pod, "spec", "containers"), SERVER), "args")


def _read_ahead(volume: Body | None) -> int:
    for option in texts(volume, "spec", "mountOptions"):
        match = gke.READ_AHEAD.fullmatch(option)
        if match and re.fullmatch(r"[1-9]\d{0,7}", match[1]):
            return int(match[1])
    return gke.DEFAULT_READ_AHEAD_KIB
