"""What bootstrap says before it installs anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.scripts.support import Run


def test_an_old_python_is_named_with_its_version(
    run: Run, program: Callable[[str, str], Path], project: Path
) -> None:
    old = program("python3", "3.10.13") / "python3"
    done = run("bootstrap", PYTHON=str(old))
    assert done.returncode == 1
    assert done.stderr == (
        f"error: Python 3.11 or newer is needed: {old} is 3.10.13; install one "
        "(Debian: apt-get install python3 python3-venv) or name it, "
        f"as in PYTHON=/path/to/python3 {project}/scripts/bootstrap\n"
    )


def test_no_python_at_all_is_said(run: Run) -> None:
    done = run("bootstrap", PYTHON="no-such-python")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: Python 3.11 or newer is needed: no python3 is on PATH; install one "
    )


def test_a_venv_without_requirements_is_an_error(run: Run) -> None:
    done = run("bootstrap", "docs")
    assert (done.returncode, done.stderr) == (
        1,
        "error: there is no scripts/requirements-docs.txt\n",
    )


def test_a_script_under_another_never_takes_python_from_the_half_made_venv(
    run: Run, program: Callable[[str, str], Path], project: Path
) -> None:
    tools, venv = project / ".tools" / "bin", project / ".venv" / "bin"
    venv.mkdir(parents=True)
    program("python3", "3.12.0").joinpath("python3").rename(venv / "python3")
    old = program("python3", "3.10.13")
    done = run("bootstrap", path=Path(f"{tools}:{venv}:{old}"), PYTHON="python3")
    assert done.returncode == 1
    assert "python3 is 3.10.13;" in done.stderr
