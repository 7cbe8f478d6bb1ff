"""Images that do not come, or not from the cache; downloads of a model."""

from __future__ import annotations

import pytest

from pylib.diagnose import Cause, Severity
from pylib.facts import gke
from pylib.snapshot.model import Log, Unread
from tests.unit.cluster_objects import (
    IMAGE,
    Json,
    body,
    causes,
    created,
    event,
    node,
    one,
    pod,
    ready,
    servers,
)

# --- images ---------------------------------------------------------------------------------------


def not_pulled(reason: str, message: str) -> Json:
    """A pod whose image does not come."""
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(servers({"name": "vllm", "image": IMAGE, "state": state}))


@pytest.mark.parametrize(
    ("reason", "message", "why", "final"),
    [
        ("ErrImagePull", "reference: not found", "the registry has no such image or tag", True),
        (
            "ErrImagePull",
            "no match for platform in manifest",
            "the image is not made for this machine's architecture",
            True,
        ),
        ("InvalidImageName", "couldn't parse image name", "it is no image name", True),
        ("ImagePullBackOff", "403 Forbidden", "the registry refuses the node's credentials", True),
        ("ErrImagePull", "429: toomanyrequests", "the registry's rate limit is used up", False),
        ("ErrImagePull", "no space left on device", "the node's disk is full", False),
        ("ErrImagePull", "dial tcp: i/o timeout", "the node does not reach the registry", False),
        (
            "ErrImageNeverPull",
            "Container image is not present with pull policy of Never",
            "it is not on the node, and pulling is forbidden",
            True,
        ),
        ("ImageInspectError", "something else", "the pull failed", False),
    ],
)
def test_images_that_do_not_come(reason: str, message: str, why: str, *, final: bool) -> None:
    found = one(not_pulled(reason, message), node())
    assert (found.code, found.object) == ("image-pull-failed", "Pod/v-a-1")
    assert found.message == f"cannot pull {IMAGE}: {why} ({message})"
    assert found.final == final


def test_what_to_do_about_an_image() -> None:
    absent = one(not_pulled("ErrImagePull", "not found"), node())
    assert absent.next == (
        f"set image.repository, image.tag and image.digest in the values (now {IMAGE})"
    )
    refused = one(not_pulled("ErrImagePull", "401 Unauthorized"), node())
    assert refused.next == (
        "set imagePullSecrets in the values, or give the nodes' service account "
        "roles/artifactregistry.reader: gcloud projects get-iam-policy my-project"
    )
    slow = one(not_pulled("ErrImagePull", "429"), node())
    assert slow.next == "kubectl -n inference describe pod v-a-1"


CACHED = {"metadata": {"annotations": {gke.CACHED_IMAGES: IMAGE}}}
PULLED = f'Successfully pulled image "{IMAGE}" in 3m35s (3m35s including waiting)'
READ = (
    'gcloud logging read \'log_id("gcfs-snapshotter") "secondary boot disk caching" "n1"\' '
    "--project=my-project --limit=5"
)


def test_an_image_that_should_be_cached_and_was_pulled() -> None:
    mine = ready(CACHED)
    assert one(mine, node(), event(mine, "Pulled", PULLED)) == Cause(
        "image-not-cached",
        Severity.WARNING,
        "Pod/v-a-1",
        f"the pull of {IMAGE} took 4 min, although imageCache.images says that nodes hold it",
        READ,
    )


def test_a_pull_that_still_goes_on() -> None:
    mine = created(CACHED)
    begun = event(mine, "Pulling", f'Pulling image "{IMAGE}"', "2026-03-01T12:08:30Z")
    assert one(mine, node(), begun).message.startswith(f"the pull of {IMAGE} has taken 90 s")


def test_a_quick_pull_and_one_that_nobody_promised_to_cache_are_no_cause() -> None:
    quick = ready(CACHED)
    text = PULLED.replace("3m35s", "2.6s")
    assert causes(quick, node(), event(quick, "Pulled", text)) == []
    free = ready()
    assert causes(free, node(), event(free, "Pulled", PULLED)) == []
    there = event(quick, "Pulled", f'Container image "{IMAGE}" already present on machine')
    assert causes(quick, node(), there) == []


def test_what_the_node_says_of_an_image_that_was_not_cached() -> None:
    label = f"{gke.SECONDARY_BOOT_DISK_LABEL}vllm"
    wanting = ready(CACHED, {"spec": {"nodeSelector": {label: "CONTAINER_IMAGE_CACHE.p"}}})
    said = event(wanting, "Pulled", PULLED)
    assert one(wanting, node(), said).message.endswith(": node n1 has no secondary boot disk label")
    mine = ready(CACHED)
    streamed = event(node(), "ImageStreaming", f"Image {IMAGE} is backed by image streaming.")
    found = one(mine, node(), streamed, event(mine, "Pulled", PULLED))
    assert found.message.endswith(": node n1 streamed it instead")
    hidden = one(mine, event(mine, "Pulled", PULLED), unread=(Unread("Node", "no"),))
    assert hidden.message.endswith("says that nodes hold it")


# --- the download ---------------------------------------------------------------------------------


JOB = body(
    "Job", "v-download-1", {"spec": {"activeDeadlineSeconds": 3600}, "status": {"active": 1}}
)


def attempt(message: str, code: int = 2) -> Json:
    """A pod of the download that ended."""
    ended = {"terminated": {"exitCode": code, "message": message}}
    label = {"batch.kubernetes.io/job-name": "v-download-1"}
    return pod(
        {"metadata": {"labels": label}},
        {"status": {"phase": "Failed", **servers({"name": "download", "state": ended})["status"]}},
    )


def failed(reason: str, message: str = "") -> Json:
    """The condition of a Job that was given up."""
    said = {"type": "Failed", "status": "True", "reason": reason, "message": message}
    return body("Job", "v-download-1", JOB, {"status": {"conditions": [said]}})


def test_a_download_that_was_given_up() -> None:
    found = one(
        failed("PodFailurePolicy", "x"), attempt("trying\ngs://models/x does not exist.\n"), node()
    )
    assert found == Cause(
        "download-failed",
        Severity.ERROR,
        "Job/v-download-1",
        "gave up: gs://models/x does not exist",
        "kubectl -n inference logs job/v-download-1 -c download",
        final=True,
    )
    assert one(failed("BackoffLimitExceeded", "Too many.")).message == "gave up: Too many"


def test_a_download_that_tries_again() -> None:
    found = one(JOB, attempt("", 1), node())
    assert (found.severity, found.final) == (Severity.WARNING, False)
    assert found.message == "failed and tries again: exit code 1"
    told = one(JOB, attempt("", 1), node(), logs=(Log("v-a-1", "download", "reset by peer\n"),))
    assert told.message == "failed and tries again: reset by peer"
    stranger = attempt("x")
    stranger["metadata"]["labels"] = {}
    assert causes(JOB, stranger, node()) == []


def test_a_download_that_took_too_long() -> None:
    found = one(failed("DeadlineExceeded", "Job was active longer"))
    assert (found.message, found.next) == (
        "did not end within its deadline of 60 min",
        "set download.deadlineSeconds: 7200 in the values, then run helm upgrade",
    )
