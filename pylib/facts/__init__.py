"""Tables of facts about GKE, Compute Engine and vLLM: each figure once, with where it was read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Evidence(StrEnum):
    """How sure a figure is."""

    CONFIRMED = "confirmed"
    """Read in Google's or the project's own code or documentation."""
    REPORTED = "reported"
    """Read in somebody else's table or measurement."""
    UNVERIFIED = "unverified"
    """Believed, but not found in any source at hand: never a reason for an error."""


@dataclass(frozen=True)
class Source:
    """Where a figure comes from: a URL, or ``repository path@version``."""

    text: str
    evidence: Evidence = Evidence.CONFIRMED

    @property
    def confirmed(self) -> bool:
        """True when the owner of the fact says so."""
        return self.evidence is Evidence.CONFIRMED

    @property
    def cite(self) -> str:
        """The source as text, with a remark when it is weak."""
        return self.text if self.confirmed else f"{self.text} ({self.evidence.value})"
