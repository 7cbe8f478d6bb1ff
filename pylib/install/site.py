"""A release as it is to be, beside the cluster as it is: what every check reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pylib.kube import Body, Kube
from pylib.manifests import Manifest, of_kind
from pylib.release import Release
from pylib.snapshot.bodies import dig, part, word
from pylib.snapshot.reader import Reader

HOOK = "helm.sh/hook"
MANAGED_BY = "app.kubernetes.io/managed-by"
RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
"""What helm writes on its objects: helm.sh/helm pkg/action/validate.go@v4.3.1."""


@dataclass(frozen=True)
class Site:
    """One release and one cluster.

    ``objects`` is what helm applies, ``hooks`` what it runs on demand; ``live`` holds the objects
    of the same names that the cluster has, by their ``Kind/namespace/name``.  ``manager`` is helm's
    field manager.
    """

    kube: Kube
    release: Release
    objects: tuple[Manifest, ...]
    hooks: tuple[Manifest, ...]
    manager: str
    namespace: Body | None
    live: Mapping[str, Body] = field(default_factory=dict)

    def reader(self) -> Reader:
        """A reader of the release's namespace that notes refusals."""
        return Reader(self.kube, self.release.namespace)

    def of(self, *kinds: str) -> tuple[Manifest, ...]:
        """The objects of these kinds, in the order of the manifests."""
        return of_kind(self.objects, *kinds)

    def with_pods(self) -> Iterator[Manifest]:
        """Everything that makes pods, hooks too."""
        yield from self.of("Deployment", "Job")
        yield from of_kind(self.hooks, "Pod", "Job")

    def kubectl(self, words: str) -> str:
        """A kubectl command in the release's namespace, in the context that is looked at."""
        return f"kubectl --context {self.kube.context} -n {self.release.namespace} {words}"

    def owned(self, manifest: Manifest) -> Body:
        """The object as helm sends it: with the marks of the release."""
        meta = dict(manifest.metadata)
        meta["labels"] = {**part(meta, "labels"), MANAGED_BY: "Helm"}
        meta["annotations"] = {
            **part(meta, "annotations"),
            RELEASE_NAME: self.release.name,
            RELEASE_NAMESPACE: self.release.namespace,
        }
        return {**manifest.body, "metadata": meta}

    def is_ours(self, live: Body) -> bool:
        """Whether helm would take the object for this release's."""
        return (
            word(live, "metadata", "labels", MANAGED_BY) == "Helm"
            and word(live, "metadata", "annotations", RELEASE_NAME) == self.release.name
            and word(live, "metadata", "annotations", RELEASE_NAMESPACE) == self.release.namespace
        )

    def ending(self) -> tuple[str, ...]:
        """Objects of ours that somebody deleted and that are not gone yet."""
        return tuple(
            ref for ref, body in self.live.items() if dig(body, "metadata", "deletionTimestamp")
        )


def look(kube: Kube, release: Release, manifests: Iterable[Manifest], manager: str) -> Site:
    """Read the cluster's objects of the same names.

    Raises :class:`~pylib.errors.KubeError` when the server is away or refuses to show them.
    """
    everything = tuple(manifests)
    hooks = tuple(m for m in everything if HOOK in part(m.metadata, "annotations"))
    objects = tuple(m for m in everything if m not in hooks)
    found = {
        manifest.ref: kube.get(
            manifest.api_version, manifest.kind, manifest.name, manifest.namespace or None
        )
        for manifest in objects
    }
    return Site(
        kube=kube,
        release=release,
        objects=objects,
        hooks=hooks,
        manager=manager,
        namespace=kube.get("v1", "Namespace", release.namespace),
        live={ref: body for ref, body in found.items() if body is not None},
    )


def scaler_of(site: Site, deployment: Manifest) -> Manifest | None:
    """The release's autoscaler of a Deployment."""
    return next(
        (
            scaler
            for scaler in site.of("HorizontalPodAutoscaler", "ScaledObject")
            if scaler.get("spec", "scaleTargetRef", "name") == deployment.name
        ),
        None,
    )


def size_of(site: Site, deployment: Manifest) -> int:
    """Pods that a Deployment has at least, once its autoscaler has looked at it."""
    scaler = scaler_of(site, deployment)
    if scaler is None:
        return int(deployment.get("spec", "replicas", default=1))
    key = "minReplicas" if scaler.kind == "HorizontalPodAutoscaler" else "minReplicaCount"
    return int(scaler.get("spec", key, default=1))
