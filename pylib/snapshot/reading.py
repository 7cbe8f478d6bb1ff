"""Takes a snapshot: about twenty requests for a release of one cell, two more for each pod."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from pylib.kube import Kube
from pylib.snapshot import cluster_reads, pod_reads
from pylib.snapshot.bodies import Body, name_of, part, word
from pylib.snapshot.model import Revision, Snapshot
from pylib.snapshot.pods import claim_names
from pylib.snapshot.reader import Reader
from pylib.snapshot.times import written

HELM = "helm's record of the release"
"""What ``unread`` calls the Secrets that helm keeps."""

_INSTANCE = "app.kubernetes.io/instance"
_OWN = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("batch/v1", "Job"),
    ("v1", "Pod"),
    ("v1", "Service"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("keda.sh/v1alpha1", "ScaledObject"),
)
"""Kinds of which the release's own objects carry its name as a label, as the chart's all do."""
OWN_KINDS = tuple(kind for _, kind in _OWN)
"""Kinds of objects that make a release."""


def take(kube: Kube, release: str, namespace: str) -> Snapshot:
    """Everything that tells why the release is not ready, as it is now.

    Raises :class:`~pylib.errors.KubeError` only when the server cannot be reached at all or does
    not know the user; what it refuses one by one stands in ``unread``.
    """
    reader = Reader(kube, namespace)
    own = _own(reader, release)
    pods = [body for body in own if word(body, "kind") == "Pod"]
    workloads = [body for body in own if word(body, "kind") in ("Deployment", "Job", "Pod")]
    nodes, counts = cluster_reads.nodes(reader, workloads, pods)
    volumes = list(_volumes(reader, release, workloads))
    found = [
        *own,
        *volumes,
        *_slices(reader, own),
        *nodes,
        *_rules_of_namespace(reader),
        *cluster_reads.api_services(reader),
        *cluster_reads.attachments(reader, pods, volumes),
    ]
    return Snapshot(
        taken=written(datetime.now(UTC)),
        context=kube.context,
        release=release,
        namespace=namespace,
        kubernetes=reader.attempt("version", kube.version, ""),
        objects=(*found, *cluster_reads.events(reader, found)),
        logs=pod_reads.logs(reader, pods, nodes),
        secrets=pod_reads.secrets(reader, workloads),
        revisions=_revisions(reader, release),
        tenants=cluster_reads.tenants(reader, pods, nodes),
        label_counts=counts,
        unread=reader.all_unread(),
    )


def _own(reader: Reader, release: str) -> list[Body]:
    labels = f"{_INSTANCE}={release}"
    return [
        body
        for api_version, kind in _OWN
        for body in reader.many(api_version, kind, labels=labels)
        # The pod of `helm test` is no part of what serves.
        if kind != "Pod" or "helm.sh/hook" not in part(body, "metadata", "annotations")
    ]


def _volumes(reader: Reader, release: str, workloads: list[Body]) -> Iterator[Body]:
    """The release's claims, those that its pods name besides, and the volumes of both."""
    claims = reader.many("v1", "PersistentVolumeClaim", labels=f"{_INSTANCE}={release}")
    known = {name_of(claim) for claim in claims}
    for name in claim_names(workloads):
        if name not in known:
            other = reader.one("v1", "PersistentVolumeClaim", name)
            claims += [other] if other else []
    yield from claims
    for name in dict.fromkeys(word(claim, "spec", "volumeName") for claim in claims):
        volume = reader.one("v1", "PersistentVolume", name, namespace=None) if name else None
        if volume:
            yield volume
    if any(word(claim, "status", "phase") != "Bound" for claim in claims):
        yield from reader.many("storage.k8s.io/v1", "StorageClass", namespace=None)


def _slices(reader: Reader, own: list[Body]) -> Iterator[Body]:
    names = [name_of(body) for body in own if word(body, "kind") == "Service"]
    if names:
        labels = f"kubernetes.io/service-name in ({','.join(names)})"
        yield from reader.many("discovery.k8s.io/v1", "EndpointSlice", labels=labels)


def _rules_of_namespace(reader: Reader) -> Iterator[Body]:
    namespace = reader.one("v1", "Namespace", reader.namespace, namespace=None)
    if namespace:
        yield namespace
    yield from reader.many("v1", "ResourceQuota")
    yield from reader.many("v1", "LimitRange")


def _revisions(reader: Reader, release: str) -> tuple[Revision, ...]:
    """Helm's record, from the labels of its Secrets; their content is not looked at."""
    labels = f"owner=helm,name={release}"
    records = reader.whole(HELM, "v1", "Secret", reader.namespace, labels=labels)
    found = []
    for record in records:
        said = part(record, "metadata", "labels")
        number, modified = word(said, "version"), word(said, "modifiedAt")
        if number.isdecimal():
            moment = _moment(modified) or word(record, "metadata", "creationTimestamp")
            found.append(Revision(int(number), word(said, "status"), moment))
    return tuple(sorted(found, key=lambda revision: revision.number))


def _moment(unix: str) -> str:
    if not unix.isdecimal() or len(unix) > len("9999999999"):
        return ""
    return written(datetime.fromtimestamp(int(unix), UTC))
