"""Claims that do not bind, and why: no such volume, one of somebody else, one that does not fit.

Events and words are those of kubernetes/kubernetes pkg/controller/volume/persistentvolume@v1.36.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.scene import Scene, newest
from pylib.diagnose.wording import sentence
from pylib.snapshot.bodies import Body, name_of, part, ref_of, word, words
from pylib.snapshot.plain import plain
from pylib.snapshot.pods import claim_names

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_REFUSED = ("FailedBinding", "VolumeMismatch", "ProvisioningFailed")


def causes(scene: Scene) -> Iterator[Cause]:
    """Why claims that the release mounts are not bound."""
    workloads = scene.snapshot.of("Deployment", "Job")
    for name in claim_names([*workloads, *scene.pods()]):
        claim = scene.snapshot.get("PersistentVolumeClaim", name)
        if claim is None and scene.snapshot.could_read("PersistentVolumeClaim"):
            yield _absent(scene, name)
        elif claim is not None and word(claim, "status", "phase") == "Lost":
            yield _lost(scene, claim)
        elif claim is not None and word(claim, "status", "phase") != "Bound":
            yield from _pending(scene, claim)


def _absent(scene: Scene, name: str) -> Cause:
    return Cause(
        "claim-absent",
        Severity.ERROR,
        f"PersistentVolumeClaim/{name}",
        f"does not exist in namespace {scene.snapshot.namespace}, and pods mount it",
        scene.kubectl("get pvc") + "  # then set the right one in weights.claim.claims",
    )


def _lost(scene: Scene, claim: Body) -> Cause:
    volume = word(claim, "spec", "volumeName")
    return Cause(
        "claim-lost",
        Severity.ERROR,
        ref_of(claim),
        f"was bound to PersistentVolume/{volume}, which was deleted; a claim does not bind twice",
        scene.kubectl(f"delete pvc {name_of(claim)}")
        + "  # then run helm upgrade: it makes both anew",
        final=True,
    )


def _pending(scene: Scene, claim: Body) -> Iterator[Cause]:
    wanted = word(claim, "spec", "volumeName")
    volume = scene.volume_of(claim)
    if volume is not None:
        yield from _of_volume(scene, claim, volume)
    elif wanted and scene.snapshot.could_read("PersistentVolume"):
        yield Cause(
            "claim-not-bound",
            Severity.ERROR,
            ref_of(claim),
            f"asks for PersistentVolume/{wanted}, which does not exist",
            f"kubectl get pv {wanted}; then run helm upgrade, which makes it",
        )
    else:
        yield from _without_volume(scene, claim)


def _of_volume(scene: Scene, claim: Body, volume: Body) -> Iterator[Cause]:
    holder = part(volume, "spec", "claimRef")
    owner = f"{word(holder, 'namespace')}/{word(holder, 'name')}"
    own = f"{scene.snapshot.namespace}/{name_of(claim)}"
    other_uid = word(holder, "uid") not in ("", word(claim, "metadata", "uid"))
    if holder and owner != own:
        yield Cause(
            "volume-of-another-claim",
            Severity.ERROR,
            ref_of(claim),
            f"asks for {ref_of(volume)}, which belongs to the claim {plain(owner)}",
            f"kubectl describe pv {name_of(volume)}  # each release needs volumes of its own",
            final=True,
        )
    elif other_uid:
        yield Cause(
            "claim-bound-to-old-uid",
            Severity.ERROR,
            ref_of(claim),
            f"asks for {ref_of(volume)}, which still belongs to a deleted claim of the same name "
            f"(phase {plain(word(volume, 'status', 'phase'))}, its claimRef has the old uid)",
            f"kubectl patch pv {name_of(volume)} --type=json "
            """-p='[{"op":"remove","path":"/spec/claimRef/uid"}]'""",
            final=True,
        )
    else:
        reason = newest(scene.events(claim, *_REFUSED))
        if reason:
            yield _not_bound(scene, claim, sentence(reason), final=True)


def _without_volume(scene: Scene, claim: Body) -> Iterator[Cause]:
    chosen = word(claim, "spec", "storageClassName")
    reason = newest(scene.events(claim, *_REFUSED))
    classes = scene.snapshot.of("StorageClass")
    defaults = [
        item
        for item in classes
        if words(item, "metadata", "annotations").get(_DEFAULT_CLASS) == "true"
    ]
    if not chosen and not defaults and scene.snapshot.could_read("StorageClass"):
        there = ", ".join(name_of(item) for item in classes) or "none"
        yield Cause(
            "claim-not-bound",
            Severity.ERROR,
            ref_of(claim),
            f"names no StorageClass, and the cluster has no default one (there are: {there})",
            "set storageClassName for the claim in the values, e.g. standard-rwo; "
            + scene.kubectl(f"delete pvc {name_of(claim)}")
            + "; then run helm upgrade",
            final=True,
        )
    elif chosen and not any(name_of(item) == chosen for item in classes) and classes:
        there = ", ".join(name_of(item) for item in classes)
        yield _not_bound(
            scene, claim, f"there is no StorageClass {chosen}, only {there}", final=True
        )
    elif reason:
        yield _not_bound(scene, claim, sentence(reason))


def _not_bound(scene: Scene, claim: Body, reason: str, *, final: bool = False) -> Cause:
    return Cause(
        "claim-not-bound",
        Severity.ERROR,
        ref_of(claim),
        f"is not bound: {reason}",
        scene.kubectl(f"describe pvc {name_of(claim)}"),
        final=final,
    )
