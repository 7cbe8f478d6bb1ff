"""From a snapshot to causes: why a release is not ready, not fast or not scaling.  Pure."""

from __future__ import annotations

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.diagnosis import diagnose

__all__ = ["Cause", "Severity", "diagnose"]
