"""The generator of the schema and of the README's table."""

import json
import shutil
from pathlib import Path

import pytest

from pylib import chartdoc
from pylib.chartdoc.__main__ import main
from pylib.errors import ConfigError
from tests.chart.helmtool import CHART


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A copy of the chart."""
    copy = tmp_path / "chart"
    shutil.copytree(CHART, copy)
    return copy


def add(chart: Path, text: str) -> None:
    """Append to values.yaml."""
    with (chart / "values.yaml").open("a") as values:
        values.write(text)


def test_the_committed_files_are_fresh() -> None:
    assert chartdoc.stale(CHART) == []


def test_check_names_stale_files_and_writes_nothing(
    chart: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = chart / "values.schema.json"
    schema.write_text("{}")
    assert main(["--check", "--chart", str(chart)]) == 1
    assert f"{schema}: stale, run python -m pylib.chartdoc\n" in capsys.readouterr().out
    assert schema.read_text() == "{}"


def test_writing_makes_them_fresh(chart: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (chart / "values.schema.json").unlink()
    assert main(["--chart", str(chart)]) == 0
    assert f"{chart / 'values.schema.json'}: written\n" in capsys.readouterr().out
    assert main(["--check", "--chart", str(chart)]) == 0


def test_a_value_without_a_type_is_named(chart: Path) -> None:
    add(chart, "\n# -- New.\nnew: 1\n")
    with pytest.raises(ConfigError) as caught:
        chartdoc.build(chart)
    assert str(caught.value).endswith(
        "new: the value has no type\n    Add it to schema/values.yaml."
    )


def test_a_value_without_a_sentence_is_named(
    chart: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (chart / "schema" / "values.yaml").open("a") as schema:
        schema.write("new: {use: port}\n")
    add(chart, "\n# no sentence\nnew: 1\n")
    assert main(["--chart", str(chart)]) == 2
    assert capsys.readouterr().err.endswith(
        "new: the value has no sentence\n"
        "    Write `# -- What it is.` above it, or a description in its schema.\n"
    )


@pytest.mark.parametrize("text", ["a: [", "- 1\n"])
def test_a_fragment_that_is_no_mapping_is_named(chart: Path, text: str) -> None:
    file = chart / "schema" / "modes.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"modes\.yaml"):
        chartdoc.build(chart)


def test_a_readme_without_markers_is_named(chart: Path) -> None:
    (chart / "README.md").write_text("# empty\n")
    with pytest.raises(ConfigError, match="a marker of the values table is missing"):
        chartdoc.generated(chart)


def test_every_object_of_the_charts_own_is_closed() -> None:
    def walk(node: object) -> None:
        if isinstance(node, dict):
            if "properties" in node and "then" not in node and "required" not in node:
                assert "additionalProperties" in node, node
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    schema = json.loads((CHART / "values.schema.json").read_text())
    walk(schema["properties"])
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert schema["additionalProperties"] is False


def test_the_sentence_of_a_value_may_have_two_lines() -> None:
    mode = chartdoc.build(CHART)["properties"]["mode"]
    assert mode["default"] == "serve"
    assert mode["description"].startswith("What this release does: `serve` runs vLLM;")
    assert mode["description"].endswith("a baked disk does not exist before its image.")
