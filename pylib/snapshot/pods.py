"""What pods refer to: claims, Secrets, nodes.  Reads pods and pod templates alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pylib.snapshot.bodies import Body, dig, part, parts, word

SERVER = "vllm"
"""Name of the chart's serving container."""
DOWNLOAD = "download"
"""Name of the download Job's container, and of its pods' component."""


def pod_spec(body: Body) -> Body:
    """The pod spec of a pod, or of whatever has a pod template."""
    template = part(body, "spec", "template", "spec")
    return template or part(body, "spec")


def containers(body: Body) -> list[Body]:
    """All containers, those that run first come first."""
    spec = pod_spec(body)
    return [*parts(spec, "initContainers"), *parts(spec, "containers")]


def claim_names(bodies: Iterable[Body]) -> list[str]:
    """Names of the claims that pods mount, each once."""
    found = (
        word(volume, "persistentVolumeClaim", "claimName")
        for body in bodies
        for volume in parts(pod_spec(body), "volumes")
    )
    return list(dict.fromkeys(name for name in found if name))


def secret_keys(bodies: Iterable[Body]) -> dict[str, set[str]]:
    """Secrets that pods cannot start without, and the keys that they need of each."""
    needed: dict[str, set[str]] = {}
    for body in bodies:
        for name, keys in (*_mounted(body), *_in_environment(body)):
            needed.setdefault(name, set()).update(keys)
    return {name: keys for name, keys in needed.items() if name}


def pull_secrets(bodies: Iterable[Body]) -> list[str]:
    """Secrets for registries; a pod starts without them when the registry lets it."""
    found = (
        word(item, "name") for body in bodies for item in parts(pod_spec(body), "imagePullSecrets")
    )
    return list(dict.fromkeys(name for name in found if name))


def _mounted(body: Body) -> Iterator[tuple[str, set[str]]]:
    for volume in parts(pod_spec(body), "volumes"):
        for source in (part(volume, "secret"), *_projected(volume)):
            if source and source.get("optional") is not True:
                name = word(source, "secretName") or word(source, "name")
                yield name, {word(item, "key") for item in parts(source, "items")} - {""}


def _projected(volume: Body) -> list[Body]:
    return [part(source, "secret") for source in parts(volume, "projected", "sources")]


def _in_environment(body: Body) -> Iterator[tuple[str, set[str]]]:
    for container in containers(body):
        for source in parts(container, "envFrom"):
            if dig(source, "secretRef", "optional") is not True:
                yield word(source, "secretRef", "name"), set()
        for variable in parts(container, "env"):
            reference = part(variable, "valueFrom", "secretKeyRef")
            if reference.get("optional") is not True:
                yield word(reference, "name"), {word(reference, "key")} - {""}
