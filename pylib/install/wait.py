"""Waits until a release serves, and says meanwhile, and at the end, what it waits for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from pylib.diagnose import diagnose
from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.scene import has_started, is_ready
from pylib.diagnose.wording import seconds as shown
from pylib.errors import InstallError, KubeError
from pylib.install.deadline import Deadline
from pylib.install.site import Site
from pylib.install.text import cause_lines
from pylib.snapshot import Snapshot, take
from pylib.snapshot.bodies import Body, condition, dig, number, parts, ref_of, word

Say = Callable[[str], None]

REVISION = "deployment.kubernetes.io/revision"
_SURE = 3
"""Looks in a row that a cause must hold before it ends the wait: a look reads many objects, and
they change while it reads."""


def wait_ready(site: Site, deadline: Deadline, say: Say) -> tuple[Cause, ...]:
    """Return when every Deployment runs its newest template at its full size and every Job is done;
    what is still not as it should be comes back as causes.

    Raises :class:`InstallError` with the causes when one says that waiting cannot help, or when the
    deadline passes.
    """
    watch = _Watch(site, say, deadline)
    while True:
        snapshot = watch.look()
        if snapshot is not None:
            causes = watch.judge(snapshot)
            if all(is_done(snapshot, ref) for ref in watch.refs):
                return causes
            if watch.is_hopeless(causes):
                raise InstallError(_failure(site, deadline, causes, hopeless=True))
        if deadline.passed:
            raise InstallError(_failure(site, deadline, watch.causes, hopeless=False))
        deadline.pause()


class _Watch:
    """What was seen and said so far."""

    def __init__(self, site: Site, say: Say, deadline: Deadline) -> None:
        self.refs = [(m.kind, m.name) for m in site.of("Deployment", "Job")]
        self.causes: tuple[Cause, ...] = ()
        self._site = site
        self._say = say
        self._deadline = deadline
        self._said: set[str] = set()
        self._progress: dict[str, str] = {}
        self._final: Counter[tuple[str, str]] = Counter()
        self._away = False

    def look(self) -> Snapshot | None:
        """A snapshot of what belongs to the newest revision; ``None`` while the server is away."""
        release = self._site.release
        try:
            snapshot = current(take(self._site.kube, release.name, release.namespace))
        except KubeError as error:
            if error.status != 0:
                raise
            if not self._away:
                self._say(f"{self._clock()} {error}")
            self._away = True
            return None
        self._away = False
        return snapshot

    def judge(self, snapshot: Snapshot) -> tuple[Cause, ...]:
        """The causes, after saying what is new."""
        for kind, name in self.refs:
            line = progress(snapshot, kind, name)
            if self._progress.get(f"{kind}/{name}") != line:
                self._progress[f"{kind}/{name}"] = line
                self._say(f"{self._clock()} {kind}/{name}: {line}")
        if any(not is_observed(snapshot, ref) for ref in self.refs):
            return ()  # what there is to see is of the revision before
        self.causes = diagnose(snapshot)
        for cause in self.causes:
            line = f"{cause.object}: {cause.message}"
            if cause.severity is Severity.ERROR and line not in self._said:
                self._said.add(line)
                self._say(f"{self._clock()}   {line}")
        return self.causes

    def is_hopeless(self, causes: tuple[Cause, ...]) -> bool:
        """Whether waiting cannot help: the same final cause in several looks in a row."""
        final = {
            (cause.code, cause.object)
            for cause in causes
            if cause.final and cause.severity is Severity.ERROR
        }
        self._final = Counter({key: self._final[key] + 1 for key in final})
        return any(count >= _SURE for count in self._final.values())

    def _clock(self) -> str:
        minutes, seconds = divmod(round(self._deadline.elapsed), 60)
        return f"{minutes:02}:{seconds:02}"


def current(snapshot: Snapshot) -> Snapshot:
    """The snapshot without ReplicaSets of older revisions and their pods: they are on their way
    out, and what ails them is history."""
    old = {
        ref_of(body)
        for body in snapshot.of("ReplicaSet")
        if any(
            word(owner, "metadata", "annotations", REVISION)
            != word(body, "metadata", "annotations", REVISION)
            for owner in map(partial(snapshot.get, "Deployment"), _owners(body, "Deployment"))
        )
    }
    kept = tuple(
        body
        for body in snapshot.objects
        if ref_of(body) not in old
        and not any(f"ReplicaSet/{name}" in old for name in _owners(body, "ReplicaSet"))
    )
    return replace(snapshot, objects=kept)


def _owners(body: Body, kind: str) -> list[str]:
    owners = parts(body, "metadata", "ownerReferences")
    return [word(owner, "name") for owner in owners if word(owner, "kind") == kind]


def is_observed(snapshot: Snapshot, ref: tuple[str, str]) -> bool:
    """Whether the controller has seen the object as it is now."""
    kind, name = ref
    body = snapshot.get(kind, name)
    if body is None or kind == "Job":
        return body is not None
    seen, generation = (
        number(body, "status", "observedGeneration"),
        number(body, "metadata", "generation"),
    )
    return (seen or 0) >= (generation or 0)


def is_done(snapshot: Snapshot, ref: tuple[str, str]) -> bool:
    """Whether a Deployment has all pods of its newest template ready, or a Job has ended well."""
    kind, name = ref
    body = snapshot.get(kind, name)
    if body is None:
        return False
    if kind == "Job":
        return word(condition(body, "Complete"), "status") == "True"
    wanted = dig(body, "spec", "replicas")
    status = {
        key: number(body, "status", key) or 0
        for key in ("replicas", "updatedReplicas", "availableReplicas")
    }
    return is_observed(snapshot, ref) and set(status.values()) == {wanted}


def progress(snapshot: Snapshot, kind: str, name: str) -> str:
    """``0 of 2 ready: 1 waits for a node, 1 loads``."""
    body = snapshot.get(kind, name)
    if body is None:
        return "not there yet"
    if kind == "Job":
        return next(_job_states(body), "runs")
    stages = Counter(stage(pod) for pod in snapshot.pods(body))
    ready, wanted = stages.pop("ready", 0), dig(body, "spec", "replicas")
    rest = ", ".join(f"{count} {what}" for what, count in sorted(stages.items()))
    return f"{ready} of {wanted} ready{f': {rest}' if rest else ''}"


def _job_states(job: Body) -> Iterator[str]:
    for kind, what in (("Complete", "done"), ("Failed", "failed")):
        if word(condition(job, kind), "status") == "True":
            yield what


def stage(pod: Body) -> str:
    """How far a pod is, in words that follow a number."""
    if dig(pod, "metadata", "deletionTimestamp"):
        return "ending"
    if is_ready(pod):
        return "ready"
    if not word(pod, "spec", "nodeName"):
        return "waiting for a node"
    return "starting vLLM" if has_started(pod) else "pulling the image or attaching the disk"


def _failure(site: Site, deadline: Deadline, causes: tuple[Cause, ...], *, hopeless: bool) -> str:
    release = site.release
    why = "waiting longer cannot help" if hopeless else f"the limit is {shown(deadline.seconds)}"
    errors = [cause for cause in causes if cause.severity is Severity.ERROR] or list(causes)
    lines = list(cause_lines(errors)) or ["no cause was found; python -m pylib observe looks again"]
    head = (
        f"release {release.name} in namespace {release.namespace} is not ready after "
        f"{shown(deadline.elapsed)} ({why}); it stays installed, and its pods go on trying:"
    )
    return "\n".join([head, *lines])
