"""What only a real cluster can prove, checked there: reading, then judgements that are pure."""

from __future__ import annotations

from pylib.accept.judging import judge
from pylib.accept.model import Check, Evidence, State
from pylib.accept.reading import take

__all__ = ["Check", "Evidence", "State", "judge", "take"]
