"""The table of vLLM's arguments: from releases to intervals and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pylib.facts.vllm_flags import TABLE
from scripts.vllm_table import Release, read_table, write_table

OLD = Release("0.9.0", {"--a": {"kind": "int"}, "--b": {"kind": "str"}}, frozenset({"VLLM_A"}))
MIDDLE = Release("0.10.0", {"--a": {"kind": "size"}}, frozenset())
NEW = Release("0.11.0", {"--a": {"kind": "size"}, "--b": {"kind": "str"}}, frozenset({"VLLM_A"}))


def test_releases_that_say_the_same_share_an_interval(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    write_table(file, {release.version: release for release in (NEW, OLD, MIDDLE)})
    assert json.loads(file.read_text(encoding="utf-8")) == {
        "versions": ["0.9.0", "0.10.0", "0.11.0"],
        "flags": {
            "--a": [
                {"since": "0.9.0", "kind": "int", "until": "0.10.0"},
                {"since": "0.10.0", "kind": "size"},
            ],
            "--b": [
                {"since": "0.9.0", "kind": "str", "until": "0.10.0"},
                {"since": "0.11.0", "kind": "str"},
            ],
        },
        "environment": {
            "VLLM_A": [{"since": "0.9.0", "until": "0.10.0"}, {"since": "0.11.0"}],
        },
    }


def test_a_table_gives_back_its_releases(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    releases = {release.version: release for release in (OLD, MIDDLE, NEW)}
    assert read_table(file) == {}
    write_table(file, releases)
    assert read_table(file) == releases


def test_the_committed_table_is_as_it_would_be_written(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    write_table(file, read_table(TABLE))
    assert file.read_text(encoding="utf-8") == TABLE.read_text(encoding="utf-8")


def test_what_is_no_release_is_refused(tmp_path: Path) -> None:
    nightly = Release("nightly", {}, frozenset())
    with pytest.raises(SystemExit, match=r"^error: 'nightly' is no release of vLLM; write it as"):
        write_table(tmp_path / "table.json", {"nightly": nightly})
