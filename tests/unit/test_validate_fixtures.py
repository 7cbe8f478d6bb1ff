"""Manifests that say in their leading comments what validation says of them.

tests/fixtures/manifests holds a file for each situation, named for it.  Its first line says what it
shows; ``# expect:`` is a finding with its line and fix, ``# unchecked:`` an object that no schema
could judge, ``# refused:`` a line of the error for input that holds no Kubernetes objects.  A new
case is a new file.
"""

import io
from datetime import date
from pathlib import Path

import pytest

from pylib.errors import ManifestError
from pylib.validate.checking import validate_manifests
from pylib.validate.inputs import read_inputs
from pylib.validate.report import Finding, Severity

FOLDER = Path(__file__).parents[1] / "fixtures" / "manifests"
FILES = sorted(FOLDER.glob("*.yaml"))
TODAY = date(2026, 1, 1)


def said(finding: Finding) -> str:
    parts = (finding.severity, finding.rule, finding.object, finding.path)
    subject = " ".join(part for part in parts if part)
    text = f"# expect: {finding.line}: {subject}: {finding.message}"
    return f"{text} | {finding.fix}" if finding.fix else text


def outcome(file: Path) -> list[str]:
    try:
        manifests = read_inputs([file], io.StringIO())
    except ManifestError as error:
        lines = str(error).replace(str(file), "FILE").splitlines()
        return [f"# refused: {line}" for line in lines]
    report = validate_manifests(manifests, today=TODAY, rules=())
    return [
        *(said(finding) for finding in report.findings),
        *(f"# unchecked: {u.line}: {u.object}: {u.reason}" for u in report.unchecked),
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_manifest_gets_what_its_comment_says(file: Path) -> None:
    header = [
        line
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith(("# expect: ", "# unchecked: ", "# refused: "))
    ]
    assert outcome(file) == header


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_files_are_named_for_their_outcome(file: Path) -> None:
    kinds = {line.split(": ")[0] for line in outcome(file)}
    worst = {
        line.split(": ")[2].split()[0] for line in outcome(file) if line.startswith("# expect")
    }
    name = file.stem.partition("_")[0]
    assert {
        "ok": worst <= {Severity.NOTE} and kinds <= {"# expect"},
        "error": Severity.ERROR in worst,
        "unchecked": kinds == {"# unchecked"},
        "refused": kinds == {"# refused"},
    }[name]
