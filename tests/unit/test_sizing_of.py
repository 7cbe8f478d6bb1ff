"""What one pod asks for follows from the config, and the reasons say how."""

from __future__ import annotations

import pytest

from pylib.config.parse import parse_config
from pylib.sizing_of import PodSize, pod_size
from tests.unit.bad_configs.tables import BASE, Edits, edited

WEIGHTS = "weights:\n  kind: disk\n  type: pd-ssd\n  sizeGiB: 1024\n"
VERSION = '  vllmVersion: "0.33.0"\n'
HF = {"gs://my-models/gemma/gemma-7b": "hf://google/gemma-7b"}
SMALL_CELL = (
    "    maxNodes: 5\n  - {name: b, zone: us-central1-b, nodePool: {name: b},"
    " machineType: g2-standard-4, accelerator: {type: nvidia-l4, count: 1}}\n"
)


def _size(edits: Edits) -> PodSize:
    return pod_size(parse_config(edited(BASE, edits)))


def test_a_pod_takes_its_share_of_the_node_and_room_for_the_model() -> None:
    assert _size({}) == PodSize(
        gpus=2,
        cpu="19",
        memory_gib=32,
        shm_gib=8,
        ephemeral_storage_gib=10,
        startup_budget_seconds=690,
        reasons=(
            "cpu 19: 80% of the node's vCPUs for its share of GPUs.",
            "memory 32Gi: 16 GiB of weights in the page cache, 8 GiB of /dev/shm, and vLLM.",
            "load on g2-standard-24: 34.5 s cold, limited by disk (731.52 MiB/s).",
            "startup.budgetSeconds 690: load 34.5 s and vLLM's own start, doubled.",
        ),
    )


def test_what_the_config_gives_is_taken_and_needs_no_reason() -> None:
    given = "  resources: {cpu: 0.5, memoryGiB: 40, ephemeralStorageGiB: 3}\n"
    size = _size({VERSION: f"{VERSION}{given}  startupBudgetSeconds: 99\n"})
    assert (size.cpu, size.memory_gib, size.ephemeral_storage_gib) == ("0.5", 40, 3)
    assert (size.startup_budget_seconds, size.reasons) == (99, ())


@pytest.mark.parametrize(("cpu", "text"), [("4", "4"), ("4.0", "4"), ("1.25", "1.25")])
def test_a_number_of_cores_is_written_as_kubernetes_writes_it(cpu: str, text: str) -> None:
    assert _size({VERSION: f"{VERSION}  resources: {{cpu: {cpu}}}\n"}).cpu == text


def test_one_gpu_of_a_node_takes_half_of_its_cores_and_less_shared_memory() -> None:
    size = _size({VERSION: f"{VERSION}  tensorParallelism: 1\n"})
    assert (size.gpus, size.cpu, size.shm_gib, size.memory_gib) == (1, "9", 2, 26)


def test_the_smallest_node_and_the_slowest_load_of_all_cells_decide() -> None:
    size = _size({"    maxNodes: 5\n": SMALL_CELL})
    assert (size.gpus, size.cpu, size.startup_budget_seconds) == (1, "3", 780)
    assert size.reasons[2:] == (
        "load on g2-standard-24: 34.5 s cold, limited by disk (731.52 MiB/s).",
        "load on g2-standard-4: 80.4 s cold, limited by machine (240 MiB/s).",
        "startup.budgetSeconds 780: load 80.4 s and vLLM's own start, doubled.",
    )


def test_a_machine_type_is_estimated_once_however_many_cells_have_it() -> None:
    twin = SMALL_CELL.replace("g2-standard-4", "g2-standard-24").replace("count: 1", "count: 2")
    assert _size({"    maxNodes: 5\n": twin}) == _size({})


def test_cores_of_a_machine_that_is_not_known_are_assumed_and_said_to_be() -> None:
    size = _size({"g2-standard-24": "g9-standard-24"})
    assert size.cpu == "8"
    assert size.reasons[0] == "cpu 8: assumed for a machine type not known here."


@pytest.mark.parametrize(
    "argument",
    ["--load-format=runai_streamer", "--load-format=fastsafetensors", "--x=prefetch"],
)
def test_a_loader_with_many_reads_in_flight_needs_less_time(argument: str) -> None:
    size = _size({"--max-model-len=8192": argument})
    assert size.startup_budget_seconds == 660
    assert size.reasons[2].startswith("load on g2-standard-24: 22.4 s cold")


@pytest.mark.parametrize(
    ("edits", "budget"),
    [
        pytest.param({"cells:\n": "imageCache: {enabled: false}\ncells:\n"}, 1410, id="no cache"),
        pytest.param({WEIGHTS: "weights: {kind: claim, claims: {a: models}}\n"}, 1290, id="claim"),
        pytest.param({WEIGHTS: "weights: {kind: none, sizeGiB: 20}\n", **HF}, 1290, id="none"),
        pytest.param({"  sizeGiB: 1024\n": "  sizeGiB: 16\n"}, 780, id="a small disk"),
        pytest.param(
            {"  sizeGiB: 1024\n": "  sizeGiB: 1024\n  readAheadKiB: 128\n"}, 810, id="read-ahead"
        ),
    ],
)
def test_a_slower_way_to_start_has_a_longer_budget(edits: Edits, budget: int) -> None:
    assert _size(edits).startup_budget_seconds == budget


def test_provisioned_throughput_shortens_the_load() -> None:
    hyperdisk = {
        "g2-standard-24": "a3-ultragpu-8g",
        "{type: nvidia-l4, count: 2}": "{type: nvidia-h200-141gb, count: 8}",
        "    maxNodes: 5\n": "    bootDisk: {type: hyperdisk-balanced}\n",
    }
    slow, fast = (
        _size(
            {
                **hyperdisk,
                "  type: pd-ssd\n  sizeGiB: 1024\n": (
                    f"  type: hyperdisk-ml\n  sizeGiB: 200\n  throughputMiBps: {rate}\n"
                ),
            }
        )
        for rate in (100, 1200)
    )
    assert fast.startup_budget_seconds < slow.startup_budget_seconds


@pytest.mark.parametrize(
    ("weights", "storage"),
    [
        pytest.param("{kind: none, sizeGiB: 20}", 30, id="an emptyDir holds the model"),
        pytest.param("{kind: none, claims: {a: cache}}", 10, id="a claim holds the model"),
    ],
)
def test_a_model_downloaded_into_the_pod_needs_its_room(weights: str, storage: int) -> None:
    assert _size({WEIGHTS: f"weights: {weights}\n", **HF}).ephemeral_storage_gib == storage


def test_a_config_without_a_server_has_no_pod() -> None:
    config = parse_config(BASE).model_copy(update={"serving": None})
    with pytest.raises(ValueError, match=r"^a config in serve mode needs serving$"):
        pod_size(config)
