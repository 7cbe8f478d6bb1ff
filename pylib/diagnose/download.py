"""The download Job: what its own last message says, and when it was given up."""

from __future__ import annotations

from collections.abc import Iterator

from pylib.diagnose.cause import Cause, Severity
from pylib.diagnose.scene import Scene, container_statuses
from pylib.diagnose.wording import seconds, sentence
from pylib.snapshot.bodies import Body, condition, name_of, number, part, ref_of, word, words
from pylib.snapshot.pods import DOWNLOAD

_USELESS = 2
"""Exit code of a download that a second attempt cannot mend; the chart's podFailurePolicy."""


def causes(scene: Scene) -> Iterator[Cause]:
    """Why a download failed or fails."""
    for job in scene.snapshot.of("Job"):
        failed = condition(job, "Failed")
        given_up = word(failed, "status") == "True"
        said = _last_words(scene, job)
        if given_up and word(failed, "reason") == "DeadlineExceeded":
            yield _late(job)
        elif given_up or said:
            yield _failed(scene, job, said or word(failed, "message"), final=given_up)


def _last_words(scene: Scene, job: Body) -> str:
    """The message of the newest attempt that failed."""
    said = ""
    for pod in scene.snapshot.of("Pod"):
        if words(pod, "metadata", "labels").get("batch.kubernetes.io/job-name") != name_of(job):
            continue
        for status in container_statuses(pod):
            ended = part(status, "state", "terminated")
            if word(status, "name") == DOWNLOAD and number(ended, "exitCode"):
                log = scene.snapshot.log(name_of(pod), DOWNLOAD) or ""
                said = word(ended, "message") or log or f"exit code {number(ended, 'exitCode')}"
    return said


def _failed(scene: Scene, job: Body, said: str, *, final: bool) -> Cause:
    last = [line for line in said.splitlines() if line.strip()][-1:]
    state = "gave up" if final else "failed and tries again"
    return Cause(
        "download-failed",
        Severity.ERROR if final else Severity.WARNING,
        ref_of(job),
        f"{state}: {sentence(''.join(last))}",
        scene.kubectl(f"logs job/{name_of(job)} -c {DOWNLOAD}"),
        final=final,
    )


def _late(job: Body) -> Cause:
    deadline = number(job, "spec", "activeDeadlineSeconds") or 0
    return Cause(
        "download-failed",
        Severity.ERROR,
        ref_of(job),
        f"did not end within its deadline of {seconds(deadline)}",
        f"set download.deadlineSeconds: {2 * deadline} in the values, then run helm upgrade",
        final=True,
    )
