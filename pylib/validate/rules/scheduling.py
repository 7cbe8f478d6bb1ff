"""Node selectors and tolerations of GPU pods."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylib.facts import gke
from pylib.facts.machines import ACCELERATORS, family_of
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Hit, Objects, PodTemplate, each, texts
from pylib.validate.rules.registry import rule
from pylib.validate.rules.vllm_pods import gpus, machine_type

_MODE_VALUE = re.compile(rf"{gke.SECONDARY_BOOT_DISK_MODE}\.[a-z][a-z0-9-]{{4,28}}[a-z0-9]")


def _gpu_pods(objects: Objects) -> Iterator[PodTemplate]:
    for pod in objects.pods():
        if any(gpus(container) for container in pod.containers()):
            yield pod


def _tolerates(pod: PodTemplate, key: str) -> bool:
    return any(
        toleration.get("key") in (key, None, "") and toleration.get("effect") != "NoExecute"
        for _, toleration in each(pod.spec, "tolerations")
        if toleration.get("key") or toleration.get("operator") == "Exists"
    )


@rule(
    name="compute-class",
    severity=Severity.ERROR,
    summary="A ComputeClass is not combined with other node selectors",
    explain=(
        "A pod that selects a ComputeClass leaves node pool, machine, GPU and Spot to the class; "
        "asking for them too makes a request that no node of the class may fit, and the pod stays "
        "Pending. Source: https://cloud.google.com/kubernetes-engine/docs/concepts/"
        "about-custom-compute-classes. Keep cloud.google.com/compute-class alone."
    ),
)
def compute_class(objects: Objects) -> Iterator[Hit]:
    """Pods with a compute class and what the class decides."""
    for pod in objects.pods():
        selector = texts(pod.get("nodeSelector"))
        if gke.COMPUTE_CLASS not in selector:
            continue
        for key in sorted(gke.BESIDE_COMPUTE_CLASS & selector.keys()):
            yield pod.at(
                "nodeSelector",
                key,
                message=f"{key}={selector[key]} stands beside the compute class "
                f"{selector[gke.COMPUTE_CLASS]}, which decides it",
                fix=f"Remove {key}, or {gke.COMPUTE_CLASS}.",
            )


@rule(
    name="gpu-toleration",
    severity=Severity.NOTE,
    summary="A GPU pod tolerates the taint of GPU nodes",
    explain=(
        "GKE taints GPU nodes with nvidia.com/gpu=present:NoSchedule where the cluster has other "
        "nodes too. It adds the toleration to pods that ask for GPUs, but other admission paths "
        "and clusters do not. Source: "
        "https://cloud.google.com/kubernetes-engine/docs/how-to/gpus. Write it out."
    ),
)
def gpu_toleration(objects: Objects) -> Iterator[Hit]:
    """Pods that ask for GPUs without the toleration."""
    for pod in _gpu_pods(objects):
        if not _tolerates(pod, gke.GPU):
            yield pod.at(
                "tolerations",
                message=f"the pod asks for GPUs and does not tolerate the taint {gke.GPU}",
                fix=f"Add {{key: {gke.GPU}, operator: Exists, effect: NoSchedule}}.",
            )


@rule(
    name="accelerator-label",
    severity=Severity.ERROR,
    summary="The selected accelerator is one that GKE has, on the selected machine",
    explain=(
        f"Nodes carry {gke.ACCELERATOR} with GKE's name of the GPU; another spelling selects no "
        "node, nor does a machine type with other GPUs, and the pod stays Pending. Source: "
        "https://cloud.google.com/kubernetes-engine/docs/how-to/gpus. A name that is not in our "
        "table may be new, so it gives a warning."
    ),
)
def accelerator_label(objects: Objects) -> Iterator[Hit]:
    """Pods that select an accelerator that no node has."""
    for pod in objects.pods():
        label = texts(pod.get("nodeSelector")).get(gke.ACCELERATOR, "")
        if not label or label.startswith(("tpu", "ct")):
            continue
        accelerator = ACCELERATORS.get(label)
        family = family_of(machine_type(pod, objects))
        if accelerator is None:
            yield pod.at(
                "nodeSelector",
                gke.ACCELERATOR,
                message=f"{label} is no accelerator name that we know",
                fix=f"Use one of {', '.join(ACCELERATORS)}.",
                severity=Severity.WARNING,
            )
        elif family is not None and family.name != accelerator.family:
            yield pod.at(
                "nodeSelector",
                gke.ACCELERATOR,
                message=f"{label} is not in machines like {machine_type(pod, objects)}",
                fix=f"Use a machine of the family {accelerator.family}, or its own accelerator.",
            )


@rule(
    name="secondary-boot-disk",
    severity=Severity.ERROR,
    summary="The selector of a secondary boot disk is well formed",
    explain=(
        f"Autopilot and auto-provisioning read {gke.SECONDARY_BOOT_DISK_LABEL}<image> with the "
        f"value {gke.SECONDARY_BOOT_DISK_MODE}.<project>. A label name has at most {gke.MAX_LABEL} "
        f"characters, so the image's name at most {gke.MAX_SECONDARY_BOOT_DISK_IMAGE}. Source: "
        "https://cloud.google.com/kubernetes-engine/docs/how-to/data-container-image-preloading "
        "and https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/."
    ),
)
def secondary_boot_disk(objects: Objects) -> Iterator[Hit]:
    """Selectors whose image name is too long or whose value says something else."""
    for pod in objects.pods():
        for key, value in texts(pod.get("nodeSelector")).items():
            if not key.startswith(gke.SECONDARY_BOOT_DISK_LABEL):
                continue
            image = key.removeprefix(gke.SECONDARY_BOOT_DISK_LABEL)
            if len(image) > gke.MAX_SECONDARY_BOOT_DISK_IMAGE:
                yield pod.at(
                    "nodeSelector",
                    key,
                    message=f"the disk image {image} has {len(image)} characters, a label leaves "
                    f"{gke.MAX_SECONDARY_BOOT_DISK_IMAGE}",
                    fix="Bake the image under a shorter name.",
                )
            if not _MODE_VALUE.fullmatch(value):
                yield pod.at(
                    "nodeSelector",
                    key,
                    message=f"the value is {value}",
                    fix=f"Write {gke.SECONDARY_BOOT_DISK_MODE}.<project id>.",
                )
