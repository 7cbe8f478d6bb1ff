"""A weights disk, phase by phase: made, or checked as a disk from the finished image."""

from __future__ import annotations

from pathlib import Path

from pylib.guest.payload.bake import Outcome
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.report import Report
from pylib.guest.payload.weights_job import parse_weights_job


def run(text: str, report: Report, work: Path) -> Outcome:
    """Do the job in ``text``; raises :class:`GuestError` and :class:`OSError`."""
    job = parse_weights_job(text)
    del report, work
    raise GuestError(f"{job.source or job.device}: no weights yet")
