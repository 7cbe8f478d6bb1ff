"""``accept`` on the real control plane and the emulator: it passes where their rules allow, and
says what could not be checked where they do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pylib.lock import lock_path
from tests.cluster.accepting import (
    DISK,
    NODE,
    Accepting,
    accepting,
    check,
    reader_of_all,
    states,
)
from tests.cluster.bed.bed import TOOLS, Bed
from tests.cluster.bed.wait import until
from tests.cluster.conftest import tidy
from tests.cluster.release import NAME, SECONDS, Helm
from tests.cluster.test_observe_refusals import kubeconfig_of

CACHE = "image from the node's cache"
ATTACHED = "weights disk attached READ_ONLY"
READ_ONLY = "weights mounted read-only"
READ_AHEAD = "read-ahead of the mounted device"
COMPLETION = "completion served"
METRIC = "metric reaches the autoscaler"


@pytest.fixture(scope="module")
def site(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accepting]:
    """One release for all tests; each sets back what it changes."""
    folder = tmp_path_factory.mktemp("accept")
    with accepting(bed, Helm(TOOLS / "helm", bed), folder) as one:
        try:
            yield one
        finally:
            tidy(bed, one.namespace)


def test_all_passes_but_what_only_cloud_logging_tells(site: Accepting) -> None:
    code, found = site.accept()
    assert (code, found["counts"]) == (1, {"passed": 10, "failed": 0, "unchecked": 1})
    assert check(found, ATTACHED)["about"] == f"disk {DISK} on node {NODE}"
    assert check(found, READ_AHEAD)["seen"] == "4096 KiB on device 8:32, 4096 asked for"
    assert check(found, METRIC)["seen"].endswith("|vllm:num_requests_running|gauge = 3")
    assert check(found, COMPLETION)["seen"].endswith(": 'r1'")
    cache = check(found, CACHE)
    assert cache["state"] == "unchecked"
    assert "The emulator does not know POST /v2/entries:list" in cache["why"]
    assert cache["next"].startswith("gcloud logging read ")


def test_what_the_node_does_otherwise_than_it_was_told_fails(site: Accepting) -> None:
    site.see("rw", "128")
    site.attach("READ_WRITE")
    try:
        code, found = site.accept()
    finally:
        site.see()
        site.attach("READ_ONLY")
    failed = {name for name, state in states(found).items() if state == "failed"}
    assert (code, failed) == (1, {READ_ONLY, READ_AHEAD, ATTACHED})
    assert check(found, READ_AHEAD)["seen"] == "128 KiB on device 8:32, 4096 asked for"
    assert check(found, ATTACHED)["seen"].startswith("attached READ_WRITE, VolumeAttachment/csi-")


def test_a_lock_of_another_bake_fails(site: Accepting) -> None:
    file = lock_path(site.config)
    text = file.read_text(encoding="utf-8")
    lock = yaml.safe_load(text)
    lock["imageCache"]["id"] = "77"
    file.write_text(yaml.safe_dump(lock), encoding="utf-8")
    try:
        _, found = site.accept()
    finally:
        file.write_text(text, encoding="utf-8")
    assert check(found, "baked image")["why"].startswith("the lock file says id 77: ")


def test_whoever_may_only_read_learns_the_rest_and_the_commands(
    site: Accepting, bed: Bed, tmp_path: Path
) -> None:
    reader_of_all(bed.kube, "reader")
    kubeconfig = kubeconfig_of(bed, "reader", tmp_path)

    def may_read() -> bool:
        rule = {"verb": "list", "resource": "persistentvolumes"}
        asked = {"user": "reader", "resourceAttributes": rule}
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        said = bed.kube.create({**kind, "metadata": {}, "spec": asked})
        return bool(said["status"]["allowed"])

    until(may_read, SECONDS, "the reader may read")
    _, found = site.accept(kubeconfig=kubeconfig)
    unchecked = {name for name, state in states(found).items() if state == "unchecked"}
    assert unchecked == {CACHE, READ_ONLY, READ_AHEAD, COMPLETION}
    mounted = check(found, READ_ONLY)
    assert mounted["why"].startswith(f"exec in Pod/{site.pod}: ")
    assert mounted["why"].endswith(
        "is forbidden. It takes the right to create pods/exec. (HTTP 403)"
    )
    assert f"exec {site.pod} -c vllm -- grep /model-data" in mounted["next"]
    assert check(found, COMPLETION)["next"] == f"helm test {NAME} -n {site.namespace}"


def test_a_metric_that_does_not_come_fails_and_says_why(site: Accepting) -> None:
    site.monitoring.clear()
    try:

        def lost() -> bool:
            return states(site.accept()[1])[METRIC] != "passed"

        until(lost, SECONDS, "the autoscaler has lost its metric")
        found = check(site.accept()[1], METRIC)
    finally:
        site.until_scaled()
    # The pod is ready for seconds only: no sample yet is no failure.
    assert found["state"] == "unchecked"
    assert "is missing: Cloud Monitoring has no such metric" in found["why"]
    assert found["next"].startswith(f"kubectl -n {site.namespace} get podmonitoring")
