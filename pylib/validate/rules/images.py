"""Container images: pinned, and the ones that the nodes hold."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.facts import gke
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Hit, Objects, PodTemplate, texts
from pylib.validate.rules.registry import rule
from pylib.validate.rules.vllm_pods import Image, annotation, image_of, servers

_MOVING = frozenset({"", "latest", "nightly", "main", "master", "stable", "edge"})
_DOCKER_HUB = ("docker.io/", "index.docker.io/", "registry-1.docker.io/", "library/")


@rule(
    name="image-tag",
    severity=Severity.WARNING,
    summary="An image is named by version or digest",
    explain=(
        "No tag, latest or nightly name another image tomorrow: pods of one Deployment then run "
        "different versions, a rollback brings nothing back, and a baked image cache no longer "
        "holds what is asked for. Source: "
        "https://kubernetes.io/docs/concepts/containers/images/#image-names. Name a version, "
        "better with @sha256."
    ),
)
def image_tag(objects: Objects) -> Iterator[Hit]:
    """Images with a tag that moves, or none."""
    for pod in objects.pods():
        for container in pod.containers():
            reference = container.get("image")
            image = image_of(reference)
            if image.repository and not image.digest and image.tag in _MOVING:
                yield container.at(
                    "image",
                    message=f"{reference} names no fixed version",
                    fix=f"Write {image.repository}:<version>, or @sha256:<digest>.",
                )


def _normal(repository: str) -> str:
    for prefix in _DOCKER_HUB:
        repository = repository.removeprefix(prefix)
    return repository


def _holds(cached: Image, deployed: Image) -> bool:
    """Whether a cached image is the deployed one, as far as both say it."""
    return (
        _normal(cached.repository) == _normal(deployed.repository)
        and (not cached.digest or not deployed.digest or cached.digest == deployed.digest)
        and (
            cached.tag == deployed.tag or not cached.tag or bool(cached.digest and deployed.digest)
        )
    )


@rule(
    name="image-cached",
    severity=Severity.ERROR,
    summary="The deployed image is one that the nodes' image cache holds",
    explain=(
        "A node pool's secondary boot disk holds the images that were baked, by name and digest. "
        "Any other is pulled, in minutes, and nothing says so. Compared is the image of vLLM with "
        f"the annotation {gke.CACHED_IMAGES}. Source: "
        "https://cloud.google.com/kubernetes-engine/docs/how-to/data-container-image-preloading. "
        "Bake the new image and make a new node pool, or deploy the baked one."
    ),
)
def image_cached(objects: Objects) -> Iterator[Hit]:
    """vLLM containers whose image is not among those cached."""
    for container in servers(objects):
        listed = [
            item.strip()
            for item in annotation(container.pod, gke.CACHED_IMAGES).split(",")
            if item.strip()
        ]
        deployed = image_of(container.get("image"))
        if listed and not any(_holds(image_of(item), deployed) for item in listed):
            yield container.at(
                "image",
                message=f"{container.get('image')} is not in the nodes' image cache, which holds "
                f"{', '.join(listed)}",
                fix="Deploy a cached image, or bake this one.",
            )


@rule(
    name="image-pull-policy",
    severity=Severity.WARNING,
    summary="A large image is not asked for at every start",
    explain=(
        "With imagePullPolicy Always (also the default for latest) the kubelet asks the registry "
        "at every start, cached image or not: a registry that is away or throttles keeps a pod "
        "from starting. Source: https://kubernetes.io/docs/concepts/containers/images/"
        "#image-pull-policy. With a fixed tag or digest write IfNotPresent. Without a cache "
        "that we know of it is a note."
    ),
)
def image_pull_policy(objects: Objects) -> Iterator[Hit]:
    """vLLM containers that always pull."""
    for container in servers(objects):
        if container.get("imagePullPolicy") == "Always":
            yield container.at(
                "imagePullPolicy",
                message="imagePullPolicy is Always, so each start waits for the registry",
                fix="Write imagePullPolicy: IfNotPresent.",
                severity=None if _cached(container.pod) else Severity.NOTE,
            )


def _cached(pod: PodTemplate) -> bool:
    selector = texts(pod.get("nodeSelector"))
    on_disk = any(key.startswith(gke.SECONDARY_BOOT_DISK_LABEL) for key in selector)
    return on_disk or bool(annotation(pod, gke.CACHED_IMAGES))
