"""One class, one exit code, one paragraph; nothing that pylib raises is without the three."""

from __future__ import annotations

import re

from pylib import errors
from pylib.errors import ConfigError, Problem, VfsError


def _classes(of: type[VfsError]) -> list[type[VfsError]]:
    """The tree of pylib.errors; a class elsewhere refines one of these, and has its exit code."""
    children = [child for child in of.__subclasses__() if child.__module__ == errors.__name__]
    return [of, *(found for child in children for found in _classes(child))]


def test_each_class_has_an_exit_code_of_its_own() -> None:
    codes = {found.__name__: found.exit_code for found in _classes(VfsError)}
    assert codes == {
        "VfsError": 70,
        "ConfigError": 2,
        "ToolMissingError": 3,
        "ToolFailedError": 4,
        "RenderError": 5,
        "ManifestError": 6,
        "KubeError": 7,
        "InstallError": 8,
        "CloudError": 9,
        "BakeError": 10,
        "ProvisionError": 11,
    }
    taken = [*codes.values(), errors.EXIT_OK, errors.EXIT_FINDINGS, errors.EXIT_INTERRUPTED]
    assert len(set(taken)) == len(taken)
    assert (errors.EXIT_OK, errors.EXIT_FINDINGS, errors.EXIT_INTERRUPTED) == (0, 1, 130)


def test_the_modules_own_table_lists_each_class_with_its_code() -> None:
    listed = re.findall(r"[├└]── (\w+) +(\d+) ", errors.__doc__ or "")
    raised = _classes(VfsError)[1:]
    assert dict(listed) == {found.__name__: str(found.exit_code) for found in raised}
    assert all(found.__doc__ for found in raised)


def test_a_problem_reads_file_line_path_message_and_fix() -> None:
    problem = Problem("cells[0].zone", "is wrong", "Write another.", 7)
    assert problem.render("c.yaml") == "c.yaml:7: cells[0].zone: is wrong\n    Write another."


def test_a_problem_of_the_whole_file_has_neither_line_nor_path() -> None:
    assert Problem("", "is wrong", "Mend it.").render("c.yaml") == "c.yaml: is wrong\n    Mend it."


def test_a_config_error_counts_and_lists_its_problems_in_order() -> None:
    one, two = Problem("a", "x", "y", 1), Problem("b", "x", "y")
    assert str(ConfigError("f", [one])) == "f: 1 problem\nf:1: a: x\n    y"
    both = ConfigError("f", [one, two])
    assert str(both) == "f: 2 problems\nf:1: a: x\n    y\nf: b: x\n    y"
    assert (both.file, both.problems) == ("f", (one, two))
