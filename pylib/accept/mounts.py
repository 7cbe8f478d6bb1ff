"""The weights as the kernel of the node has them: read-ahead, and read-only.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.accept.found import Weights, weights_of
from pylib.accept.inside import MOUNTS, read_ahead_files
from pylib.accept.model import Check, Evidence, Inside, Read, State
from pylib.facts import gke
from pylib.names import MODEL_ROOT
from pylib.snapshot.bodies import Body, name_of, texts
from pylib.snapshot.pods import SERVER

READ_AHEAD = "read-ahead of the mounted device"
READ_ONLY = "weights mounted read-only"

_UNSEEN = Inside(Read(None, "nobody looked"), Read(None, "nobody looked"), Read())


def checks(evidence: Evidence, pod: Body) -> Iterator[Check]:
    """Both, of one pod; nothing for weights that are on no claim, and no read-ahead where the
    volume asks for none."""
    weights = weights_of(evidence.snapshot, pod)
    if weights is None:
        return
    inside = evidence.inside.get(name_of(pod), _UNSEEN)
    yield _read_only(evidence, pod, inside)
    if weights.body is None:
        why = "its PersistentVolume was not read, so nothing says what the read-ahead should be"
        yield _unchecked(READ_AHEAD, pod, why, evidence.kubectl("get pvc,pv"))
    elif wanted := _wanted(weights):
        yield _read_ahead(evidence, pod, inside, wanted)


def _wanted(weights: Weights) -> str:
    """KiB that the volume's mount options ask for, as they are written; empty for none."""
    found = (
        gke.READ_AHEAD.fullmatch(option) for option in texts(weights.body, "spec", "mountOptions")
    )
    return next((match[1] for match in found if match), "")


def _read_only(evidence: Evidence, pod: Body, inside: Inside) -> Check:
    command = _exec(evidence, pod, f"grep {MODEL_ROOT} {MOUNTS}")
    if inside.mount.why_not:
        return _unchecked(READ_ONLY, pod, inside.mount.why_not, command)
    mount = inside.mount.found
    if mount is None:
        return _failed(READ_ONLY, pod, "", f"nothing is mounted at {MODEL_ROOT}", command)
    seen = f"{MODEL_ROOT} is {','.join(mount.options)}, {mount.fs} of {mount.source}"
    if "ro" in mount.options:
        return Check(READ_ONLY, _about(pod), State.PASSED, seen)
    why = "a process in the pod could write to what other pods read"
    return _failed(READ_ONLY, pod, seen, why, command)


def _read_ahead(evidence: Evidence, pod: Body, inside: Inside, wanted: str) -> Check:
    device = inside.mount.found.device if inside.mount.found else "MAJOR:MINOR"
    command = _exec(evidence, pod, f"cat {' '.join(read_ahead_files(device))}")
    read = inside.read_ahead_kib
    if read.found is None:
        why = read.why_not or f"nothing is mounted at {MODEL_ROOT}"
        return _unchecked(READ_AHEAD, pod, why, command)
    seen = f"{read.found} KiB on device {device}, {wanted} asked for"
    # The driver rounds down to the kernel's pages of 4 KiB: gke.READ_AHEAD's source.
    if wanted.isdecimal() and read.found == int(wanted) // 4 * 4:
        return Check(READ_AHEAD, _about(pod), State.PASSED, seen)
    why = (
        "the driver sets it when the first pod of a node mounts the volume, and not again: one "
        "mounted before its mountOptions changed, or with noload, keeps the old value"
    )
    return _failed(READ_AHEAD, pod, seen, why, command)


def _exec(evidence: Evidence, pod: Body, words: str) -> str:
    return evidence.kubectl(f"exec {name_of(pod)} -c {SERVER} -- {words}")


def _about(pod: Body) -> str:
    return f"Pod/{name_of(pod)}"


def _unchecked(name: str, pod: Body, why: str, command: str) -> Check:
    return Check(name, _about(pod), State.UNCHECKED, why=why, next=command)


def _failed(name: str, pod: Body, seen: str, why: str, command: str) -> Check:
    return Check(name, _about(pod), State.FAILED, seen, why, command)
