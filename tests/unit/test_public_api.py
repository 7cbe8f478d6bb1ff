"""What the package exports is what it says it exports, each name from its own module."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import pylib
from pylib import errors


def test_names_are_sorted_and_each_has_a_home() -> None:
    assert pylib.__all__ == sorted(pylib.__all__)
    assert list(pylib._HOME) == pylib.__all__


def test_dir_shows_what_is_exported_and_the_version() -> None:
    assert dir(pylib) == sorted([*pylib.__all__, "__version__"])


@pytest.mark.parametrize("name", pylib.__all__)
def test_each_name_is_the_one_of_its_home_and_documented(name: str) -> None:
    found = getattr(pylib, name)
    home = importlib.import_module(f"pylib.{pylib._HOME[name]}")
    assert found is getattr(home, name)
    assert found.__module__.startswith("pylib.")
    assert found.__doc__


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    tree = ast.parse(Path(pylib.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.name: (node.module or "").removeprefix("pylib.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pylib.")
        for alias in node.names
    }
    assert typed == pylib._HOME


def test_every_error_class_is_exported() -> None:
    raised = {name for name in vars(errors) if name.endswith("Error")}
    assert raised <= set(pylib.__all__)


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    name = "nothing"
    with pytest.raises(AttributeError, match=r"^module 'pylib' has no attribute 'nothing'$"):
        getattr(pylib, name)


def test_importing_the_package_loads_none_of_its_modules() -> None:
    code = "import sys, pylib; print([m for m in sys.modules if m.startswith('pylib.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
