"""Names, labels and namespaces."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylib.facts import gke
from pylib.manifests import Manifest
from pylib.validate.report import Severity
from pylib.validate.rules.objects import POD_TEMPLATES, Hit, Objects, Path, at, texts
from pylib.validate.rules.registry import rule

_LABELS = "https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/"
_NAMES = "https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_NAME = re.compile(rf"{_DNS_LABEL.pattern}(\.{_DNS_LABEL.pattern})*")
_LABEL_TEXT = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_NO_DNS_NAME = frozenset({"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"})

_LONGEST = {
    "CronJob": (52, "its Jobs add 11 characters"),
    "Job": (63, "its pods carry it as a label"),
    "Namespace": (63, "it is a DNS label"),
    "Service": (63, "it is a DNS label"),
    "StatefulSet": (52, "its pods carry it, with a hash, as a label"),
}
"""Longest names that work, and why; an error above them.  Sources: the pages above, and
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/."""

_ADVISED = {
    "Deployment": "its pods carry it in their host name, which is cut at 63",
    "PersistentVolume": "events, labels and disk names hold 63",
    "PersistentVolumeClaim": "events, labels and disk names hold 63",
}


@rule(
    name="name-length",
    severity=Severity.ERROR,
    summary="Names are as short as their kind needs",
    explain=(
        "Most names may have 253 characters, but a Service's is a DNS label of 63, a Job's and a "
        "StatefulSet's becomes a label of their pods. Such an object is refused, or makes no pods. "
        "Names of volumes, claims and Deployments above 63 work but do not fit labels, host names "
        f"and disk names. Source: {_NAMES}."
    ),
)
def name_length(objects: Objects) -> Iterator[Hit]:
    """Names above what their kind takes."""
    for manifest in objects.all:
        name = str(manifest.metadata.get("name") or "")
        most, why = _LONGEST.get(manifest.kind, (253, "that is the most for any name"))
        advised = _ADVISED.get(manifest.kind)
        if len(name) > most:
            message, severity = f"{manifest.kind} takes {most}: {why}", None
        elif advised and len(name) > gke.MAX_LABEL:
            message, severity = f"over {gke.MAX_LABEL}: {advised}", Severity.WARNING
            most = gke.MAX_LABEL
        else:
            continue
        yield at(
            manifest,
            "metadata",
            "name",
            message=f"the name {name} has {len(name)} characters, {message}",
            fix=f"Use at most {most} characters.",
            severity=severity,
        )


@rule(
    name="name-format",
    severity=Severity.ERROR,
    summary="Names hold only what names may hold",
    explain=(
        "Names are lower-case letters, digits, hyphens and, for most kinds, dots; they begin and "
        f"end with a letter or digit. The API server refuses others. Source: {_NAMES}."
    ),
)
def name_format(objects: Objects) -> Iterator[Hit]:
    """Names that are no DNS name."""
    for manifest in objects.all:
        name = manifest.metadata.get("name")
        if name is None or manifest.kind in _NO_DNS_NAME or _DNS_NAME.fullmatch(str(name)):
            continue
        yield at(
            manifest,
            "metadata",
            "name",
            message=f"{str(name)!r} is no name of a {manifest.kind}",
            fix="Use lower-case letters, digits and hyphens, beginning and ending with one of the "
            "first two.",
        )


def _label_homes(manifest: Manifest) -> Iterator[Path]:
    yield ("metadata", "labels")
    for path in POD_TEMPLATES.get(manifest.kind, ()):
        if path:
            yield (*path, "metadata", "labels")
        yield (*path, "spec", "nodeSelector")
    if manifest.kind in ("Deployment", "StatefulSet", "DaemonSet", "PodDisruptionBudget"):
        yield ("spec", "selector", "matchLabels")
    if manifest.kind == "Service":
        yield ("spec", "selector")


@rule(
    name="label-format",
    severity=Severity.ERROR,
    summary="Labels and selectors hold only what labels may hold",
    explain=(
        f"A label's value and the name part of its key have at most {gke.MAX_LABEL} characters, of "
        "letters, digits, hyphens, underscores and dots, and begin and end with a letter or digit. "
        f"The API server refuses others. Source: {_LABELS}."
    ),
)
def label_format(objects: Objects) -> Iterator[Hit]:
    """Keys and values that the API server refuses."""
    for manifest in objects.all:
        for home in _label_homes(manifest):
            for key, value in texts(manifest.get(*home)).items():
                yield from _label(manifest, (*home, key), key, value)


def _label(manifest: Manifest, path: Path, key: str, value: str) -> Iterator[Hit]:
    name = key.rpartition("/")[2]
    for what, text in (("name", name), ("value", value)):
        if len(text) > gke.MAX_LABEL:
            yield at(
                manifest,
                *path,
                message=f"the label's {what} {text} has {len(text)} characters, at most "
                f"{gke.MAX_LABEL} are allowed",
                fix=f"Shorten the {what}.",
            )
        elif not _LABEL_TEXT.fullmatch(text) or (what == "name" and not text):
            yield at(
                manifest,
                *path,
                message=f"the label's {what} {text!r} holds what labels may not",
                fix="Use letters, digits, hyphens, underscores and dots, beginning and ending with "
                "one of the first two.",
            )


@rule(
    name="namespace-default",
    severity=Severity.NOTE,
    summary="Workloads have a namespace of their own",
    explain=(
        "In the namespace default there is no quota, no Pod Security label and no network policy "
        "of one's own, and everyone's objects meet. Source: https://kubernetes.io/docs/concepts/"
        "overview/working-with-objects/namespaces/. Make a namespace and install there."
    ),
)
def namespace_default(objects: Objects) -> Iterator[Hit]:
    """Workloads in the namespace default."""
    for manifest in objects.all:
        if manifest.namespace == "default" and manifest.kind in POD_TEMPLATES:
            yield at(
                manifest,
                "metadata",
                "namespace",
                message="the namespace is default",
                fix="Use a namespace of its own.",
            )


@rule(
    name="job-generate-name",
    severity=Severity.WARNING,
    summary="A Job has a name of its own",
    explain=(
        "A Job with generateName cannot be applied (kubectl apply and Helm need a name), and each "
        "kubectl create makes another one that writes to the same claim. A Job's pod template "
        "cannot change, so let the name end in a hash of the spec. Source: "
        "https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-template."
    ),
)
def job_generate_name(objects: Objects) -> Iterator[Hit]:
    """Jobs with generateName only."""
    for job in objects.of_kind("Job"):
        prefix = job.metadata.get("generateName")
        if prefix and not job.metadata.get("name"):
            yield at(
                job,
                "metadata",
                "generateName",
                message=f"generateName is {prefix}, so the Job cannot be applied or found again",
                fix=f"Write name: {prefix}<hash of the spec>.",
            )
