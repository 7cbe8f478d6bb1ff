"""A pod without a node: the scheduler's refusal, and the label, taint, GPU or zone behind it."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.diagnose import autoscaler, nodes, placement
from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.scene import Scene, newest
from pylib.diagnose.scheduler_message import ABSENT_CLAIM, UNBOUND, Verdict, verdict
from pylib.facts import gke
from pylib.snapshot.bodies import Body, condition, name_of, parts, ref_of, word
from pylib.snapshot.plain import plain

_GATED = "SchedulingGated"


def causes(scene: Scene) -> Iterator[Cause]:
    """Why pods wait for a node."""
    for pod in scene.pods():
        waiting = word(condition(pod, "PodScheduled"), "status") == "False"
        if waiting and not word(pod, "spec", "nodeName"):
            yield from _of(scene, pod)


def _of(scene: Scene, pod: Body) -> Iterator[Cause]:
    if word(condition(pod, "PodScheduled"), "reason") == _GATED:
        yield _gated(scene, pod)
        return
    found = verdict(_message(scene, pod))
    if _waits_for_claim(scene, pod, found):
        return
    placed = placement.Placement(scene, pod, found)
    scaling = list(autoscaler.causes(scene, pod))
    contradiction = _zones_contradict(scene, pod)
    if contradiction:
        yield contradiction
    elif placed.candidates:
        yield from placed.refused()
        yield from scaling
    else:
        # Nodes that are on their way, or that cannot come, matter more than that there are none.
        if autoscaler.would_not_fit(scene, pod) or not scaling:
            yield from placed.unmatched()
        yield from scaling


def _message(scene: Scene, pod: Body) -> str:
    said = word(condition(pod, "PodScheduled"), "message")
    return said or newest(scene.events(pod, "FailedScheduling"))


def _waits_for_claim(scene: Scene, pod: Body, found: Verdict) -> bool:
    """Whether the pod's claims are the cause, which the volumes' diagnosis names."""
    about_claims = UNBOUND in found.before or ABSENT_CLAIM.search(found.before)
    readable = scene.snapshot.could_read("PersistentVolumeClaim")
    return bool(about_claims and readable and scene.claims(pod))


def _gated(scene: Scene, pod: Body) -> Cause:
    gates = ", ".join(plain(word(gate, "name")) for gate in parts(pod, "spec", "schedulingGates"))
    return Cause(
        "scheduling-gated",
        Severity.ERROR,
        ref_of(pod),
        f"is held back by the scheduling gates {gates}: another controller lifts them",
        scene.kubectl(f"get pod {name_of(pod)} -o yaml")
        + "  # who set the gates: metadata.managedFields",
    )


def _zones_contradict(scene: Scene, pod: Body) -> Cause | None:
    """A pod that asks for one zone and mounts a disk of another fits no node, now or later."""
    wanted = nodes.selector_of(pod).get(gke.ZONE)
    for name, claim in scene.claims(pod):
        volume = scene.volume_of(claim)
        zones = nodes.zones_of_volume(volume)
        if volume and wanted and zones and wanted not in zones:
            there = ", ".join(zones)
            return Cause(
                "zone-mismatch",
                Severity.ERROR,
                ref_of(pod),
                f"wants zone {wanted}, but its claim {name} is bound to {ref_of(volume)}, whose "
                f"disk is in {there}: no node is in both",
                f"set the cell's zone to {zones[0]} in the values, or give it a disk in {wanted}; "
                f"then run helm upgrade",
                final=True,
            )
    return None
