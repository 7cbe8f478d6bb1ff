"""A pod's status from its containers', as pkg/kubelet of Kubernetes 1.36 derives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.cluster.bed.agent_container import Container
from tests.cluster.bed.agent_events import now

_UNREADY = "ContainersNotReady"


def phase(mains: Sequence[Container], *, is_over: bool) -> str:
    """Pending, Running, Succeeded or Failed; ``is_over`` when no container will run again."""
    if not is_over:
        has_run = all(c.state.get("running") or c.terminated for c in mains)
        return "Running" if has_run else "Pending"
    codes = [c.terminated.get("exitCode", 137) for c in mains]
    return "Succeeded" if all(code == 0 for code in codes) else "Failed"


class Conditions:
    """The kubelet's conditions of one pod, with the times at which they changed."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}

    def of(
        self,
        inits: Sequence[Container],
        mains: Sequence[Container],
        pod_phase: str,
        *,
        has_sandbox: bool,
    ) -> list[dict[str, Any]]:
        """The conditions now."""
        incomplete = [c.name for c in inits if c.terminated.get("exitCode") != 0]
        unready = [c.name for c in mains if not c.ready]
        initialized = _condition(incomplete, "ContainersNotInitialized", "incomplete")
        ready = _condition(unready, _UNREADY, "unready")
        if pod_phase in {"Succeeded", "Failed"}:
            reason = "PodCompleted" if pod_phase == "Succeeded" else "PodFailed"
            ready = {"status": "False", "reason": reason, "message": None}
        found = {
            "PodReadyToStartContainers": _plain(has_sandbox),
            "Initialized": initialized,
            "ContainersReady": ready,
            "Ready": ready,
        }
        return [self._timed(kind, said) for kind, said in found.items()]

    def _timed(self, kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
        known = self._known.get(kind, {})
        changed = known.get("status") != said["status"]
        time = now() if changed else known["lastTransitionTime"]
        self._known[kind] = {"type": kind, "lastTransitionTime": time, **said}
        return self._known[kind]


def _plain(is_true: bool) -> dict[str, Any]:
    return {"status": "True" if is_true else "False", "reason": None, "message": None}


def _condition(names: Sequence[str], reason: str, word: str) -> dict[str, Any]:
    if not names:
        return _plain(is_true=True)
    message = f"containers with {word} status: [{' '.join(names)}]"
    return {"status": "False", "reason": reason, "message": message}
