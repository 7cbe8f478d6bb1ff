"""Whatever a file holds, it is a config or a ConfigError; and a config always has its values."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylib.config.model import Config, Disk
from pylib.config.parse import parse_config
from pylib.errors import ConfigError
from pylib.lock import Lock, parse_lock
from pylib.values import Source, check_lock, make_values, values_file
from pylib.yamlio import dump, parse_one
from tests.unit.bad_configs.tables import BASE, LOCK

CASES = sorted((Path(__file__).resolve().parents[2] / "values").glob("*/config.yaml"))
CONFIGS = [BASE, *(path.read_text(encoding="utf-8") for path in CASES)]
LOCKS = [
    LOCK,
    *(
        path.read_text(encoding="utf-8")
        for path in sorted(CASES[0].parents[1].glob("*/config.lock.yaml"))
    ),
]
EDGES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 10**30, 0.5, float("inf"), float("nan")),
    *("", "a", "1", "1T", "no", "1e3", "09", "..", "/", "a/", "\n", "\x00", "é", "😀", "$(id)"),
    *("a" * 63, "a" * 64, "us-central1", "us-central1-a", "spot", "keda", "none", "claim", "disk"),
    *("download", "pd-ssd", "hyperdisk-ml", "nvidia-l4", "a3-ultragpu-8g", "hf://a/b", "gs://bb/c"),
    *([], {}, [None], {"": None}, [[[]]], {"a": {"b": {}}}),
]
DATA = st.recursive(
    st.sampled_from(EDGES) | st.text(max_size=6) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a tree with each of its keys or indices."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in list(pairs):
        yield node, key
        if isinstance(child, dict | list):
            yield from _places(child)


@st.composite
def _mutated(draw: st.DrawFn, texts: list[str]) -> str:
    """A good file with one to three of its parts replaced, dropped, doubled or moved."""
    body = parse_one(draw(st.sampled_from(texts))).body
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(body))
        container, key = draw(st.sampled_from(places))
        how = draw(st.sampled_from(("replace", "drop", "copy", "add")))
        if how == "drop":
            del container[key]
        elif how == "copy":
            source, name = draw(st.sampled_from(places))
            found = source[name] if isinstance(source, list) else source.get(name)
            container[key] = copy.deepcopy(found)
        elif how == "add" and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        else:
            container[key] = draw(DATA)
        if not body:
            break
    return dump(body)


@st.composite
def _scribbled(draw: st.DrawFn, texts: list[str]) -> str:
    """A good file with some characters cut out and others put in."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 5))
        put = draw(st.text(alphabet=" \n\t:-[]{}'\"&*!|>#%@,~0aé\x00", max_size=4))
        text = text[:at] + put + text[at + cut :]
    return text


def _parsed(text: str) -> Config | None:
    """The config, or nothing where every problem says what is wrong, where, and what to do."""
    error: ConfigError | None = None
    config: Config | None = None
    try:
        config = parse_config(text)
    except ConfigError as found:
        error = found
    if error is not None:
        _judge(error, text)
    return config


def _judge(error: ConfigError, text: str) -> None:
    assert error.problems
    for problem in error.problems:
        assert problem.message
        assert problem.fix
        assert problem.line is None or 1 <= problem.line <= len(text.splitlines()) + 1


def _matching_lock(config: Config) -> Lock:
    if not isinstance(config.weights, Disk):
        return Lock(version=1)
    kind, size = config.weights.type, config.weights.sizeGiB
    disks = {
        cell.key: {"name": "disk", "zone": cell.zone, "type": kind, "sizeGiB": size}
        for cell in config.cells
    }
    revisions = [{"name": "r1", "disks": disks}]
    return parse_lock(dump({"version": 1, "weights": {"current": "r1", "revisions": revisions}}))


def _has_values(config: Config) -> None:
    lock = _matching_lock(config)
    check_lock(config, lock, "config.lock.yaml")
    values = make_values(config, lock)
    text = values_file(config, lock, (Source.of("config.yaml", "x"),))
    assert text == values_file(config, lock, (Source.of("config.yaml", "x"),))
    assert dump(parse_one(text).body) == dump(values)


@given(DATA)
def test_any_data_is_a_config_or_a_config_error(data: Any) -> None:
    assert _parsed(dump(data)) is None


@settings(max_examples=300)
@given(_mutated(CONFIGS))
def test_a_mutated_config_is_refused_or_has_values(text: str) -> None:
    config = _parsed(text)
    if config is not None:
        _has_values(config)


@settings(max_examples=200)
@given(_scribbled(CONFIGS))
def test_a_scribbled_config_is_refused_or_has_values(text: str) -> None:
    config = _parsed(text)
    if config is not None:
        _has_values(config)


@settings(max_examples=200)
@given(_mutated(LOCKS) | _scribbled(LOCKS) | DATA.map(dump))
def test_any_lock_is_read_or_refused(text: str) -> None:
    lock: Lock | None = None
    error: ConfigError | None = None
    try:
        lock = parse_lock(text)
    except ConfigError as found:
        error = found
    if error is not None:
        _judge(error, text)
    if lock is not None:
        make_values(parse_config(BASE), lock)


@pytest.mark.parametrize("text", CONFIGS, ids=["base", *(path.parent.name for path in CASES)])
def test_the_good_configs_themselves_have_values(text: str) -> None:
    config = _parsed(text)
    assert config is not None
    _has_values(config)
