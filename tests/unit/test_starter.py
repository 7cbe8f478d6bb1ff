"""The config that init writes is a good one, whatever the model and the machine."""

from __future__ import annotations

from dataclasses import fields

import pytest

from pylib.config.model import Config, Disk
from pylib.config.parse import parse_config
from pylib.config.starter import QUESTIONS, Answers, defaults, starter_config
from pylib.facts.machines import FAMILIES, MACHINE_TYPES
from pylib.facts.vllm import NEWEST
from pylib.yamlio import parse_one

GEMMA = Answers("my-project", "vllm-cluster", "gs://my-models/gemma/gemma-7b")


def _config(**changes: object) -> Config:
    answers = {field.name: getattr(GEMMA, field.name) for field in fields(Answers)} | changes
    return parse_config(starter_config(Answers(**answers)))


def test_the_answers_stand_in_the_config() -> None:
    config = _config(
        zone="europe-west4-b",
        model_gib=40,
        machine_type="g2-standard-48",
        gpus=4,
        vllm_version="0.10.0",
        namespace="llm",
    )
    cell = config.cells[0]
    assert config.serving is not None
    assert (config.project, config.region, config.cluster.name) == (
        "my-project",
        "europe-west4",
        "vllm-cluster",
    )
    assert (config.release.name, config.release.namespace) == ("gemma-7b", "llm")
    assert (config.model.source, config.model.sizeGiB) == ("gs://my-models/gemma/gemma-7b", 40)
    assert (cell.zone, cell.machineType, cell.accelerator.count) == (
        "europe-west4-b",
        "g2-standard-48",
        4,
    )
    assert cell.nodePool is not None
    assert cell.nodePool.name == "gemma-7b-pool"
    assert config.serving.vllmVersion == "0.10.0"


def test_the_text_explains_itself_in_comments() -> None:
    lines = starter_config(GEMMA).splitlines()
    assert lines[0].startswith("# Config of vLLM fast start.")
    assert sum("# " in line for line in lines) >= 8
    assert lines[1] == "version: 1"


@pytest.mark.parametrize(
    ("source", "release"),
    [
        ("hf://meta-llama/Llama-3.3-70B-Instruct", "llama-3-3-70b-instruct"),
        ("hf://01-ai/34B_chat", "vllm-34b-chat"),
        ("hf://org/__x__", "x"),
        ("hf://org/___", "vllm"),
        ("hf://mistralai/Mistral-Small-3.1-24B-Instruct-2503", "mistral-small-3-1-24b-instruct"),
        ("hf://a/" + "x" * 200, "x" * 31),
        ("hf://a/" + "a" * 30 + "-bcd", "a" * 30),
    ],
)
def test_every_model_gives_a_release_name_that_fits(source: str, release: str) -> None:
    assert _config(source=source).release.name == release


def test_a_long_namespace_leaves_room_for_a_short_release() -> None:
    assert _config(namespace="n" * 34).release.name == "g"


@pytest.mark.parametrize("machine", MACHINE_TYPES)
def test_every_known_machine_gets_disks_that_it_attaches(machine: str) -> None:
    known = MACHINE_TYPES[machine]
    config = _config(machine_type=machine, accelerator=known.accelerator, gpus=known.gpus)
    assert isinstance(config.weights, Disk)
    assert {config.weights.type, config.cells[0].bootDisk.type} <= FAMILIES[known.family].disk_types


@pytest.mark.parametrize(
    ("machine", "accelerator", "gpus", "disk", "boot"),
    [
        ("g2-standard-24", "nvidia-l4", 2, "pd-ssd", "pd-ssd"),
        ("a3-ultragpu-8g", "nvidia-h200-141gb", 8, "hyperdisk-ml", "hyperdisk-balanced"),
        ("z9-unknown-1", "nvidia-z9", 1, "pd-ssd", "pd-ssd"),
    ],
)
def test_the_disk_type_follows_the_machine(
    machine: str, accelerator: str, gpus: int, disk: str, boot: str
) -> None:
    config = _config(machine_type=machine, accelerator=accelerator, gpus=gpus)
    assert isinstance(config.weights, Disk)
    assert (config.weights.type, config.cells[0].bootDisk.type) == (disk, boot)


@pytest.mark.parametrize(
    ("model_gib", "disk_gib"), [(1, 1024), (512, 1024), (700, 1400), (40_000, 65_536)]
)
def test_the_disk_holds_the_model_twice(model_gib: int, disk_gib: int) -> None:
    config = _config(model_gib=model_gib)
    assert isinstance(config.weights, Disk)
    assert config.weights.sizeGiB == disk_gib


@pytest.mark.parametrize(
    "text",
    ["no", "y", "Null", "a: b", "a:", "#x", "{a}", "1e3", "", "a\nb", "é", "😀", "'", '"', "- a"],
)
def test_an_answer_is_read_back_as_it_was_typed_however_wrong(text: str) -> None:
    body = parse_one(starter_config(Answers(text, text, text, namespace=text))).body
    assert (body["project"], body["cluster"]["name"], body["model"]["source"]) == (text, text, text)
    assert body["release"]["namespace"] == text


def test_each_answer_has_a_question_and_the_newest_version_is_the_default() -> None:
    assert list(QUESTIONS) == [field.name for field in fields(Answers)]
    assert set(QUESTIONS) - set(defaults()) == {"project", "cluster", "source"}
    assert defaults()["vllm_version"] == NEWEST
    assert defaults()["gpus"] == "2"
