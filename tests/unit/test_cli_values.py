"""``values`` prints, writes and compares; every error of a verb is text and an exit code."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from pylib import __version__, errors, release
from pylib.cli import main
from pylib.errors import ConfigError, Problem, VfsError
from pylib.release import release_of_config
from pylib.verbs import values
from tests.unit.bad_configs.tables import BASE, LOCK

ROOT = Path(__file__).resolve().parents[2]
NONE = "    Name an existing file; python -m pylib init writes a config to start from.\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(BASE)
    Path("config.lock.yaml").write_text(LOCK)


def test_values_are_printed_with_both_files_in_the_header(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["values", "-f", "config.yaml"]) == 0
    said = capsys.readouterr()
    assert said.out == release_of_config(Path("config.yaml")).text
    assert [line.split()[1] for line in said.out.splitlines()[2:4]] == [
        "config.yaml",
        "config.lock.yaml",
    ]
    assert said.err == ""


def test_values_are_written_where_told_and_are_then_fresh(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["values", "-f", "config.yaml", "-o", "values.yaml"]) == 0
    assert Path("values.yaml").read_text() == release_of_config(Path("config.yaml")).text
    assert main(["values", "-f", "config.yaml", "--check"]) == 0
    assert main(["values", "-f", "config.yaml", "--check", "-o", "values.yaml"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("old", [None, "", "# stale\n"])
def test_stale_values_are_named_with_the_command_and_not_touched(
    old: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if old is not None:
        Path("values.yaml").write_text(old)
    assert main(["values", "-f", "config.yaml", "--check"]) == errors.EXIT_FINDINGS
    assert capsys.readouterr().out == (
        "values.yaml is stale. Run: python -m pylib values -f config.yaml -o values.yaml\n"
    )
    assert Path("values.yaml").exists() == (old is not None)


def test_a_changed_config_makes_its_values_stale() -> None:
    assert main(["values", "-f", "config.yaml", "-o", "values.yaml"]) == 0
    Path("config.yaml").write_text(BASE.replace("maxReplicas: 5", "maxReplicas: 6"))
    assert main(["values", "-f", "config.yaml", "--check"]) == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(
            ["-f", "none.yaml"],
            f"none.yaml: cannot be read: No such file or directory\n{NONE}",
            id="no file",
        ),
        pytest.param(["-f", "."], f".: cannot be read: Is a directory\n{NONE}", id="a folder"),
        pytest.param(
            ["-f", "config.yaml", "-o", "absent/values.yaml"],
            "absent/values.yaml: cannot be written: No such file or directory\n"
            "    Name a writable place.\n",
            id="no such place",
        ),
        pytest.param(
            ["-f", "config.yaml", "--check", "-o", "."],
            f".: cannot be read: Is a directory\n{NONE}",
            id="check of a folder",
        ),
        pytest.param(
            ["-f", "config.yaml", "--check", "-o", "binary"],
            "binary: is not UTF-8 text (byte 0)\n    Save the file as UTF-8.\n",
            id="check of bytes",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    args: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("binary").write_bytes(b"\xff\xfe")
    assert main(["values", *args]) == 2
    assert capsys.readouterr() == ("", f"{says.partition(':')[0]}: 1 problem\n{says}")


def test_problems_of_the_lock_are_told_of_the_lock(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.lock.yaml").write_text("version: 2\n")
    assert main(["values", "-f", "config.yaml"]) == 2
    assert capsys.readouterr().err == (
        "config.lock.yaml: 1 problem\nconfig.lock.yaml:1: version: 2 is not 1\n    Write 1.\n"
    )
    Path("config.lock.yaml").unlink()
    assert main(["values", "-f", "config.yaml"]) == 2
    assert "config.lock.yaml: weights: is required" in capsys.readouterr().err


def _errors(of: type[VfsError]) -> list[type[VfsError]]:
    """Those of the public tree; other modules make narrower ones, with fields of their own."""
    below = [child for child in of.__subclasses__() if child.__module__ == "pylib.errors"]
    return [of, *(found for child in below for found in _errors(child))]


@pytest.mark.parametrize("error", _errors(VfsError), ids=lambda error: str(error.__name__))
def test_each_error_is_its_text_on_standard_error_and_its_exit_code(
    error: type[VfsError],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    raised = error("f", [Problem("", "m", "x")]) if error is ConfigError else error("what to do")

    def run(args: argparse.Namespace, out: TextIO) -> int:
        raise raised

    monkeypatch.setattr(values, "run", run)
    assert main(["values", "-f", "config.yaml"]) == error.exit_code
    assert capsys.readouterr() == ("", f"{raised}\n")


def test_an_interrupt_is_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(release, "read_text", interrupted)
    assert main(["values", "-f", "config.yaml"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_a_reader_that_goes_away_ends_the_run_in_silence() -> None:
    """The pipe is closed before the first byte, as by ``| true``."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "pylib", "values", "-f", str(Path("config.yaml").absolute())]
    try:
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, cwd=ROOT)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_module_runs_as_a_program_and_says_its_version() -> None:
    command = [sys.executable, "-m", "pylib", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"vllm-fast-start {__version__}\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "the following arguments are required: VERB"),
        (["vlaues"], "invalid choice: 'vlaues'"),
        (["values"], "the following arguments are required: -f/--config"),
        (["values", "-f", "config.yaml", "--chekc"], "unrecognized arguments: --chekc"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    args: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_help_lists_the_verbs_in_the_order_of_the_flow(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    listed = re.findall(r"^    (\w+)", said, re.MULTILINE)
    assert " ".join(listed) == (
        "init doctor plan bake up down gc status values render validate install observe accept "
        "emulator bench"
    )
    assert "Exit codes: 0 done, 1 findings, 2 usage or config" in said
