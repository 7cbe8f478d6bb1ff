"""Which vLLM release has which argument, variable, metric and loader, as its source has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylib.facts import vllm, vllm_flags
from pylib.facts.vllm import METRICS, NEWEST, OLDEST, Gate, MetricKind, Version, metric_problem
from pylib.facts.vllm_flags import Flag, gates_text, table
from pylib.facts.vllm_loaders import (
    DEFAULT_FORMATS,
    LAZY_FORMATS,
    MULTITHREADED_FORMATS,
    SETTINGS,
    STRATEGIES,
    STRATEGY_CHECKED,
)


def version(text: str) -> Version:
    """A version that must be one."""
    parsed = Version.parse(text)
    assert parsed is not None
    return parsed


@pytest.fixture
def fresh_table() -> Iterator[None]:
    """The table is read anew, before and after."""
    table.cache_clear()
    yield
    table.cache_clear()


def test_releases_are_ordered_as_they_came_out() -> None:
    ordered = ["0.5.3", "0.5.3.post1", "0.9.0", "0.9.0.1", "0.9.1", "0.10.0", "0.33.0", "1.0.0"]
    assert [str(v) for v in sorted(map(version, reversed(ordered)))] == ordered


@pytest.mark.parametrize(
    ("tag", "release"),
    [
        ("v0.5.3", "0.5.3"),
        ("0.5.3.post1", "0.5.3.post1"),
        ("v0.11.0-cu129", "0.11.0"),
        ("0.32.0+cpu", "0.32.0"),
    ],
)
def test_image_tags_give_their_release(tag: str, release: str) -> None:
    assert str(version(tag)) == release


@pytest.mark.parametrize("tag", ["", "latest", "nightly", "0.9", "v0.12.0rc1", "x0.5.3", "0.5.3x"])
def test_what_is_no_release_has_no_version(tag: str) -> None:
    assert Version.parse(tag) is None


def test_a_gate_opens_with_its_first_release_and_closes_with_the_one_after_its_last() -> None:
    gate = Gate("0.6.0", "0.8.0")
    assert [gate.has(version(v)) for v in ("0.5.5", "0.6.0", "0.7.3", "0.8.0")] == [
        False,
        True,
        True,
        False,
    ]
    assert gate.later(version("0.5.5"))
    assert not gate.later(version("0.8.0"))
    assert gate.gone(version("0.8.0"))
    assert str(gate) == "vLLM 0.6.0 up to, not including, 0.8.0"
    assert str(Gate("0.6.0")) == "vLLM 0.6.0 and newer"


def test_a_gate_at_no_release_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match=r"^'soon' is no release of vLLM$"):
        Gate("soon").has(version(NEWEST))


def test_runs_of_releases_that_meet_are_told_as_one() -> None:
    gates = [Gate("0.5.3", "0.6.0"), Gate("0.6.0", "0.7.0"), Gate("0.9.0")]
    assert gates_text(gates) == "vLLM 0.5.3 up to, not including, 0.7.0, vLLM 0.9.0 and newer"


def test_the_table_holds_every_release_from_the_oldest_to_the_newest() -> None:
    versions = table().versions
    assert list(versions) == sorted(versions)
    assert (str(versions[0]), str(versions[-1]), len(versions)) == (OLDEST, NEWEST, 70)
    assert table().covers(version("0.9.0.1"))
    assert not table().covers(version("0.15.2"))


def _first_and_last(name: str) -> tuple[str, str | None]:
    runs = table().flags[name]
    return runs[0].gate.since, runs[-1].gate.until


@pytest.mark.parametrize(
    ("name", "since", "until"),
    [
        ("--api-key", OLDEST, None),
        ("--attention-backend", "0.13.0", None),
        ("--chat-template", OLDEST, None),
        ("--compilation-config", "0.6.5", None),
        ("--config", "0.6.0", None),
        ("--cuda-graph-sizes", "0.9.0", "0.13.0"),
        ("--cudagraph-capture-sizes", "0.11.1", None),
        ("--device", OLDEST, "0.10.0"),
        ("--enforce-eager", OLDEST, None),
        ("--gpu-memory-utilization", OLDEST, None),
        ("--kv-cache-memory-bytes", "0.10.2", None),
        ("--load-format", OLDEST, None),
        ("--max-cudagraph-capture-size", "0.11.1", None),
        ("--max-model-len", OLDEST, None),
        ("--model", OLDEST, None),
        ("--model-loader-extra-config", OLDEST, None),
        ("--optimization-level", "0.12.0", None),
        ("--pipeline-parallel-size", OLDEST, None),
        ("--safetensors-load-strategy", "0.10.2", None),
        ("--safetensors-prefetch-block-size", "0.21.0", None),
        ("--safetensors-prefetch-num-threads", "0.21.0", None),
        ("--served-model-name", OLDEST, None),
        ("--shutdown-timeout", "0.18.0", None),
        ("--swap-space", OLDEST, "0.18.0"),
        ("--tensor-parallel-size", OLDEST, None),
        ("-O", "0.6.5", "0.12.0"),
    ],
)
def test_releases_of_arguments(name: str, since: str, until: str | None) -> None:
    assert _first_and_last(name) == (since, until)


@pytest.mark.parametrize(
    ("variable", "since", "until"),
    [
        ("VLLM_API_KEY", OLDEST, None),
        ("VLLM_ATTENTION_BACKEND", OLDEST, "0.15.0"),
        ("VLLM_CACHE_ROOT", OLDEST, None),
        ("VLLM_ENABLE_STARTUP_PLAN", "0.26.0", None),
        ("VLLM_FORCE_AOT_LOAD", "0.11.1", None),
        ("VLLM_PORT", OLDEST, None),
        ("VLLM_USE_AOT_COMPILE", "0.11.1", None),
        ("VLLM_USE_MEGA_AOT_ARTIFACT", "0.15.0", None),
        ("VLLM_USE_V1", "0.6.4", "0.11.1"),
    ],
)
def test_releases_of_variables(variable: str, since: str, until: str | None) -> None:
    assert table().environment[variable] == (Gate(since, until),)


@pytest.mark.parametrize(
    ("load_format", "since", "until"),
    [
        ("bitsandbytes", OLDEST, "0.28.0"),
        ("fastsafetensors", "0.8.2", None),
        ("gguf", "0.5.5", "0.24.0"),
        ("hf", "0.12.0", None),
        ("instanttensor", "0.18.0", None),
        ("ipc_cache", "0.30.0", None),
        ("mistral", "0.6.1", None),
        ("modelexpress", "0.22.0", None),
        ("runai_streamer", "0.6.6", None),
        ("runai_streamer_sharded", "0.8.5", None),
        ("safetensors", OLDEST, None),
        ("sharded_state", "0.5.5", None),
    ],
)
def test_releases_of_load_formats(load_format: str, since: str, until: str | None) -> None:
    runs = [flag.gate for flag in table().flags["--load-format"] if load_format in flag.choices]
    assert gates_text(runs) == str(Gate(since, until))


def test_an_argument_is_described_as_its_release_has_it() -> None:
    old = table().flag("--max-model-len", version("0.8.3"))
    new = table().flag("--max-model-len", version(NEWEST))
    assert old == Flag("--max-model-len", Gate(OLDEST, "0.8.4"), "int")
    assert new == Flag("--max-model-len", Gate("0.14.0"), "size", words=("auto",))
    assert table().flag("-tp", version(NEWEST)) == Flag(
        "-tp", Gate(OLDEST), "int", of="--tensor-parallel-size"
    )


def test_a_release_that_is_not_known_yet_is_taken_for_the_newest() -> None:
    assert table().flag("--shutdown-timeout", version("0.99.0")) is not None
    assert "--swap-space" not in table().names(version("0.99.0"))


@pytest.mark.usefixtures("fresh_table")
def test_a_kind_of_argument_that_is_unknown_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flags = {"--x": [{"since": "0.5.3", "kind": "colour"}]}
    file = tmp_path / "flags.json"
    file.write_text(json.dumps({"versions": [], "flags": flags, "environment": {}}))
    monkeypatch.setattr(vllm_flags, "TABLE", file)
    with pytest.raises(ValueError, match=r"^flags\.json: --x is of the unknown kind 'colour'$"):
        table()


def test_strategies_are_the_choices_of_releases_that_check_them() -> None:
    checked = table().flag("--safetensors-load-strategy", version(STRATEGY_CHECKED.since))
    assert checked is not None
    assert set(checked.choices) == {*STRATEGIES, "None"}
    before = table().flag("--safetensors-load-strategy", version("0.23.0"))
    assert before is not None
    assert before.choices == ()


def test_every_loader_with_facts_is_a_load_format() -> None:
    newest = table().flag("--load-format", version(NEWEST))
    assert newest is not None
    assert set(SETTINGS) | DEFAULT_FORMATS <= set(newest.choices)
    assert LAZY_FORMATS < MULTITHREADED_FORMATS < DEFAULT_FORMATS


@pytest.mark.parametrize("name", ["vllm:num_requests_running", "vllm:num_requests_waiting"])
def test_the_autoscalers_metrics_are_gauges_of_every_release(name: str) -> None:
    assert METRICS[name] == vllm.Metric(MetricKind.GAUGE, Gate(OLDEST))


@pytest.mark.parametrize(
    ("name", "release", "problem"),
    [
        ("vllm:num_requests_running", "0.5.3", None),
        ("vllm:num_requests_running", "0.33.0", None),
        ("vllm:gpu_cache_usage_perc", "0.10.2", None),
        (
            "vllm:gpu_cache_usage_perc",
            "0.11.0",
            "vLLM 0.11.0 does not export vllm:gpu_cache_usage_perc; "
            "vLLM 0.5.3 up to, not including, 0.11.0 do",
        ),
        (
            "vllm:kv_cache_usage_perc",
            "0.9.1",
            "vLLM 0.9.1 does not export vllm:kv_cache_usage_perc; vLLM 0.9.2 and newer do",
        ),
        ("my:metric", "0.9.1", None),
    ],
)
def test_a_metric_that_a_release_does_not_export_is_told(
    name: str, release: str, problem: str | None
) -> None:
    assert metric_problem(name, version(release)) == problem
