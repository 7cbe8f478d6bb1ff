"""Pods that are ready and get no requests: a Service that selects none of them."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.nodes import pairs
from pylib.diagnose.scene import Scene, is_ready
from pylib.snapshot.bodies import Body, dig, name_of, parts, ref_of, words
from pylib.validate.words import count

_SERVICE = "kubernetes.io/service-name"


def causes(scene: Scene) -> Iterator[Cause]:
    """Services without a ready endpoint while pods are ready; without ready pods it is no news."""
    ready = [pod for pod in scene.pods() if is_ready(pod)]
    if not ready or not scene.snapshot.could_read("EndpointSlice"):
        return
    for service in scene.snapshot.of("Service"):
        selector = words(service, "spec", "selector")
        if selector and not any(_serves(part) for part in _endpoints(scene, service)):
            selected = [pod for pod in ready if selector.items() <= _labels(pod).items()]
            yield _none(scene, service, selector, len(selected))


def _none(scene: Scene, service: Body, selector: dict[str, str], selected: int) -> Cause:
    why = (
        f"its selector {pairs(selector)} matches none of the ready pods"
        if not selected
        else f"{count(selected, 'ready pod')} should be behind it, and the control plane has not "
        "listed any yet"
    )
    return Cause(
        "no-endpoints",
        Severity.WARNING if selected else Severity.ERROR,
        ref_of(service),
        f"has no ready endpoint: {why}",
        scene.kubectl(f"get endpointslices -l {_SERVICE}={name_of(service)} -o wide"),
        final=not selected,
    )


def _endpoints(scene: Scene, service: Body) -> list[Body]:
    return [
        endpoint
        for part in scene.snapshot.of("EndpointSlice")
        if words(part, "metadata", "labels").get(_SERVICE) == name_of(service)
        for endpoint in parts(part, "endpoints")
    ]


def _serves(endpoint: Body) -> bool:
    return dig(endpoint, "conditions", "ready") is not False


def _labels(pod: Body) -> dict[str, str]:
    return words(pod, "metadata", "labels")
