"""Would the namespace take the pods?  A dry run of one pod of each template asks it.

A Deployment is always taken; it is its ReplicaSet that Pod Security, a LimitRange or a quota then
refuses, where nobody looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pylib.diagnose.cause import Cause, Severity
from pylib.errors import KubeError
from pylib.install.changes import Changes
from pylib.install.site import Site
from pylib.kube import Body
from pylib.manifests import Manifest
from pylib.snapshot.bodies import dig, number, part, word
from pylib.snapshot.plain import plain

_FORBIDDEN = 403
_OWN_RIGHTS = re.compile(r"User \S+ cannot create resource")
_SUBJECT = re.compile(r'^.*?pods? "[^"]*" is forbidden: |^.*? is forbidden: ')


@dataclass(frozen=True)
class Admitted:
    """A pod as the server would have made it, defaults of a LimitRange included."""

    owner: Manifest
    pod: Body


def try_pods(site: Site, changes: Changes) -> tuple[list[Admitted], list[Cause]]:
    """One pod of each template that is new: those that are taken, and why others are not."""
    taken: list[Admitted] = []
    causes: list[Cause] = []
    if site.namespace is None:
        return taken, causes
    for owner in site.with_pods():
        if owner.kind == "Deployment" and owner.ref not in changes.new_pods:
            continue
        try:
            taken.append(Admitted(owner, site.kube.create(_pod(site, owner), dry_run=True)))
        except KubeError as error:
            if error.status == 0:
                raise
            causes += _causes(site, owner, error)
    return taken, causes


def _pod(site: Site, owner: Manifest) -> Body:
    template = owner.body if owner.kind == "Pod" else part(owner.body, "spec", "template")
    spec = dict(part(template, "spec"))
    account = word(spec, "serviceAccountName")
    made_with_it = f"ServiceAccount/{site.release.namespace}/{account}"
    if made_with_it not in site.live and any(m.ref == made_with_it for m in site.objects):
        del spec["serviceAccountName"]
    meta = part(template, "metadata")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{owner.name[:40]}-",
            "namespace": site.release.namespace,
            "labels": dict(part(meta, "labels")),
            "annotations": dict(part(meta, "annotations")),
        },
        "spec": spec,
    }


def _causes(site: Site, owner: Manifest, error: KubeError) -> Iterator[Cause]:
    said = str(error)
    if _OWN_RIGHTS.search(said):
        yield Cause(
            "not-checked",
            Severity.WARNING,
            owner.ref,
            "you may not create pods, so whether the namespace takes them was not tried",
            site.kubectl("auth can-i create pods"),
        )
        return
    is_hook = owner in site.hooks
    if "exceeded quota" in said and (is_hook or _ends_first(site, owner)):
        return  # what uses the quota now may be gone by then
    reason = plain(_SUBJECT.sub("", said).rpartition(" (HTTP ")[0] or said)
    code, next_step = _kind_of(site, said)
    message = f"its pods would be refused: {reason}"
    severity = Severity.WARNING if is_hook else Severity.ERROR
    yield Cause(code, severity, owner.ref, message, next_step, final=not is_hook)


def _ends_first(site: Site, owner: Manifest) -> bool:
    """Whether old pods make room for the new ones: no pod comes on top of those that run."""
    live = site.live.get(owner.ref)
    rolling = part(live, "spec", "strategy", "rollingUpdate")
    surges = word(live, "spec", "strategy", "type") != "Recreate" and rolling.get("maxSurge") != 0
    return not surges and bool(number(live, "status", "replicas"))


def _kind_of(site: Site, said: str) -> tuple[str, str]:
    namespace = site.release.namespace
    lower = (
        "change what the message names, use another namespace, or lower its level: "
        f"kubectl --context {site.kube.context} label namespace {namespace} --overwrite "
        "pod-security.kubernetes.io/enforce=baseline"
    )
    say_more = (
        "the quota wants every container to say what it uses (chart: resources, or a LimitRange "
        f"with defaults): {site.kubectl('describe resourcequota,limitrange')}"
    )
    table = {
        "violates PodSecurity": ("pod-security", lower),
        "exceeded quota": ("quota", site.kubectl("describe resourcequota")),
        "failed quota": ("quota", say_more),
        "per Container is": ("limit-range", site.kubectl("describe limitrange")),
        "per Pod is": ("limit-range", site.kubectl("describe limitrange")),
        "serviceaccount": ("service-account-missing", site.kubectl("get serviceaccounts")),
        "PriorityClass": (
            "priority-class-missing",
            f"kubectl --context {site.kube.context} get priorityclasses",
        ),
    }
    fallback = ("pod-refused", "change the config so that the server takes the pod")
    return next((found for text, found in table.items() if text in said), fallback)


def runs_already(site: Site, owner: Manifest) -> int:
    """Pods that a Deployment has now."""
    return int(dig(site.live.get(owner.ref), "status", "replicas") or 0)
