"""A program runs without a shell; a missing, failing or endless one is an error that says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pylib import proc
from pylib.errors import ToolFailedError, ToolMissingError
from pylib.proc import Completed, run, run_measured

MISSING = (
    "no-such-program is not installed or not on PATH. "
    "Run scripts/install-tools, or put the program on PATH."
)


def test_output_error_and_code_come_back_as_text() -> None:
    script = "echo out; echo err >&2; exit 3"
    assert run(["sh", "-c", script], ok_codes=(0, 3)) == Completed(3, "out\n", "err\n")


def test_words_reach_the_program_as_they_are_with_paths_as_text() -> None:
    words = ["$(id)", "a b", ";", "*"]
    done = run([Path("/usr/bin/env"), "printf", "%s|", *words])
    assert done.stdout == "$(id)|a b|;|*|"


def test_settings_are_laid_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "kept")
    monkeypatch.setenv("CHANGED", "old")
    done = run(["sh", "-c", "echo $KEPT $CHANGED"], settings={"CHANGED": "new"})
    assert done.stdout == "kept new\n"


def test_standard_input_is_the_text_given() -> None:
    assert run(["cat"], stdin="grüße\n").stdout == "grüße\n"


def test_bytes_that_are_no_text_do_not_stop_the_run() -> None:
    assert run(["printf", r"a\351b"]).stdout == "a\ufffdb"


def test_a_missing_program_names_the_step_to_take() -> None:
    with pytest.raises(ToolMissingError) as caught:
        run(["no-such-program", "x"])
    assert str(caught.value) == MISSING


def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("x")
    plain.chmod(0o755)
    with pytest.raises(ToolFailedError) as caught:
        run([plain])
    assert str(caught.value) == (
        f"{plain} cannot be started: Exec format error. Is it a program for this machine?"
    )


def test_a_failure_ends_with_what_the_program_wrote_to_standard_error() -> None:
    with pytest.raises(ToolFailedError) as caught:
        run(["sh", "-c", "echo out; echo ' broken ' >&2; exit 4"])
    assert str(caught.value) == (
        "sh -c echo out; echo ' broken ' >&2; exit 4 ended with exit code 4:\nbroken"
    )


def test_a_long_complaint_keeps_its_end() -> None:
    with pytest.raises(ToolFailedError) as caught:
        run([sys.executable, "-c", "import sys; sys.exit('x' * 9000 + 'end')"])
    said = str(caught.value).splitlines()[-1]
    assert said == "x" * (proc._STDERR_LIMIT - len("end\n")) + "end"


def test_success_outside_the_accepted_codes_is_a_failure() -> None:
    with pytest.raises(ToolFailedError, match=r"^true ended with exit code 0:\n$"):
        run(["true"], ok_codes=(1,))


def test_a_program_that_outlives_its_time_is_stopped() -> None:
    with pytest.raises(ToolFailedError) as caught:
        run(["sleep", "60"], timeout=0.05)
    assert str(caught.value) == "sleep 60 did not finish within 0.05 s; it was stopped."


def test_a_measured_run_says_seconds_and_memory_of_the_program() -> None:
    measured = run_measured([sys.executable, "-c", "x = bytearray(64 << 20)"])
    assert measured.seconds > 0
    assert 64 < measured.peak_mib < 1024


def test_a_measured_run_fails_as_a_plain_one() -> None:
    with pytest.raises(ToolMissingError) as missing:
        run_measured(["no-such-program"])
    assert str(missing.value) == MISSING
    with pytest.raises(ToolFailedError, match=r"ended with exit code 9:\nno$"):
        run_measured(["sh", "-c", "echo no >&2; exit 9"])
