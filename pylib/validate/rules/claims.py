"""Pods and the claims that they mount."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.facts import gke
from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Hit, Objects, PodTemplate, each, texts
from pylib.validate.rules.registry import rule
from pylib.validate.rules.scaling import Scaling
from pylib.validate.rules.volumes import Use, Volumes, handle_of, zones_of_volume, zones_required

_WRITABLE_ONCE = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})


@rule(
    name="claim-missing",
    severity=Severity.NOTE,
    summary="A pod's claim is among the manifests",
    explain=(
        "The pod waits for ever for a claim that does not exist. It may live in the cluster "
        "already, so this is a note; but where the manifests hold claims of that namespace, a "
        "misspelt name is likelier and it is a warning. Source: "
        "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#claims-as-volumes."
    ),
)
def claim_missing(objects: Objects) -> Iterator[Hit]:
    """Uses of claims that are not here."""
    homes = {claim.namespace for claim in objects.of_kind("PersistentVolumeClaim")}
    for use in Volumes(objects).uses():
        if use.claim is None:
            near = bool(homes & {use.pod.namespace, ""}) or (bool(homes) and not use.pod.namespace)
            yield use.pod.at(
                "volumes",
                use.index,
                "persistentVolumeClaim",
                "claimName",
                message=f"the claim {use.claim_name} is not among these manifests",
                fix="Check the name; ignore this where the claim exists in the cluster.",
                severity=Severity.WARNING if near else None,
            )


@rule(
    name="claim-writable-mount",
    severity=Severity.WARNING,
    summary="A ReadOnlyMany claim is mounted read-only",
    explain=(
        "A claim that many nodes read cannot be written. Said at the mount too, the kubelet binds "
        "it read-only whatever the volume says, and a program that tries to write fails at once "
        "and plainly. Source: https://kubernetes.io/docs/concepts/storage/volumes/"
        "#read-only-mounts. Write readOnly: true at the mount or at persistentVolumeClaim."
    ),
)
def claim_writable_mount(objects: Objects) -> Iterator[Hit]:
    """Mounts of ReadOnlyMany claims that do not say readOnly."""
    for use in Volumes(objects).uses():
        if use.modes != ["ReadOnlyMany"] or use.read_only:
            continue
        for container in use.pod.containers():
            for index, mount in each(container.body, "volumeMounts"):
                if mount.get("name") == use.name and mount.get("readOnly") is not True:
                    yield container.at(
                        "volumeMounts",
                        index,
                        "readOnly",
                        message=f"container {container.name} mounts the ReadOnlyMany claim "
                        f"{use.claim_name} without readOnly",
                        fix="Write readOnly: true.",
                    )


@rule(
    name="claim-shared-writable",
    severity=Severity.ERROR,
    summary="More than one pod needs a claim that many nodes can mount",
    explain=(
        "ReadWriteOnce lets one node mount the volume: the second pod, on a GPU node of its own, "
        "hangs in ContainerCreating with a Multi-Attach error, which shows only when the "
        "autoscaler first adds a pod. Source: "
        "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes. Serve from "
        "a ReadOnlyMany volume, or keep one replica."
    ),
)
def claim_shared_writable(objects: Objects) -> Iterator[Hit]:
    """Workloads of several pods on a ReadWriteOnce claim."""
    scaling = Scaling(objects)
    for use in Volumes(objects).uses():
        modes = use.modes
        if not modes or not set(modes) <= _WRITABLE_ONCE:
            continue
        most = scaling.most_pods(use.pod.owner)
        if most > 1:
            yield use.pod.at(
                "volumes",
                use.index,
                "persistentVolumeClaim",
                "claimName",
                message=f"up to {most} pods mount the claim {use.claim_name}, which is {modes[0]}",
                fix="Use a ReadOnlyMany claim, or keep replicas and the autoscaler's maximum at 1.",
            )


@rule(
    name="claim-volume-mode",
    severity=Severity.ERROR,
    summary="A Block claim is a device, a Filesystem claim a mount",
    explain=(
        "The kubelet refuses to mount a volume of volumeMode Block under volumeMounts, and to map "
        "a Filesystem one under volumeDevices; the pod never starts. Source: https://kubernetes.io/"
        "docs/concepts/storage/persistent-volumes/#raw-block-volume-support. For files write "
        "volumeMode: Filesystem in the claim."
    ),
)
def claim_volume_mode(objects: Objects) -> Iterator[Hit]:
    """Uses that do not fit the claim's mode."""
    for use in Volumes(objects).uses():
        source = use.claim or use.volume
        if source is None:
            continue
        mode = source.get("spec", "volumeMode", default="Filesystem")
        wrong = "volumeMounts" if mode == "Block" else "volumeDevices"
        yield from _uses_under(use, wrong, str(mode))


def _uses_under(use: Use, field: str, mode: str) -> Iterator[Hit]:
    for container in use.pod.containers():
        for index, item in each(container.body, field):
            if item.get("name") == use.name:
                yield container.at(
                    field,
                    index,
                    message=f"container {container.name} has the claim {use.claim_name} under "
                    f"{field}, but its volumeMode is {mode}",
                    fix="Write volumeMode: Filesystem in the claim."
                    if mode == "Block"
                    else "Move it to volumeMounts.",
                )


def _zones_of_pod(pod: PodTemplate) -> tuple[str, set[str] | None]:
    """Zones that the pod asks for, ``None`` for any, and the field that says so."""
    selector = texts(pod.get("nodeSelector"))
    zone = selector.get(gke.ZONE) or selector.get(gke.PD_CSI_ZONE)
    if zone:
        return "nodeSelector", {zone}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    terms = pod.get("affinity", "nodeAffinity", required, "nodeSelectorTerms")
    return "affinity", zones_required(terms, gke.ZONE, gke.PD_CSI_ZONE)


def _zones_of_disk(volume: Manifest | None) -> set[str] | None:
    if volume is None:
        return None
    handle = handle_of(volume)
    if (
        handle
        and handle["scope"] == "zones"
        and handle["place"]
        not in (
            gke.MULTI_ZONE,
            gke.UNSPECIFIED,
        )
    ):
        return {handle["place"]}
    return zones_of_volume(volume)


@rule(
    name="pod-zone",
    severity=Severity.ERROR,
    summary="A pod asks for the zone of its disk",
    explain=(
        "A zonal disk attaches only in its zone; a pod that asks for nodes of another zone can "
        "never be scheduled (volume node affinity conflict), and the cluster autoscaler adds no "
        "node for it. Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/"
        "#node-affinity. Select the disk's zone."
    ),
)
def pod_zone(objects: Objects) -> Iterator[Hit]:
    """Pods whose zones and whose disk's zones have nothing in common."""
    for use in Volumes(objects).uses():
        (field, wanted), has = _zones_of_pod(use.pod), _zones_of_disk(use.volume)
        if wanted and has and not wanted & has:
            yield use.pod.at(
                field,
                message=f"the pod asks for {', '.join(sorted(wanted))}, but the disk behind the "
                f"claim {use.claim_name} is in {', '.join(sorted(has))}",
                fix=f"Write {gke.ZONE}: {min(has)} under nodeSelector, or use a disk of that zone.",
            )
