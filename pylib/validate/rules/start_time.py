"""Do probes allow vLLM the time that its weights need to load."""

from __future__ import annotations

from collections.abc import Iterator

from pylib import sizing
from pylib.facts import gke
from pylib.facts.disks import DISK_TYPES, read_mib_s
from pylib.facts.vllm_loaders import reads_in_parallel
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Container, Hit, Objects
from pylib.validate.rules.probes import probe_field, probe_seconds
from pylib.validate.rules.quantities import gib, whole
from pylib.validate.rules.registry import rule
from pylib.validate.rules.vllm_pods import (
    arguments,
    machine_type,
    model_gib,
    servers,
)
from pylib.validate.rules.volumes import Volumes, disk_type_of


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
            f"{-(-wanted // max(1, probe_field(container, 'startupProbe', 'periodSeconds', 10)))}.",
            severity=None if budget < load else Severity.WARNING,
        )


def _load_seconds(container: Container, volumes: Volumes, objects: Objects) -> float | None:
    model = model_gib(container.pod)
    if model is None:
        return None
    parallel = reads_in_parallel(word.text for word in arguments(container))
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
