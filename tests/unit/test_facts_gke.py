"""Names and formats that GKE fixed."""

import pytest

from pylib.facts import gke


def test_secondary_boot_disk_label_leaves_39_characters_for_the_image() -> None:
    assert gke.MAX_SECONDARY_BOOT_DISK_IMAGE == 39


@pytest.mark.parametrize(
    ("handle", "parts"),
    [
        ("projects/p/zones/us-central1-a/disks/d", ("p", "zones", "us-central1-a", "d")),
        ("projects/p/regions/us-central1/disks/d", ("p", "regions", "us-central1", "d")),
    ],
)
def test_volume_handle_has_six_parts(handle: str, parts: tuple[str, ...]) -> None:
    found = gke.VOLUME_HANDLE.fullmatch(handle)
    assert found is not None
    assert found.groups() == parts


@pytest.mark.parametrize(
    "handle",
    [
        "us-central1-a/d",
        "projects/p/zones/us-central1-a/disks/d/",
        "projects/p/global/disks/d",
        "https://www.googleapis.com/compute/v1/projects/p/zones/z/disks/d",
    ],
)
def test_other_handles_are_refused(handle: str) -> None:
    assert gke.VOLUME_HANDLE.fullmatch(handle) is None


def test_metric_name_of_the_stackdriver_adapter() -> None:
    found = gke.STACKDRIVER_METRIC.fullmatch(
        "prometheus.googleapis.com|vllm:num_requests_running|gauge"
    )
    assert found is not None
    assert found.groupdict() == {"metric": "vllm:num_requests_running", "kind": "gauge"}


def test_metric_name_of_an_autoscaling_metric() -> None:
    found = gke.GKE_METRIC.fullmatch("autoscaling.gke.io|vllm|num-requests-running")
    assert found is not None
    assert found.groupdict() == {"resource": "vllm", "metric": "num-requests-running"}


def test_autoscaling_metric_labels_hold_no_dot_and_no_slash() -> None:
    assert gke.AUTOSCALING_METRIC_LABEL.fullmatch("app")
    assert not gke.AUTOSCALING_METRIC_LABEL.fullmatch("app.kubernetes.io/name")
