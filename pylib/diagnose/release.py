"""Helm's record and the Deployments: interrupted, failed, absent, paused, empty."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.scene import Scene
from pylib.diagnose.wording import seconds
from pylib.snapshot.bodies import Body, condition, dig, name_of, number, ref_of, word
from pylib.snapshot.model import Revision
from pylib.snapshot.reading import HELM, OWN_KINDS

LONG_SECONDS = 3600
"""Longer than any install waits: a revision that is still pending then was interrupted."""

_GOOD = ("deployed", "superseded")


def causes(scene: Scene) -> Iterator[Cause]:
    """What is wrong with the release as a whole."""
    yield from _record(scene)
    for deployment in scene.snapshot.of("Deployment"):
        yield from _deployment(scene, deployment)


def _record(scene: Scene) -> Iterator[Cause]:
    revisions = scene.snapshot.revisions
    if revisions:
        last = revisions[-1]
        if last.status.startswith("pending-"):
            yield _pending(scene, last, revisions)
        elif last.status == "failed":
            yield _failed(scene, last)
    elif not scene.snapshot.of(*OWN_KINDS) and scene.snapshot.could_read(HELM):
        yield Cause(
            "release-absent",
            Severity.ERROR,
            f"Release/{scene.snapshot.release}",
            f"there is no such release in namespace {scene.snapshot.namespace} of context "
            f"{scene.snapshot.context}",
            "helm list --all-namespaces --all",
            final=True,
        )


def _pending(scene: Scene, last: Revision, revisions: tuple[Revision, ...]) -> Cause:
    release, namespace = scene.snapshot.release, scene.snapshot.namespace
    age = scene.age(last.modified)
    good = [item.number for item in revisions if item.status in _GOOD]
    command = (
        f"helm rollback {release} {good[-1]} -n {namespace}"
        if good
        else f"helm uninstall {release} -n {namespace}  # the disks stay; then install again"
    )
    return Cause(
        "helm-pending",
        Severity.ERROR if age > LONG_SECONDS else Severity.WARNING,
        f"Release/{release}",
        f"revision {last.number} is {last.status} for {seconds(age)}: helm is still at work, or "
        "was interrupted and then refuses the next upgrade",
        command,
    )


def _failed(scene: Scene, last: Revision) -> Cause:
    release, namespace = scene.snapshot.release, scene.snapshot.namespace
    return Cause(
        "helm-failed",
        Severity.WARNING,
        f"Release/{release}",
        f"revision {last.number} failed; what runs may be a mixture of it and the one before",
        f"helm status {release} -n {namespace}",
    )


def _deployment(scene: Scene, deployment: Body) -> Iterator[Cause]:
    name = name_of(deployment)
    if dig(deployment, "spec", "paused") is True:
        yield Cause(
            "deployment-paused",
            Severity.ERROR,
            ref_of(deployment),
            "is paused: changes make no new pods",
            scene.kubectl(f"rollout resume deployment {name}"),
            final=True,
        )
    if number(deployment, "spec", "replicas") == 0:
        yield Cause(
            "scaled-to-zero",
            Severity.NOTE,
            ref_of(deployment),
            "has 0 replicas, as KEDA or somebody set it",
            scene.kubectl(f"scale deployment {name} --replicas=1"),
        )
    progress = condition(deployment, "Progressing")
    if word(progress, "reason") == "ProgressDeadlineExceeded":
        deadline = number(deployment, "spec", "progressDeadlineSeconds") or 600
        yield Cause(
            "progress-deadline-exceeded",
            Severity.WARNING,
            ref_of(deployment),
            f"made no progress for {seconds(deadline)}",
            scene.kubectl(f"rollout status deployment {name}"),
        )
