"""Entry of the payload: the job from the metadata server, the result to it, the exit status.

Whatever goes wrong is reported with the line that it came from.  The status is 0 only when success
was reported; 3 when a failure was; anything else tells the startup script to report it itself.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pylib.guest.payload.bake import Outcome, bake
from pylib.guest.payload.check import check
from pylib.guest.payload.failure import line_of, message_of
from pylib.guest.payload.job import ImageJob, kind_of, nonce_of, parse_job
from pylib.guest.payload.metadata import Metadata
from pylib.guest.payload.report import Report

REPORTED_OK, NOT_REPORTED, REPORTED_FAILURE = 0, 1, 3
_WORK = Path("/var/tmp")
_LOG = logging.getLogger(__name__)


def main() -> int:
    """Do the job; returns the exit status."""
    gc.disable()  # jobs make many objects and no cycles, so looking for those is only time
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    try:
        text = Metadata().attribute("vfs-job")
        return run(text, Report(nonce_of(text)))
    except Exception as error:
        _LOG.exception("not reported: %s", message_of(error))
        return NOT_REPORTED


def run(text: str, report: Report, work: Path = _WORK) -> int:
    """Do the job in ``text``, and report; raises :class:`GuestError` when nobody can hear it."""
    os.umask(0o022)  # the modes of the folders that containerd makes around each tree
    report.begin()
    folder = Path(tempfile.mkdtemp(prefix="vfs-", dir=work))
    try:
        outcome = _do(text, report, folder)
    except Exception as error:
        _LOG.exception("failed")
        report.fail(message_of(error), line_of(error))
        return REPORTED_FAILURE
    finally:
        if not (folder / "disk").is_mount():
            shutil.rmtree(folder)
    report.succeed(outcome.digest, outcome.facts)
    _LOG.info("%s is on the disk", outcome.digest)
    return REPORTED_OK


def _do(text: str, report: Report, folder: Path) -> Outcome:
    if kind_of(text) == "weights":
        from pylib.guest.payload import weights

        return weights.run(text, report, folder)
    job = parse_job(text)
    return _task(job)(job, report, folder)


def _task(job: ImageJob) -> Callable[[ImageJob, Report, Path], Outcome]:
    if job.verify_digest is not None:
        return check
    if job.payload == "containerd":
        from pylib.guest.payload.containerd import bake_by_containerd

        return bake_by_containerd
    return bake


if __name__ == "__main__":
    sys.exit(main())
