"""render and validate as their users run them, on real cases with the real tools."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from pylib.cli import main
from pylib.errors import ConfigError
from pylib.files import read_text, write_whole
from pylib.release import release_of_config, release_of_values
from tests.chart.helmtool import ROOT

TUTORIAL = ROOT / "values" / "gemma-7b-tutorial"
CASES = sorted((ROOT / "values").glob("*/config.yaml"))


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command line."""
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("config", CASES, ids=lambda path: path.parent.name)
def test_a_case_renders_to_the_manifests_beside_it(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "render", "-f", config)

    assert (code, err) == (0, "")
    assert out == read_text(config.with_name("manifests.yaml"))


def test_all_cases_pass_with_no_finding_but_notes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "validate", "--fail-on", "warning", "-f", *CASES)

    assert code == 0
    assert out.rstrip().splitlines()[-1].endswith("0 errors, 0 warnings, 2 notes")


@pytest.mark.parametrize("config", CASES, ids=lambda path: path.parent.name)
def test_manifests_on_disk_get_the_same_verdict(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "validate", config.with_name("manifests.yaml"))

    assert code == 0
    assert "0 errors, 0 warnings" in out


def test_render_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.yaml"
    code, out, _ = run(
        capsys, "render", "--values", TUTORIAL / "values.yaml", "--release", "a", "-o", target
    )

    assert (code, out) == (0, "")
    assert 'name: "a"' in read_text(target)


def test_render_needs_exactly_one_source(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "render")

    assert (code, out) == (2, "")
    assert err == (
        "render: 1 problem\nrender: needs one config or one values file\n"
        "    Name a config with -f, or a values file with --values.\n"
    )


def test_validate_needs_manifests_or_a_config(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "validate")

    assert code == 2
    assert err == (
        "validate: 1 problem\nvalidate: needs manifests, or a config\n"
        "    Name manifest files; or a config with -f, or a values file with --values.\n"
    )


def test_values_that_break_the_schema_are_findings_with_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("mode: serv\nmodl: {}\n", encoding="utf-8")
    code, out, err = run(capsys, "validate", "--values", file, "--output", "json")

    findings = json.loads(out)["findings"]
    assert (code, err) == (1, "")
    assert {(f["rule"], f["path"], f["line"]) for f in findings} >= {
        ("values-schema", "mode", 1),
        ("values-schema", "modl", 2),
    }


def test_values_that_the_templates_refuse_are_an_error_with_the_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "values.yaml"
    text = read_text(TUTORIAL / "values.yaml").replace("us-central1-a: gemma", "other: gemma")
    file.write_text(text, encoding="utf-8")
    code, out, err = run(capsys, "validate", "--values", file)

    assert (code, out) == (5, "")
    assert err.startswith("the chart refuses the values of release 'vllm':\n")
    assert "us-central1-a" in err


def test_one_bad_release_among_many_ends_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are waited for: a process that is left behind would hang the program."""
    bad = tmp_path / "values.yaml"
    bad.write_text("mode: serve\nextraObjects: [{a: '{{ fail \"no\" }}'}]\n", encoding="utf-8")
    good = [TUTORIAL / "values.yaml"] * 6
    code, _, _ = run(capsys, "validate", "--values", bad, *good, bad)

    assert code in (1, 5)


def test_values_that_are_no_yaml_name_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("a: 1\na: 2\n", encoding="utf-8")
    code, _, err = run(capsys, "validate", "--values", file)

    assert code == 2
    assert err == (
        f"{file}: 1 problem\n{file}:2: a: the key is given twice; the first is on line 1\n"
        "    Keep one of the two.\n"
    )


def test_findings_make_exit_code_1_and_a_waiver_makes_it_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b}\n"
        "spec: {containers: [{name: c, image: 'x:1', imagePullPolicy: Never, contaner: 1}]}\n",
        encoding="utf-8",
    )
    waivers = tmp_path / "waivers.yaml"
    waivers.write_text(
        "- {rule: schema, object: Pod/b/a, reason: an example, expires: 9999-01-01}\n",
        encoding="utf-8",
    )

    assert run(capsys, "validate", file)[0] == 1
    assert run(capsys, "validate", file, "--waivers", waivers)[0] == 0


def test_manifests_come_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(read_text(TUTORIAL / "manifests.yaml")))
    code, out, _ = run(capsys, "validate", "-")

    assert code == 0
    assert "0 errors" in out


def test_a_rule_is_explained_and_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "validate", "--explain", "pv-access-mode")
    assert code == 0
    assert "pv-access-mode" in out

    code, out, _ = run(capsys, "validate", "--list-rules")
    assert code == 0
    assert len(out.splitlines()) > 80


def test_a_missing_helm_is_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VFS_HELM", str(tmp_path / "helm"))
    code, _, err = run(capsys, "render", "-f", TUTORIAL / "config.yaml")

    assert code == 3
    assert "helm 4.1.4 or newer" in err


def test_a_release_of_a_config_and_of_its_values_file_agree() -> None:
    made = release_of_config(TUTORIAL / "config.yaml")
    read = release_of_values(TUTORIAL / "values.yaml", made.name, made.namespace)

    assert read.values == made.values
    assert read.text == made.text


def test_a_file_is_written_whole_or_named(tmp_path: Path) -> None:
    target = tmp_path / "a.yaml"
    write_whole(target, "x\n")
    assert read_text(target) == "x\n"
    assert list(tmp_path.iterdir()) == [target]

    with pytest.raises(ConfigError) as caught:
        write_whole(tmp_path / "absent" / "a.yaml", "x\n")
    assert str(caught.value) == (
        f"{tmp_path}/absent/a.yaml: 1 problem\n"
        f"{tmp_path}/absent/a.yaml: cannot be written: No such file or directory\n"
        "    Name a writable place."
    )
