"""Whether the release is ready, answers, and loaded its weights in the predicted time.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.accept.model import Check, Completion, Evidence, State
from pylib.config.model import Claim
from pylib.diagnose.cause import Severity
from pylib.diagnose.diagnosis import diagnose
from pylib.names import cell_object
from pylib.snapshot.bodies import Body, name_of, number
from pylib.snapshot.plain import plain
from pylib.snapshot.pods import SERVER
from pylib.timeline.building import timeline
from pylib.timeline.model import PodTimeline

READY = "release ready"
COMPLETION = "completion served"
PHASES = "weights loaded as predicted"

_KEY_REFUSED = (
    "the server refuses the key that its pod holds: the Secret changed after the pod started "
    "(restart it), or an argument gives the server another key"
)

MOST = 1.5
"""How many times the predicted time the load may take."""


def ready(evidence: Evidence) -> Iterator[Check]:
    """One for each cell: its pods are those of the newest revision, and all are ready."""
    for cell in evidence.config.cells:
        name = cell_object(evidence.config.release.name, cell.key)
        about = f"Deployment/{name}"
        body = evidence.snapshot.get("Deployment", name)
        if body is not None:
            yield _ready(evidence, about, body)
        elif not evidence.snapshot.could_read("Deployment"):
            why = "Deployments were not read"
            yield Check(READY, about, State.UNCHECKED, why=why, next=evidence.observe())
        else:
            command = f"python -m pylib install -f {evidence.config_file}"
            yield Check(READY, about, State.FAILED, why="it is not there", next=command)


def _ready(evidence: Evidence, about: str, body: Body) -> Check:
    wanted = number(body, "spec", "replicas")
    wanted = 1 if wanted is None else wanted
    fields = ("readyReplicas", "updatedReplicas", "replicas")
    counts = [number(body, "status", field) or 0 for field in fields]
    seen = f"{counts[0]} of {wanted} pods ready"
    if wanted == 0:
        why = "it is scaled to zero, and nothing that needs a pod can be checked"
        command = evidence.kubectl(f"scale {about.lower()} --replicas=1  # or send a request")
        return Check(READY, about, State.UNCHECKED, seen, why, command)
    observed = number(body, "status", "observedGeneration")
    if counts == [wanted] * 3 and observed == number(body, "metadata", "generation"):
        return Check(READY, about, State.PASSED, seen)
    errors = [it for it in diagnose(evidence.snapshot) if it.severity is Severity.ERROR]
    why = f"{errors[0].object}: {errors[0].message}" if errors else "pods are still on their way"
    return Check(
        READY, about, State.FAILED, seen, why, errors[0].next if errors else evidence.observe()
    )


def completion(evidence: Evidence, pod: Body) -> Iterator[Check]:
    """Of one pod; asked inside of it, so that neither keys nor ways in matter."""
    about = f"Pod/{name_of(pod)}"
    inside = evidence.inside.get(name_of(pod))
    if inside is None or inside.completion.found is None:
        why = (inside.completion.why_not if inside else "") or "nobody asked"
        command = f"helm test {evidence.snapshot.release} -n {evidence.snapshot.namespace}"
        yield Check(COMPLETION, about, State.UNCHECKED, why=plain(why), next=command)
        return
    yield _served(evidence, about, inside.completion.found)


def _served(evidence: Evidence, about: str, found: Completion) -> Check:
    whole = found.whole
    logs = evidence.kubectl(f"logs {about.partition('/')[2]} -c {SERVER}")
    if whole.status == 0:
        why = f"no answer in {whole.seconds:.1f} s: {plain(whole.text, 200)}"
        return Check(COMPLETION, about, State.FAILED, why=why, next=logs)
    seen = f"HTTP {whole.status}"
    if whole.status != 200:
        why = _KEY_REFUSED if whole.status == 401 else plain(whole.text, 200)
        return Check(COMPLETION, about, State.FAILED, seen, why, logs)
    if not whole.text.strip():
        why = "the answer holds no text"
        return Check(COMPLETION, about, State.FAILED, seen, why, logs)
    took = f"first token after {found.first.seconds:.2f} s, {found.tokens} in {whole.seconds:.2f} s"
    return Check(COMPLETION, about, State.PASSED, f"{seen}, {took}: {plain(whole.text, 60)!r}")


def phases(evidence: Evidence, pod: Body) -> Iterator[Check]:
    """The load of one pod's weights against the prediction; somebody else's claim may have none."""
    found = next((it for it in timeline(evidence.snapshot).pods if it.pod == name_of(pod)), None)
    described = found is not None and found.prediction is not None
    if found is not None and (described or not isinstance(evidence.config.weights, Claim)):
        yield _loaded(evidence, f"Pod/{found.pod}", found)


def _loaded(evidence: Evidence, about: str, found: PodTimeline) -> Check:
    told = found.prediction
    if told is None:
        why = "model size, disk type and size are not all written on pod and volume"
        command = f"python -m pylib values -f {evidence.config_file}  # writes them; then install"
        return Check(PHASES, about, State.UNCHECKED, why=why, next=command)
    predicted = f"predicted {told.seconds:.0f} s ({told.basis}, limited by {told.limited_by})"
    if told.actual is None:
        why = "vLLM's log could not be read, or does not say how long the weights took"
        command = evidence.kubectl(f"logs {found.pod} -c {SERVER} | grep -i 'weights took'")
        return Check(PHASES, about, State.UNCHECKED, predicted, why, command)
    seen = f"took {told.actual:.1f} s, {predicted}"
    if told.actual <= MOST * told.seconds:
        return Check(PHASES, about, State.PASSED, seen)
    why = f"{told.actual / told.seconds:.1f} times the prediction; up to {MOST:g} pass"
    return Check(PHASES, about, State.FAILED, seen, why, evidence.observe())
