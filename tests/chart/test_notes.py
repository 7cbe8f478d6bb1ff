"""NOTES: what was resolved, what is off, and the next command."""

from typing import Any

from tests.chart.helmtool import REVISION, SERVE, ZONE, merged, notes
from tests.chart.test_cells import TWO
from tests.chart.test_weights import CLAIM, NONE

ALL_ON: dict[str, Any] = {
    "imageCache": {"diskImage": "vllm-cache-1"},
    "autoscaling": {"enabled": True},
    "monitoring": {"rules": {"enabled": True}},
    "server": {"apiKey": {"secretName": "key"}},
}


def test_the_smallest_release() -> None:
    assert notes(SERVE) == (
        "vLLM fast start 0.1.0: gemma-7b on vLLM 0.33.0.\n"
        "\n"
        "Image: docker.io/vllm/vllm-openai:v0.33.0\n"
        "Model: /model-data/gemma/gemma-7b\n"
        "Weights in us-central1-a: disk gemma-7b-a (pd-ssd, 1024 GiB), revision 3f2a9c01b7de, "
        "read-only\n"
        "Cells: us-central1-a\n"
        "\n"
        "Off:\n"
        "  - image cache: new nodes pull the image "
        "(imageCache.diskImage names the node pool's secondary boot disk)\n"
        "  - autoscaling (autoscaling.enabled: true)\n"
        "  - alert rules (monitoring.rules.enabled: true)\n"
        "  - API key: whoever reaches the Service may use it (server.apiKey.secretName)\n"
        "\n"
        "Next, wait for the pods, then ask for a completion:\n"
        "\n"
        "  kubectl -n serving rollout status deployment/vllm-us-central1-a --timeout=2100s\n"
        "  helm -n serving test vllm --logs"
    )


def test_with_everything_on_nothing_is_said_to_be_off() -> None:
    text = notes(merged(SERVE, ALL_ON))
    assert "Off:" not in text
    assert "Cache: nodes hold it on disk image vllm-cache-1\n" in text


def test_everything_that_can_be_off_is_named() -> None:
    off: dict[str, Any] = {
        "weights": {"verify": "none"},
        "monitoring": {"podMonitoring": {"enabled": False}},
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
    }
    lines = [x for x in notes(merged(SERVE, off)).splitlines() if x.startswith("  - ")]
    assert len(lines) == 8


def test_every_cell_has_its_disk_and_its_command() -> None:
    text = notes(merged(SERVE, TWO))
    assert "Cells: us-central1-a, b\n" in text
    assert "Weights in b: disk disk-b (pd-ssd, 1024 GiB)" in text
    assert "rollout status deployment/vllm-b --timeout" in text


def test_a_revisions_own_disk_is_the_one_that_is_named() -> None:
    disk = {"name": REVISION, "disks": {ZONE: "d"}, "type": "hyperdisk-ml", "sizeGiB": 200}
    text = notes(merged(SERVE, {"weights": {"disk": {"revisions": [disk]}}}))
    assert "disk d (hyperdisk-ml, 200 GiB), revision 3f2a9c01b7de" in text


def test_each_weights_kind_says_where_the_weights_are() -> None:
    assert "\nWeights in us-central1-a: claim models, read-only\n" in notes(merged(SERVE, CLAIM))
    assert (
        "\nModel: google/gemma-7b\n"
        "Weights: google/gemma-7b at main, downloaded at every start of a pod, which is slow; "
        "a weights disk is not (weights.kind: disk)\n"
    ) in notes(merged(SERVE, NONE))
