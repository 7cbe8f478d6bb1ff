"""Download mode: a claim, a Job that runs once, and a disk that outlives the release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylib.kube import Body, Kube
from tests.chart.helmtool import DOWNLOAD
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.wait import until
from tests.cluster.release import SECONDS, ZONE_B, Helm, condition, pods, write_values

NAME = "fetch"
CLAIM = "fetch-download"
OTHER: dict[str, Any] = {"download": {"source": "gs://models/gemma/gemma-7b-it"}}


@pytest.fixture
def each(bed: Bed, any_helm: Path) -> Helm:
    """Each helm, and a node without GPUs."""
    bed.add_node("cpu", zone=ZONE_B, pool="default", gpus=0)
    return Helm(any_helm, bed)


def claim(kube: Kube, namespace: str) -> Body:
    """The claim that the Job fills."""
    return kube.get("v1", "PersistentVolumeClaim", CLAIM, namespace) or {}


def disk(kube: Kube, namespace: str) -> str:
    """The disk of the claim, as the PD CSI driver names it."""
    volume = kube.get("v1", "PersistentVolume", claim(kube, namespace)["spec"]["volumeName"]) or {}
    return str(volume["spec"]["csi"]["volumeHandle"])


def jobs(kube: Kube, namespace: str) -> list[str]:
    """Names of the release's Jobs, those that are being deleted left out."""
    return [
        job["metadata"]["name"]
        for job in kube.list("batch/v1", "Job", namespace)
        if "deletionTimestamp" not in job["metadata"]
    ]


def wait_complete(kube: Kube, namespace: str) -> str:
    """The only Job's name, once it is complete."""

    def done() -> str:
        found = kube.list("batch/v1", "Job", namespace)
        is_complete = [condition(job, "Complete").get("status") == "True" for job in found]
        return str(found[0]["metadata"]["name"]) if is_complete == [True] else ""

    return until(done, SECONDS, "the only Job is complete")


def test_the_job_fills_a_disk_once_and_another_download_is_another_job_on_the_same_disk(
    each: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    values = write_values(tmp_path, base=DOWNLOAD)
    each.install(NAME, namespace, values)
    first = wait_complete(kube, namespace)
    handle = disk(kube, namespace)
    assert handle.startswith("projects/my-project/zones/us-central1-b/disks/pvc-")
    ran = [pod["metadata"]["uid"] for pod in pods(kube, namespace, component="download")]
    assert len(ran) == 1

    each.upgrade(NAME, namespace, values)
    assert jobs(kube, namespace) == [first]
    again = [pod["metadata"]["uid"] for pod in pods(kube, namespace, component="download")]
    assert again == ran

    # A Job's spec cannot change: under the same name helm ends with "field is immutable".
    each.upgrade(NAME, namespace, write_values(tmp_path, OTHER, base=DOWNLOAD))
    until(lambda: jobs(kube, namespace) != [first], SECONDS, "there is another Job")
    second = wait_complete(kube, namespace)
    assert second != first
    assert disk(kube, namespace) == handle


def test_the_disk_outlives_the_release_and_the_next_one_of_that_name_goes_on_with_it(
    each: Helm, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    # Without the resource policy the claim went with the release, and the provisioner deleted
    # the volume, as the class's reclaim policy says.
    values = write_values(tmp_path, base=DOWNLOAD)
    each.install(NAME, namespace, values)
    wait_complete(kube, namespace)
    handle = disk(kube, namespace)
    done = each.uninstall(NAME, namespace, "--wait", "--timeout=60s")
    assert "[PersistentVolumeClaim] fetch-download" in done.stdout + done.stderr
    assert jobs(kube, namespace) == []
    assert claim(kube, namespace)["status"]["phase"] == "Bound"
    each.install(NAME, namespace, values)
    wait_complete(kube, namespace)
    assert disk(kube, namespace) == handle
