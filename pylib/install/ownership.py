"""Objects that exist already and are not this release's; volumes that another claim holds."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.install.site import MANAGED_BY, RELEASE_NAME, RELEASE_NAMESPACE, Site
from pylib.kube import Body
from pylib.manifests import Manifest
from pylib.snapshot.bodies import part, word


def strangers(site: Site) -> Iterator[Cause]:
    """Objects of our names that helm would refuse to touch."""
    for manifest in site.objects:
        live = site.live.get(manifest.ref)
        if live is None or site.is_ours(live):
            continue
        yield Cause(
            "not-ours",
            Severity.ERROR,
            manifest.ref,
            f"exists and belongs to {_owner(live)}; helm changes only what is its release's",
            _hand_over(site, manifest, live),
            final=True,
        )


def _owner(live: Body) -> str:
    annotations = part(live, "metadata", "annotations")
    name, namespace = word(annotations, RELEASE_NAME), word(annotations, RELEASE_NAMESPACE)
    return f"release {name} in namespace {namespace}" if name else "no helm release"


def _hand_over(site: Site, manifest: Manifest, live: Body) -> str:
    rename = "give the release another name (release.name)"
    if word(live, "metadata", "annotations", RELEASE_NAME):
        return f"{rename}, or uninstall the other release"
    what = f"{manifest.kind.lower()} {manifest.name}"
    release = site.release
    marks = f"{RELEASE_NAME}={release.name} {RELEASE_NAMESPACE}={release.namespace}"
    annotate = site.kubectl(f"annotate {what} --overwrite {marks}")
    label = site.kubectl(f"label {what} --overwrite {MANAGED_BY}=Helm")
    return f"{rename}; or, if it is yours, hand it over: {annotate} && {label}"


def taken_volumes(site: Site) -> Iterator[Cause]:
    """Volumes of ours that are bound, or promised, to another claim."""
    for manifest in site.of("PersistentVolume"):
        live = site.live.get(manifest.ref)
        claim = part(live, "spec", "claimRef")
        holder = f"{word(claim, 'namespace')}/{word(claim, 'name')}"
        wanted = _claim_of(manifest)
        if live is None or not site.is_ours(live) or not claim or holder == wanted:
            continue
        yield Cause(
            "volume-of-another-claim",
            Severity.ERROR,
            manifest.ref,
            f"is held by claim {holder}, and the release wants it for claim {wanted}",
            f"delete that claim if nothing needs it: kubectl --context {site.kube.context} "
            f"-n {word(claim, 'namespace')} delete pvc {word(claim, 'name')}; or use another name "
            "for the release or its cell",
            final=True,
        )


def released_volumes(site: Site) -> tuple[str, ...]:
    """Volumes of ours whose claim was deleted: they remember its uid, so no new claim binds.

    https://kubernetes.io/docs/concepts/storage/persistent-volumes/#retain
    """
    return tuple(
        manifest.name
        for manifest in site.of("PersistentVolume")
        if _is_released(site, manifest, site.live.get(manifest.ref))
    )


def _is_released(site: Site, manifest: Manifest, live: Body | None) -> bool:
    reference = part(live, "spec", "claimRef")
    uid = word(reference, "uid")
    if live is None or not uid or not site.is_ours(live):
        return False
    claim = site.live.get(f"PersistentVolumeClaim/{_claim_of(manifest)}")
    holder = f"{word(reference, 'namespace')}/{word(reference, 'name')}"
    return holder == _claim_of(manifest) and word(claim, "metadata", "uid") != uid


def _claim_of(volume: Manifest) -> str:
    claim = volume.get("spec", "claimRef", default={})
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}"
