"""Whether the metric reaches the autoscaler.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.accept.model import Check, Evidence, State
from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.metrics import causes
from pylib.diagnose.scene import Scene
from pylib.names import cell_object
from pylib.snapshot.bodies import Body, condition, name_of, part, parts, ref_of, word

METRIC = "metric reaches the autoscaler"

_KINDS = ("pods", "external", "object")


def checks(evidence: Evidence) -> Iterator[Check]:
    """One for each cell that scales."""
    config, snapshot = evidence.config, evidence.snapshot
    if not config.autoscaling.enabled:
        return
    known = list(causes(Scene(snapshot)))
    for cell in config.cells:
        name = cell_object(config.release.name, cell.key)
        yield _cell(evidence, name, known)


def _cell(evidence: Evidence, name: str, known: list[Cause]) -> Check:
    """KEDA makes the HPA itself, and says in its ScaledObject what it calls it."""
    snapshot = evidence.snapshot
    scaled = snapshot.get("ScaledObject", name)
    if cause := _cause_of(known, f"ScaledObject/{name}"):
        return _failed(cause.object, "", cause)
    wanted = word(scaled, "status", "hpaName") or name
    hpa = snapshot.get("HorizontalPodAutoscaler", wanted)
    if hpa is not None:
        return _judged(evidence, hpa, _cause_of(known, ref_of(hpa)))
    about = f"HorizontalPodAutoscaler/{wanted}"
    command = evidence.kubectl("get hpa,scaledobject")
    if scaled is not None or not snapshot.could_read("HorizontalPodAutoscaler"):
        why = "the autoscaler was not read"
        return Check(METRIC, about, State.UNCHECKED, why=why, next=command)
    why = "there is no autoscaler, and the config asks for one"
    return Check(METRIC, about, State.FAILED, why=why, next=command)


def _cause_of(known: list[Cause], about: str) -> Cause | None:
    return next((cause for cause in known if cause.object == about), None)


def _judged(evidence: Evidence, hpa: Body, cause: Cause | None) -> Check:
    about = ref_of(hpa)
    values = {name: _value(hpa, name) for name in _names(hpa)}
    seen = ", ".join(f"{name} = {value or 'unknown'}" for name, value in values.items())
    describe = evidence.kubectl(f"describe hpa {name_of(hpa)}")
    active = condition(hpa, "ScalingActive")
    if word(active, "status") == "True" and values and all(values.values()):
        return Check(METRIC, about, State.PASSED, seen)
    if not active or word(active, "reason") == "ScalingDisabled":
        why = "its target has no pods" if active else "it has not looked at its metrics yet"
        return Check(METRIC, about, State.UNCHECKED, seen, why, describe)
    if cause is not None:
        return _failed(about, seen, cause)
    why = word(active, "message") or "it has no value of a metric that it should scale by"
    return Check(METRIC, about, State.FAILED, seen, f"{word(active, 'reason')}: {why}", describe)


def _failed(about: str, seen: str, cause: Cause) -> Check:
    """A pod that has just become ready cannot have a sample yet, and that is no failure."""
    early = cause.severity is Severity.NOTE
    state = State.UNCHECKED if early else State.FAILED
    return Check(METRIC, about, state, seen, cause.message, cause.next)


def _names(hpa: Body) -> list[str]:
    found = (
        word(metric, kind, "metric", "name")
        for metric in parts(hpa, "spec", "metrics")
        for kind in _KINDS
    )
    return [name for name in found if name]


def _value(hpa: Body, name: str) -> str:
    """The value that the autoscaler read last, as a quantity; empty for none."""
    for metric in parts(hpa, "status", "currentMetrics"):
        for kind in _KINDS:
            if word(metric, kind, "metric", "name") == name:
                current = part(metric, kind, "current")
                return word(current, "averageValue") or word(current, "value")
    return ""
