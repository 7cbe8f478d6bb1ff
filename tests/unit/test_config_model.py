"""The config as records: closed, frozen, described, with the defaults of what a file leaves out."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from pylib.config import model
from pylib.config.model import BootDisk, Claim, Config, Disk, NoWeights, Provisioning, Record
from pylib.config.model_path import ModelPath, implied_path, model_path_of
from pylib.config.parse import (
    line_at,
    load_config,
    parse_config,
    parse_document,
    parse_record,
)
from pylib.config.problems import closest, fields_at, show
from pylib.errors import ConfigError
from pylib.lock import Lock
from tests.unit.bad_configs.tables import BASE, edited

CASES = Path(__file__).resolve().parents[2] / "values"


def _records(of: type[BaseModel]) -> list[type[BaseModel]]:
    return [found for child in of.__subclasses__() for found in (child, *_records(child))]


@pytest.mark.parametrize("record", _records(Record), ids=lambda record: str(record.__name__))
def test_every_record_is_closed_and_frozen_and_every_field_described(
    record: type[BaseModel],
) -> None:
    assert record.model_config == {"frozen": True, "extra": "forbid", "strict": True}
    assert not [name for name, field in record.model_fields.items() if not field.description]
    assert record.__doc__


def test_a_config_cannot_be_changed() -> None:
    config = parse_config(BASE)
    with pytest.raises(ValidationError, match="Instance is frozen"):
        config.project = "other"


def test_what_the_file_leaves_out_has_its_default() -> None:
    config = parse_config(BASE)
    cell, weights = config.cells[0], config.weights
    assert isinstance(weights, Disk)
    assert config.serving is not None
    assert (config.mode, config.imagesProject, config.kmsKey) == ("serve", None, None)
    assert (config.network.name, config.cluster.existing) == ("default", True)
    assert cell.provisioning is Provisioning.ON_DEMAND
    assert (cell.minNodes, cell.maxNodes, cell.bootDisk) == (1, 5, BootDisk())
    assert (cell.bootDisk.type, cell.bootDisk.sizeGiB) == ("pd-ssd", 100)
    assert (weights.readAheadKiB, weights.verify, weights.existing) == (4096, "manifest", False)
    assert (config.serving.drainSeconds, config.serving.tensorParallelism) == (60, None)
    assert (config.imageCache.enabled, config.imageCache.images) == (True, ())
    assert (config.autoscaling.metric, config.autoscaling.targetRunning) == ("running", 10)
    assert (config.monitoring.enabled, config.monitoring.intervalSeconds) == (True, 15)
    assert (config.download.claimSizeGiB, config.download.storageClassName) == (100, "standard-rwo")
    assert config.values == {}


@pytest.mark.parametrize(
    ("weights", "kind"),
    [
        ("{kind: disk, sizeGiB: 20}", Disk),
        ("{kind: claim, claims: {a: models}}", Claim),
        ("{kind: none, sizeGiB: 20}", NoWeights),
    ],
)
def test_the_kind_of_the_weights_picks_the_record(weights: str, kind: type[Record]) -> None:
    text = edited(
        BASE,
        {
            "weights:\n  kind: disk\n  type: pd-ssd\n  sizeGiB: 1024\n": f"weights: {weights}\n",
            "gs://my-models/gemma/gemma-7b": "hf://google/gemma-7b",
        },
    )
    assert type(parse_config(text).weights) is kind


@pytest.mark.parametrize("bought", list(Provisioning))
def test_provisioning_is_read_by_its_word(bought: Provisioning) -> None:
    extra = "\n    reservation: block" if bought is Provisioning.RESERVATION else ""
    text = edited(BASE, {"maxNodes: 5": f"maxNodes: 5\n    provisioning: {bought}{extra}"})
    assert parse_config(text).cells[0].provisioning is bought


def test_a_cell_is_known_by_its_name_or_else_by_its_zone() -> None:
    unnamed = edited(BASE, {"  - name: a\n    zone:": "  - zone:"})
    assert parse_config(BASE).cells[0].key == "a"
    assert parse_config(unnamed).cells[0].key == "us-central1-a"


@pytest.mark.parametrize("path", sorted(CASES.glob("*/config.yaml")), ids=lambda p: p.parent.name)
def test_each_case_is_a_good_config_whose_own_dump_reads_the_same(path: Path) -> None:
    config = load_config(path)
    assert Config.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("gs://bucket/gemma/gemma-7b", ModelPath("gemma", "gemma-7b")),
        ("gs://bucket/a/b/c/name", ModelPath("a/b/c", "name")),
        ("gs://bucket/name", ModelPath("", "name")),
        ("hf://meta-llama/Llama-3.3-70B", ModelPath("meta-llama", "Llama-3.3-70B")),
        ("no source at all", ModelPath("", "no source at all")),
    ],
)
def test_a_source_implies_where_the_model_lies(source: str, path: ModelPath) -> None:
    assert implied_path(source) == path


@pytest.mark.parametrize(
    ("model_text", "path"),
    [
        ("source: gs://my-models/gemma/gemma-7b", ModelPath("gemma", "gemma-7b")),
        ("source: hf://google/gemma-7b\n  directory: mine", ModelPath("mine", "gemma-7b")),
        ("source: hf://google/gemma-7b\n  name: mine", ModelPath("google", "mine")),
        ("name: mine", ModelPath("", "mine")),
        ("name: mine\n  directory: a/b", ModelPath("a/b", "mine")),
    ],
)
def test_the_configs_own_words_come_before_the_implied(model_text: str, path: ModelPath) -> None:
    text = edited(
        BASE,
        {
            "source: gs://my-models/gemma/gemma-7b": model_text,
            "weights:\n  kind: disk\n  type: pd-ssd\n  sizeGiB: 1024\n": (
                "weights: {kind: claim, claims: {a: models}}\n"
            ),
        },
    )
    assert model_path_of(parse_config(text)) == path


def test_a_line_is_that_of_the_field_or_of_the_nearest_parent() -> None:
    document = parse_document(BASE, "config.yaml")
    assert line_at(document, "cells[0].zone") == 17
    assert line_at(document, "cells[0].reservation") == 16
    assert line_at(document, "cells[7].zone") == 15
    assert line_at(document, "weights.disk.type") == 11
    assert line_at(document, "network.name") is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "true"),
        (False, "false"),
        (None, "null"),
        ({"a": 1}, "a map"),
        ([1], "a list"),
        ((), "a list"),
        (1.5, "1.5"),
        ("a'b", '"a\'b"'),
        ("a\nb", "'a\\nb'"),
        ("x" * 58, "'" + "x" * 58 + "'"),
        ("x" * 59, "'" + "x" * 59 + "…"),
    ],
)
def test_a_value_is_quoted_short_and_in_the_words_of_yaml(value: object, shown: str) -> None:
    assert show(value) == shown


def test_a_refusal_without_words_of_ours_is_pydantics_own() -> None:
    class Dated(Record):
        day: date

    with pytest.raises(ConfigError) as caught:
        parse_record(Dated, parse_document("day: soon\n", "f"), "f")
    assert str(caught.value) == (
        "f: 1 problem\nf:1: day: 'soon' is not accepted\n    Input should be a valid date."
    )


def test_a_hint_names_the_nearest_word_or_nothing() -> None:
    assert closest("machinetype", ["machineType", "zone"]) == "Did you mean 'machineType'? "
    assert closest("xyzzy", ["machineType", "zone"]) == ""


def test_the_fields_of_a_record_are_found_by_its_place() -> None:
    assert fields_at(Config, ("cells", 0, "nodePool")) == ["name", "existing"]
    assert fields_at(Config, ("weights", "none", "tokenSecret")) == ["name", "key"]
    assert fields_at(Config, ()) == list(Config.model_fields)
    disk = fields_at(Lock, ("weights", "revisions", 0, "disks", "a"))
    assert {"name", "zone"} <= set(disk)
    assert fields_at(Config, ("project", "deeper")) == []
    assert fields_at(Config, ("absent",)) == []


def test_the_module_holds_no_record_that_the_config_does_not_use() -> None:
    schema = Config.model_json_schema()
    used = {*schema["$defs"], "Config", "Record", "Provisioning"}
    declared = {name for name, found in vars(model).items() if found in _records(Record)}
    assert declared <= used
