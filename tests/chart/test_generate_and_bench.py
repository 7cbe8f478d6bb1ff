"""The generators find stale files; the benchmark runs both sides on the same releases."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pylib import generate
from pylib.bench.render_validate import Row, measure, table
from pylib.cli import main
from tests.chart.helmtool import ROOT


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of one case and of the folder of schemas, as the root of the generators."""
    shutil.copytree(ROOT / "values" / "minimal", tmp_path / "values" / "minimal")
    (tmp_path / "pylib" / "config").mkdir(parents=True)
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    return tmp_path


def test_a_stale_file_is_named_and_then_made(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tree / "values" / "minimal" / "manifests.yaml"
    wanted = stale.read_text(encoding="utf-8")
    stale.write_text("old", encoding="utf-8")

    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err == (
        "stale: pylib/config/config.schema.json (run scripts/generate)\n"
        "stale: pylib/config/lock.schema.json (run scripts/generate)\n"
        "stale: values/minimal/manifests.yaml (run scripts/generate)\n"
    )
    assert stale.read_text(encoding="utf-8") == "old"

    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert stale.read_text(encoding="utf-8") == wanted


def test_a_case_that_is_wrong_ends_with_its_problem(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "values" / "minimal" / "config.yaml").write_text("version: 2\n", encoding="utf-8")

    assert generate.main([]) == 2
    assert "version: 2 is not 1" in capsys.readouterr().err


def test_the_benchmark_measures_both_sides() -> None:
    [row] = measure(ROOT / "values", [2], runs=1)

    assert row.releases == 2
    assert min(row.ours_seconds, row.bare_seconds, row.ours_mib, row.bare_mib) > 0


def test_the_table_shows_the_ratio() -> None:
    lines = list(table(iter([Row(10, 1.0, 2.0, 60.0, 50.0)])))

    assert lines == [
        "releases   pylib s    bare s  ratio  pylib MiB  bare MiB",
        "      10      1.00      2.00   0.50         60        50",
    ]


def test_the_verb_prints_the_table_as_it_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--cases", str(ROOT / "values"), "--releases", "1"]) == 0

    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "releases"
    assert row.split()[0] == "1"
