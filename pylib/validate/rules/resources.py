"""CPU and memory of vLLM containers."""

from __future__ import annotations

from collections.abc import Iterator

from pylib import sizing
from pylib.facts import gke
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Hit, Objects
from pylib.validate.rules.quantities import gib, number
from pylib.validate.rules.registry import rule
from pylib.validate.rules.vllm_pods import (
    model_gib,
    servers,
)

_LEAST_CPU = 4


@rule(
    name="memory-model",
    severity=Severity.WARNING,
    summary="A pod has memory for the weights that it reads",
    explain=(
        "The page cache that holds the weights while they load counts against the container's "
        "memory: with less than the model and about 6 GiB the kernel drops pages that are still "
        "needed, or kills the server. The model's size comes from the annotation "
        f"{gke.MODEL_SIZE_GIB}; the arithmetic is sizing.memory_gib. Source: "
        "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/."
    ),
)
def memory_model(objects: Objects) -> Iterator[Hit]:
    """vLLM containers with less memory than their model needs."""
    for container in servers(objects):
        model = model_gib(container.pod)
        if model is None:
            continue
        wanted = sizing.memory_gib(model)
        for field in ("requests", "limits"):
            given = container.get("resources", field, "memory")
            size = gib(given)
            if size is not None and size < wanted:
                yield container.at(
                    "resources",
                    field,
                    "memory",
                    message=f"memory is {given}, a model of {model:g} GiB needs {wanted}Gi",
                    fix=f"Write memory: {wanted}Gi in requests and limits.",
                )
                break


@rule(
    name="cpu-limit",
    severity=Severity.WARNING,
    summary="vLLM is not throttled while it starts",
    explain=(
        "Start-up is CPU bound: imports, reading, copying to the GPU and compiling use several "
        "cores. A limit of 2 CPUs, as in published manifests, throttles all of it. Source: "
        "Breaking the Ice, arXiv 2606.07362. Drop the CPU limit, and request 8 or more."
    ),
)
def cpu_limit(objects: Objects) -> Iterator[Hit]:
    """vLLM containers with a limit of less than 4 CPUs."""
    for container in servers(objects):
        given = container.get("resources", "limits", "cpu")
        cores = number(given)
        if cores is not None and cores < _LEAST_CPU:
            yield container.at(
                "resources",
                "limits",
                "cpu",
                message=f"the CPU limit is {given}, which throttles vLLM while it starts",
                fix="Remove the CPU limit and request 8 CPUs.",
            )
