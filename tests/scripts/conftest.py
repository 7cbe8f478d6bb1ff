"""A project of its own for each test: a copy of scripts/, with nothing installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scripts.support import SCRIPTS, Run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The root of a fresh copy."""
    root = tmp_path / "project"
    shutil.copytree(SCRIPTS, root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture
def run(project: Path) -> Run:
    """Runs one of the copy's scripts from another folder, with extra environment variables."""

    def run_script(
        *words: str | Path, path: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        extended = f"{path}:/usr/bin:/bin" if path else "/usr/bin:/bin"
        return subprocess.run(
            [project / "scripts" / words[0], *words[1:]],
            capture_output=True,
            check=False,
            cwd=project.parent,
            env={"PATH": extended, "HOME": os.devnull, **environment},
            text=True,
        )

    return run_script


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, str], Path]:
    """Makes an executable that prints a text whatever it is asked; returns its folder."""
    folder = tmp_path / "programs"

    def make(name: str, text: str) -> Path:
        folder.mkdir(exist_ok=True)
        file = folder / name
        file.write_text(f"#!/bin/sh\necho '{text}'\n", encoding="utf-8")
        file.chmod(0o755)
        return folder

    return make
