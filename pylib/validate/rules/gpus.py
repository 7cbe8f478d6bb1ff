"""GPUs of vLLM containers."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.facts import gke
from pylib.facts.machines import ACCELERATORS, MACHINE_TYPES, most_gpus
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Container, Hit, Objects, each, texts
from pylib.validate.rules.registry import rule
from pylib.validate.rules.vllm_pods import (
    arguments,
    gpus,
    machine_type,
    model_gib,
    option,
    servers,
)


@rule(
    name="gpu-request",
    severity=Severity.ERROR,
    summary="A pod for GPU nodes asks for GPUs, under limits",
    explain=(
        "GPUs are given by limits, and requests must be equal; requests alone are refused by the "
        "API server. A vLLM pod that selects GPU nodes and asks for none sees no GPU. And no "
        "machine has more GPUs than its family's largest. Source: "
        "https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/."
    ),
)
def gpu_request(objects: Objects) -> Iterator[Hit]:
    """vLLM containers that ask for GPUs oddly, for too many, or not at all."""
    for container in servers(objects):
        limit = container.get("resources", "limits", gke.GPU)
        request = container.get("resources", "requests", gke.GPU)
        if request is not None and str(request) != str(limit):
            yield container.at(
                "resources",
                "limits",
                gke.GPU,
                message=f"requests {gke.GPU}: {request}, but the limit is {limit or 'missing'}",
                fix=f"Write {gke.GPU}: {request} under limits.",
            )
        yield from _gpus_of_node(container, objects)


def _gpus_of_node(container: Container, objects: Objects) -> Iterator[Hit]:
    label = texts(container.pod.get("nodeSelector")).get(gke.ACCELERATOR, "")
    machine = MACHINE_TYPES.get(machine_type(container.pod, objects))
    most = machine.gpus if machine else most_gpus(label)
    given = gpus(container)
    if label and given is None:
        yield container.at(
            "resources",
            "limits",
            gke.GPU,
            message=f"the pod selects nodes with {label}, but asks for no GPU",
            fix=f"Write {gke.GPU}: 1 under limits.",
        )
    elif given is not None and most is not None and given > most:
        where = machine.name if machine else f"the largest machine with {label}"
        yield container.at(
            "resources",
            "limits",
            gke.GPU,
            message=f"asks for {given} GPUs, {where} has {most}",
            fix=f"Ask for at most {most}.",
        )


@rule(
    name="gpu-memory",
    severity=Severity.ERROR,
    summary="The weights fit into the GPUs",
    explain=(
        "Weights larger than the memory of the pod's GPUs cannot be loaded, whatever the "
        "arguments; and the KV cache needs room beside them. The model's size comes from the "
        f"annotation {gke.MODEL_SIZE_GIB}, the GPU from the node selector {gke.ACCELERATOR}. "
        "Source: https://cloud.google.com/compute/docs/gpus. Take more GPUs or a larger one, or "
        "let --cpu-offload-gb say that it is meant."
    ),
)
def gpu_memory(objects: Objects) -> Iterator[Hit]:
    """vLLM containers whose GPUs are smaller than the model."""
    for container in servers(objects):
        label = texts(container.pod.get("nodeSelector")).get(gke.ACCELERATOR, "")
        accelerator, model = ACCELERATORS.get(label), model_gib(container.pod)
        count = gpus(container)
        if accelerator is None or model is None or count is None:
            continue
        if option(arguments(container), "--cpu-offload-gb"):
            continue
        if model > count * accelerator.memory_gb:
            yield container.at(
                "resources",
                "limits",
                gke.GPU,
                message=f"{count} of {label} have {count * accelerator.memory_gb} GB, the model "
                f"{model:g} GiB",
                fix=f"Ask for {-(-model // accelerator.memory_gb):g} GPUs or more, or a larger "
                "accelerator.",
            )


@rule(
    name="shared-memory",
    severity=Severity.WARNING,
    summary="Workers on several GPUs have shared memory",
    explain=(
        "vLLM's workers and NCCL pass data through /dev/shm, of which a container has 64 MiB "
        "unless a volume is mounted there: with several GPUs the start fails or hangs. Source: "
        "https://docs.vllm.ai/en/latest/deployment/k8s/. Mount an emptyDir of medium Memory, with "
        "a sizeLimit, at /dev/shm; it counts against the memory limit."
    ),
)
def shared_memory(objects: Objects) -> Iterator[Hit]:
    """vLLM containers with several GPUs and nothing at /dev/shm."""
    for container in servers(objects):
        count = gpus(container)
        mounts = {str(mount.get("mountPath")) for _, mount in each(container.body, "volumeMounts")}
        if count is None or count < 2 or container.pod.get("hostIPC") is True:
            continue
        if not {"/dev/shm", "/dev/shm/"} & mounts:
            yield container.at(
                "volumeMounts",
                message=f"container {container.name} has {count} GPUs and 64 MiB of /dev/shm",
                fix="Mount emptyDir: {medium: Memory, sizeLimit: 8Gi} at /dev/shm.",
            )
