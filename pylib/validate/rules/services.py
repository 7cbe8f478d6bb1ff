"""Services: do they find pods, and ports in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.objects import (
    Hit,
    Objects,
    PodTemplate,
    at,
    each,
    texts,
)
from pylib.validate.rules.quantities import whole
from pylib.validate.rules.registry import rule
from pylib.validate.rules.workload import has_pods, pairs


@rule(
    name="service-selector",
    severity=Severity.ERROR,
    summary="A Service finds pods",
    explain=(
        "A Service whose selector matches no pod has no endpoints, and every request to it fails. "
        "Source: https://kubernetes.io/docs/concepts/services-networking/service/. Judged only "
        "where the manifests hold pods of that namespace."
    ),
)
def service_selector(objects: Objects) -> Iterator[Hit]:
    """Services whose selector matches no pod template."""
    for service in objects.of_kind("Service"):
        labels = texts(service.get("spec", "selector"))
        if not labels or objects.pods_matching(labels, service.namespace):
            continue
        if has_pods(objects, service.namespace):
            yield at(
                service,
                "spec",
                "selector",
                message=f"no pod here has the labels {pairs(labels)}",
                fix="Select labels that the pod template has.",
            )


def port_names(pod: PodTemplate) -> set[str]:
    """Names of the ports that the pod's containers declare."""
    return {
        str(port["name"])
        for container in pod.containers()
        for _, port in each(container.body, "ports")
        if port.get("name")
    }


def port_numbers(pod: PodTemplate) -> set[int]:
    """Numbers of the ports that the pod's containers declare."""
    return {
        number
        for container in pod.containers()
        for _, port in each(container.body, "ports")
        if (number := whole(port.get("containerPort"))) is not None
    }


@rule(
    name="service-target-port",
    severity=Severity.ERROR,
    summary="A Service's target port exists in its pods",
    explain=(
        "A targetPort given by name is looked up in the pods' containers; a name that no container "
        "declares gives no endpoint. A number is not looked up, so one that no container declares "
        "is only a warning, and nothing is said where pods declare no ports. Source: "
        "https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports."
    ),
)
def service_target_port(objects: Objects) -> Iterator[Hit]:
    """Target ports that the selected pods do not declare."""
    for service in objects.of_kind("Service"):
        labels = texts(service.get("spec", "selector"))
        for pod in objects.pods_matching(labels, service.namespace):
            for index, port in each(service, "spec", "ports"):
                yield from _target_port(service, index, port, pod)


def _target_port(
    service: Manifest, index: int, port: Mapping[str, object], pod: PodTemplate
) -> Iterator[Hit]:
    target = port.get("targetPort", port.get("port"))
    number, names, numbers = whole(target), port_names(pod), port_numbers(pod)
    if number is None and str(target) not in names:
        message = f"targetPort is {target}, and no container of {pod.owner.ref} has that port"
        severity = None
    elif number is not None and numbers and number not in numbers:
        declared = ", ".join(map(str, sorted(numbers)))
        message = f"targetPort is {number}, but {pod.owner.ref} declares {declared}"
        severity = Severity.WARNING
    else:
        return
    yield at(
        service,
        "spec",
        "ports",
        index,
        "targetPort",
        message=message,
        fix="Write the name of a port that the container declares.",
        severity=severity,
    )
