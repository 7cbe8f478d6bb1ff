"""``init`` writes a good config from flags or answers, and says all that is missing at once."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from pylib.cli import main
from pylib.config.parse import load_config
from pylib.config.starter import QUESTIONS

FLAGS = ["--project=my-project", "--cluster=vllm", "--source=hf://google/gemma-7b"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return tmp_path


def test_flags_give_a_config_and_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", *FLAGS, "--zone=europe-west4-a", "--model-gib=20"]) == 0
    said = capsys.readouterr()
    assert said.out == "wrote config.yaml\nnext: python -m pylib values -f config.yaml\n"
    assert said.err == ""
    config = load_config(Path("config.yaml"))
    assert (config.project, config.region, config.model.sizeGiB) == (
        "my-project",
        "europe-west4",
        20,
    )


def test_the_file_is_readable_by_all_and_nothing_else_is_left_behind(tmp_path: Path) -> None:
    assert main(["init", *FLAGS, "-o", "sub.yaml"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["sub.yaml"]
    assert Path("sub.yaml").stat().st_mode & 0o777 == 0o644


def test_an_existing_file_is_kept_unless_told_otherwise(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("config.yaml").write_text("mine")
    assert main(["init", *FLAGS]) == 2
    assert capsys.readouterr().err == (
        "config.yaml: 1 problem\nconfig.yaml: exists already\n"
        "    Name another file with -o, or add --force.\n"
    )
    assert Path("config.yaml").read_text() == "mine"
    assert main(["init", *FLAGS, "--force"]) == 0
    assert load_config(Path("config.yaml")).project == "my-project"


def test_all_missing_flags_are_named_at_once_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["init", "--gpus=1"]) == 2
    assert capsys.readouterr().err == (
        "init: 3 problems\n"
        "init: --project: is required\n    Add --project (Google Cloud project id).\n"
        "init: --cluster: is required\n    Add --cluster (GKE cluster name).\n"
        "init: --source: is required\n"
        "    Add --source (model source, gs://bucket/dir/name or hf://org/name).\n"
    )
    assert not Path("config.yaml").exists()


@pytest.mark.parametrize("number", ["two", "-1", "1.5", "²", "٣", "9" * 5000, "1 "])
def test_numbers_that_are_none_are_named_at_once(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", *FLAGS, f"--model-gib={number}", f"--gpus={number}"]) == 2
    assert capsys.readouterr().err == (
        "init: 2 problems\n"
        f"init: --model-gib: {number!r} must be a whole number\n"
        "    Write for example --model-gib 2.\n"
        f"init: --gpus: {number!r} must be a whole number\n"
        "    Write for example --gpus 2.\n"
    )


def test_an_answer_that_the_config_refuses_writes_no_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["init", *FLAGS[1:], "--project=My Project", "--zone=us"]) == 2
    assert capsys.readouterr().err == (
        "config.yaml: 3 problems\n"
        "config.yaml:3: project: 'My Project' must be a project id:"
        " 6 to 30 lower-case letters, digits and hyphens\n"
        "    Write for example project: my-project\n"
        "config.yaml:5: region: 'us' must be a region, not a zone\n"
        "    Write for example region: us-central1\n"
        "config.yaml:26: cells[0].zone: 'us' must be a zone (region, hyphen, letter)\n"
        "    Write for example zone: us-central1-a\n"
    )
    assert not Path("config.yaml").exists()


def test_a_terminal_is_asked_for_what_no_flag_gives(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ["", "vllm", "hf://google/gemma-7b", "us-east4-c", *[""] * 6]
    monkeypatch.setattr("sys.stdin", _Terminal("\n".join(typed) + "\n"))
    assert main(["init", "--project=my-project"]) == 2
    monkeypatch.setattr("sys.stdin", _Terminal("\n".join(typed[1:]) + "\n"))
    capsys.readouterr()
    assert main(["init", "--project=my-project"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "GKE cluster name: model source, gs://bucket/dir/name or hf://org/name: "
        "zone of the GPU nodes [us-central1-a]: size of the weights in GiB [16]: "
    )
    assert "Google Cloud project id" not in said
    config = load_config(Path("config.yaml"))
    assert (config.cluster.name, config.cells[0].zone) == ("vllm", "us-east4-c")


def test_a_terminal_that_closes_counts_as_no_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(""))
    assert main(["init"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("init: 3 problems\n")
    assert all(question in said.out for question in QUESTIONS.values())


@pytest.mark.parametrize(
    ("target", "why"),
    [("absent/config.yaml", "No such file or directory"), ("folder", "Is a directory")],
)
def test_a_place_that_cannot_be_written_is_named(
    target: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("folder").mkdir()
    assert main(["init", *FLAGS, "--force", "-o", target]) == 2
    assert capsys.readouterr().err == (
        f"{target}: 1 problem\n{target}: cannot be written: {why}\n    Name a writable place.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
