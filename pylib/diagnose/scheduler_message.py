"""The scheduler's message, taken apart: ``0/3 nodes are available: 2 Insufficient cpu, …``.

Its form is kubernetes/kubernetes pkg/scheduler/framework/types.go FitError@v1.36.3; the reasons are
the constants ``ErrReason…`` of pkg/scheduler/framework/plugins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_FORM = re.compile(r"0/(\d{1,7}) nodes are available: ?(.*)", re.DOTALL)
_REASON = re.compile(r"(\d{1,7}) (.+)", re.DOTALL)

INSUFFICIENT = "Insufficient "
VOLUME_ELSEWHERE = (
    "node(s) didn't match PersistentVolume's node affinity",
    # The words of older releases.
    "node(s) had volume node affinity conflict",
    "node(s) had no available volume zone",
)
TOO_MANY_VOLUMES = "node(s) exceed max volume count"
NO_DRIVER = "CSI driver is not installed on the node"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
ABSENT_CLAIM = re.compile(r'persistentvolumeclaim "[^"]*" (not found|is being deleted)')


@dataclass(frozen=True)
class Verdict:
    """``nodes`` is how many there were, ``reasons`` how many were refused for each; ``before`` is
    what was wrong with the pod before any node was looked at."""

    nodes: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    before: str = ""

    def insufficient(self) -> list[str]:
        """Resources of which some node has too little, as ``nvidia.com/gpu``."""
        return [
            reason.removeprefix(INSUFFICIENT)
            for reason in self.reasons
            if reason.startswith(INSUFFICIENT)
        ]

    def says(self, *texts: str) -> bool:
        """Whether a reason contains one of these texts."""
        return any(text in reason for reason in self.reasons for text in texts)


def verdict(message: str) -> Verdict:
    """The message taken apart; anything else is a verdict on the pod itself."""
    match = _FORM.match(message)
    if match is None:
        return Verdict(before=message.strip())
    # What follows the first full stop is of preemption, which was tried after that.
    text = match[2].partition(". ")[0].strip().rstrip(".")
    reasons: dict[str, int] = {}
    for item in re.split(r", (?=\d+ )", text):
        found = _REASON.fullmatch(item.strip())
        if found is None:
            return Verdict(int(match[1]), before=text)
        reasons[found[2]] = reasons.get(found[2], 0) + int(found[1])
    return Verdict(int(match[1]), reasons)
