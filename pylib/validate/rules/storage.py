"""PersistentVolumes and their claims: do the two halves fit each other."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.objects import Hit, Objects, at, same_namespace
from pylib.validate.rules.quantities import number
from pylib.validate.rules.registry import rule
from pylib.validate.rules.volumes import (
    Volumes,
    access_modes,
    listed,
)

_BINDING = (
    "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reserving-a-persistentvolume"
)


@rule(
    name="pv-pvc-pair",
    severity=Severity.ERROR,
    summary="A PersistentVolume and its claim name each other and agree",
    explain=(
        "A static volume and its claim bind only when claimRef and volumeName point at each other, "
        "the storage classes are equal, the claim asks for no more than the volume has, and its "
        f"access modes and volume mode are among the volume's. Source: {_BINDING}. Otherwise the "
        "claim stays Pending and with it every pod. Write the same values on both."
    ),
)
def pv_pvc_pair(objects: Objects) -> Iterator[Hit]:
    """The claim's side and the volume's side of each pair."""
    volumes = Volumes(objects)
    for claim in objects.of_kind("PersistentVolumeClaim"):
        volume = volumes.volume_of(claim)
        if volume is None:
            yield from _volume_absent(claim, objects)
            continue
        yield from _claim_ref(claim, volume)
        yield from _class(claim, volume)
        yield from _capacity(claim, volume)
        yield from _modes(claim, volume)


def _volume_absent(claim: Manifest, objects: Objects) -> Iterator[Hit]:
    name = claim.get("spec", "volumeName")
    if name and objects.of_kind("PersistentVolume"):
        yield at(
            claim,
            "spec",
            "volumeName",
            message=f"volumeName is {name}, and no PersistentVolume here has that name",
            fix="Name a PersistentVolume of these manifests, or add the missing one.",
            severity=Severity.WARNING,
        )


def _claim_ref(claim: Manifest, volume: Manifest) -> Iterator[Hit]:
    reference = volume.get("spec", "claimRef")
    if not reference:
        return
    name = str(volume.get("spec", "claimRef", "name", default=""))
    namespace = str(volume.get("spec", "claimRef", "namespace", default=""))
    wanted = f"claimRef: {{namespace: {claim.namespace or '<namespace>'}, name: {claim.name}}}"
    if name != claim.name or not same_namespace(namespace, claim.namespace):
        yield at(
            volume,
            "spec",
            "claimRef",
            message=f"claimRef is {namespace}/{name}, but {claim.ref} names this volume",
            fix=f"Write {wanted}, or another volumeName in the claim.",
        )
    elif not namespace:
        yield at(
            volume,
            "spec",
            "claimRef",
            message=f"claimRef names {name} without a namespace, so it reserves nothing",
            fix=f"Write {wanted}.",
        )


def _class(claim: Manifest, volume: Manifest) -> Iterator[Hit]:
    theirs = claim.get("spec", "storageClassName")
    ours = str(volume.get("spec", "storageClassName", default=""))
    if theirs is not None and theirs != ours:
        yield at(
            claim,
            "spec",
            "storageClassName",
            message=f'storageClassName is "{theirs}", that of {volume.ref} is "{ours}"',
            fix='Write storageClassName: "" in both.',
        )


def _capacity(claim: Manifest, volume: Manifest) -> Iterator[Hit]:
    wanted = claim.get("spec", "resources", "requests", "storage")
    given = volume.get("spec", "capacity", "storage")
    asked, has = number(wanted), number(given)
    if asked is not None and has is not None and asked > has:
        yield at(
            claim,
            "spec",
            "resources",
            "requests",
            "storage",
            message=f"asks for {wanted}, but {volume.ref} has {given}",
            fix=f"Write storage: {given}.",
        )


def _modes(claim: Manifest, volume: Manifest) -> Iterator[Hit]:
    asked, has = access_modes(claim), access_modes(volume)
    if has and not set(asked) <= set(has):
        yield at(
            claim,
            "spec",
            "accessModes",
            message=f"accessModes is {listed(asked)}, that of {volume.ref} is {listed(has)}",
            fix=f"Write accessModes: {listed(has)}.",
        )
    theirs = claim.get("spec", "volumeMode", default="Filesystem")
    ours = volume.get("spec", "volumeMode", default="Filesystem")
    if theirs != ours:
        yield at(
            claim,
            "spec",
            "volumeMode",
            message=f"volumeMode is {theirs}, that of {volume.ref} is {ours}",
            fix=f"Write volumeMode: {ours}.",
        )


@rule(
    name="pvc-storage-class",
    severity=Severity.ERROR,
    summary="A claim on a static volume says storageClassName",
    explain=(
        "Without storageClassName the default class of the cluster is filled in (standard-rwo on "
        "GKE), and a new, empty disk is made instead of binding the one with the weights. Source: "
        "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#class-1. Write "
        'storageClassName: "" in the claim.'
    ),
)
def pvc_storage_class(objects: Objects) -> Iterator[Hit]:
    """Claims that name or select a volume, with no class."""
    volumes = Volumes(objects)
    for claim in objects.of_kind("PersistentVolumeClaim"):
        volume = volumes.volume_of(claim)
        static = claim.get("spec", "volumeName") or claim.get("spec", "selector") or volume
        named = volume is not None and volume.get("spec", "storageClassName", default="")
        if static and not named and claim.get("spec", "storageClassName") is None:
            yield at(
                claim,
                "spec",
                "storageClassName",
                message="storageClassName is missing, so the default class makes an empty disk",
                fix='Write storageClassName: "".',
            )


@rule(
    name="pv-reserved",
    severity=Severity.WARNING,
    summary="A static volume is reserved for its claim",
    explain=(
        "A PersistentVolume without claimRef goes to the first claim that fits, in any namespace: "
        "with several zones or models also to the wrong one, and the label selector of the claim "
        f"does not keep others away. Source: {_BINDING}. Write claimRef with namespace and name."
    ),
)
def pv_reserved(objects: Objects) -> Iterator[Hit]:
    """PersistentVolumes without a claimRef."""
    for volume in objects.of_kind("PersistentVolume"):
        if not volume.get("spec", "claimRef"):
            yield at(
                volume,
                "spec",
                "claimRef",
                message=f"{volume.name} has no claimRef, so any claim that fits may take it",
                fix="Write claimRef: {namespace: <namespace>, name: <claim>}.",
            )
