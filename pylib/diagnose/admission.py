"""Pods that the API server refuses to create: quota, limits, Pod Security, webhooks.

The words are those of the admission plugins of Kubernetes 1.36.3 (apiserver resourcequota,
limitranger, pod-security-admission, serviceaccount, priority); they reach the ReplicaSet's
condition ReplicaFailure and an Event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.scene import Scene, newest
from pylib.diagnose.wording import sentence
from pylib.snapshot.bodies import Body, condition, name_of, number, parts, ref_of, word
from pylib.snapshot.plain import plain

_QUOTA = re.compile(
    r"exceeded quota: (?P<name>[^,]{1,253}), requested: (?P<asked>.{1,200}?), "
    r"used: (?P<used>.{1,200}?), limited: (?P<limit>.{1,200}?)$",
    re.DOTALL,
)
_UNSTATED = re.compile(
    r"failed quota: (?P<name>[^:]{1,253}): must specify (?P<what>.{1,300})$", re.DOTALL
)
_SECURITY = re.compile(
    r'violates PodSecurity "(?P<level>[^"]{1,60})": (?P<what>.{1,2000})$', re.DOTALL
)
_LIMITS = re.compile(
    r"(?P<what>(?:minimum|maximum) \S+ usage per (?:Container|Pod) is .{1,200}"
    r"|\S+ max limit to request ratio per .{1,200})$",
    re.DOTALL,
)
_ACCOUNT = re.compile(
    r'error looking up service account \S{1,300}: serviceaccount "(?P<name>[^"]{1,253})"'
)
_PRIORITY = re.compile(r"no PriorityClass with name (?P<name>\S{1,253}) was found")
_WEBHOOK = re.compile(
    r'admission webhook "(?P<name>[^"]{1,253})" denied the request: (?P<what>.*)', re.DOTALL
)
_BROKEN = re.compile(r'failed calling webhook "(?P<name>[^"]{1,253})"')
_PREFIX = re.compile(r'^Error creating: |^(?:pods|jobs\.batch) "[^"]*" is forbidden: ')

_Say = Callable[[Scene, re.Match[str]], tuple[str, str, str, bool]]


def causes(scene: Scene) -> Iterator[Cause]:
    """Why controllers cannot make pods."""
    for replicas in scene.snapshot.of("ReplicaSet"):
        wanted = number(replicas, "spec", "replicas") or 0
        if wanted > (number(replicas, "status", "replicas") or 0):
            failure = condition(replicas, "ReplicaFailure")
            message = word(failure, "message") or newest(scene.events(replicas, "FailedCreate"))
            yield from _refused(scene, replicas, message)
    for job in scene.snapshot.of("Job"):
        if not number(job, "status", "active") and not parts(job, "status", "conditions"):
            yield from _refused(scene, job, newest(scene.events(job, "FailedCreate")))


def _refused(scene: Scene, owner: Body, message: str) -> Iterator[Cause]:
    if not message:
        return
    for pattern, say in _KINDS:
        match = pattern.search(message)
        if match:
            code, text, command, final = say(scene, match)
            yield Cause(code, Severity.ERROR, ref_of(owner), text, command, final=final)
            return
    yield Cause(
        "pod-refused",
        Severity.ERROR,
        ref_of(owner),
        f"cannot create its pods: {sentence(_PREFIX.sub('', message))}",
        scene.kubectl(f"describe {word(owner, 'kind').lower()} {name_of(owner)}"),
    )


def _quota(scene: Scene, match: re.Match[str]) -> tuple[str, str, str, bool]:
    name = plain(match["name"])
    text = (
        f"its pods exceed ResourceQuota/{name}: they ask for {plain(match['asked'])}, "
        f"used are {plain(match['used'])} of {plain(match['limit'])}"
    )
    command = (
        scene.kubectl(f"describe quota {name}") + "  # raise it, or lower resources or replicas"
    )
    return "quota-exceeded", text, command, False


def _unstated(_: Scene, match: re.Match[str]) -> tuple[str, str, str, bool]:
    name, what = plain(match["name"]), plain(match["what"])
    text = f"ResourceQuota/{name} lets only pods in that say {what}"
    return "quota-exceeded", text, f"set them under resources in the values: {what}", True


def _security(scene: Scene, match: re.Match[str]) -> tuple[str, str, str, bool]:
    namespace, level = scene.snapshot.namespace, plain(match["level"])
    what = plain(match["what"])
    text = f"namespace {namespace} enforces Pod Security {level}, which forbids: {what}"
    command = (
        "take what it names out of the values (the chart's own pods are restricted), or label the "
        f"namespace: kubectl label ns {namespace} pod-security.kubernetes.io/enforce=baseline "
        "--overwrite"
    )
    return "pod-security", text, command, True


def _limits(scene: Scene, match: re.Match[str]) -> tuple[str, str, str, bool]:
    what = plain(match["what"])
    text = f"a LimitRange of namespace {scene.snapshot.namespace} forbids its pods: {what}"
    command = scene.kubectl("describe limitrange") + "  # or change resources in the values"
    return "limit-range", text, command, True


def _account(scene: Scene, match: re.Match[str]) -> tuple[str, str, str, bool]:
    name = plain(match["name"])
    text = f"its pods run as ServiceAccount/{name}, which does not exist"
    create = scene.kubectl(f"create serviceaccount {name}")
    command = f"set serviceAccount.create: true in the values, or {create}"
    return "service-account-missing", text, command, True


def _priority(_: Scene, match: re.Match[str]) -> tuple[str, str, str, bool]:
    text = f"its pods name PriorityClass/{plain(match['name'])}, which does not exist"
    command = "kubectl get priorityclass  # then set priorityClassName in the values"
    return "priority-class-missing", text, command, True


def _webhook(_: Scene, match: re.Match[str]) -> tuple[str, str, str, bool]:
    text = (
        f"the admission webhook {plain(match['name'])} refuses its pods: {sentence(match['what'])}"
    )
    return (
        "admission-denied",
        text,
        "change what it names in the values, then run helm upgrade",
        True,
    )


def _broken(_: Scene, match: re.Match[str]) -> tuple[str, str, str, bool]:
    name = plain(match["name"])
    text = f"the admission webhook {name} does not answer, so no pod can be made"
    return (
        "webhook-down",
        text,
        f"kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations | grep {name}",
        False,
    )


_KINDS: tuple[tuple[re.Pattern[str], _Say], ...] = (
    (_QUOTA, _quota),
    (_UNSTATED, _unstated),
    (_SECURITY, _security),
    (_LIMITS, _limits),
    (_ACCOUNT, _account),
    (_PRIORITY, _priority),
    (_WEBHOOK, _webhook),
    (_BROKEN, _broken),
)
