"""Finding helm and kubeconform: which one is taken, and what is said where none fits."""

import json
import os
from pathlib import Path

import pytest

from pylib import tools
from pylib.errors import ToolMissingError
from pylib.tools import HELM, KUBECONFORM, find, find_helm, find_kubeconform


def program(folder: Path, name: str, says: str, code: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    count = folder / f"{name}.calls"
    path.write_text(f"#!/bin/sh\necho x >> {count}\necho '{says}'\nexit {code}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def calls(path: Path) -> int:
    return path.with_name(f"{path.name}.calls").read_text(encoding="utf-8").count("x")


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No tool anywhere, and an empty cache."""
    monkeypatch.setenv("VFS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}/path")
    monkeypatch.delenv("VFS_HELM", raising=False)
    monkeypatch.delenv("VFS_KUBECONFORM", raising=False)
    monkeypatch.setattr(tools, "_PROJECT_TOOLS", tmp_path / "project")
    return tmp_path


def test_program_on_path_is_found(bare: Path) -> None:
    helm = program(bare / "path", "helm", "v4.3.1")
    kubeconform = program(bare / "path", "kubeconform", "v0.8.0")
    assert (find_helm(), find_kubeconform()) == (helm, kubeconform)


def test_projects_own_program_comes_before_path(bare: Path) -> None:
    program(bare / "path", "helm", "v4.3.1")
    own = program(bare / "project", "helm", "v4.2.0")
    assert find(HELM) == own


def test_program_that_does_not_fit_is_passed_over(bare: Path) -> None:
    program(bare / "project", "helm", "v3.10.0")
    good = program(bare / "path", "helm", "v3.22.0")
    assert find(HELM) == good


def test_named_program_is_the_only_candidate(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare / "project", "helm", "v4.3.1")
    named = program(bare / "elsewhere", "helm4", "v4.9.0")
    monkeypatch.setenv("VFS_HELM", str(named))
    assert find(HELM) == named


def test_named_program_may_be_a_name_on_path(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = program(bare / "path", "helm-next", "v5.0.0-rc.1")
    monkeypatch.setenv("VFS_HELM", "helm-next")
    assert find(HELM) == named


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("v3.18.4", False),
        ("v3.18.5", True),
        ("v3.22.0", True),
        ("v4.0.0", False),
        ("v4.1.3", False),
        ("v4.1.4", True),
        ("v4.10.0+g1234", True),
        ("5.0.0", True),
    ],
)
def test_versions_of_helm_that_fit(bare: Path, version: str, fits: bool) -> None:
    helm = program(bare / "path", "helm", version)
    if fits:
        assert find(HELM) == helm
    else:
        with pytest.raises(ToolMissingError, match="no helm that fits"):
            find(HELM)


@pytest.mark.parametrize(("version", "fits"), [("v0.5.9", False), ("v0.6.0", True)])
def test_versions_of_kubeconform_that_fit(bare: Path, version: str, fits: bool) -> None:
    program(bare / "path", "kubeconform", version)
    if fits:
        assert find(KUBECONFORM).name == "kubeconform"
    else:
        with pytest.raises(ToolMissingError, match="no kubeconform that fits"):
            find(KUBECONFORM)


def test_nothing_found_says_where_it_looked(bare: Path) -> None:
    with pytest.raises(ToolMissingError) as caught:
        find_helm()
    assert str(caught.value) == (
        "no helm that fits: there is none in .tools/bin or on PATH.\n"
        "helm 4.1.4 or newer, or helm 3.18.5 or newer is needed: run scripts/install-tools helm, "
        "put one on PATH, or name it in VFS_HELM."
    )


def test_named_program_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VFS_KUBECONFORM", "/nowhere/kubeconform")
    with pytest.raises(ToolMissingError) as caught:
        find_kubeconform()
    assert str(caught.value) == (
        "no kubeconform that fits: VFS_KUBECONFORM names /nowhere/kubeconform, which is no "
        "program.\nkubeconform 0.6.0 or newer is needed: run scripts/install-tools kubeconform, "
        "put one on PATH, or name it in VFS_KUBECONFORM."
    )


def test_every_candidate_that_does_not_fit_is_named(bare: Path) -> None:
    old = program(bare / "project", "kubeconform", "v0.4.14")
    unstamped = program(bare / "path", "kubeconform", "development")
    with pytest.raises(ToolMissingError) as caught:
        find_kubeconform()
    assert str(caught.value).splitlines()[0] == (
        f"no kubeconform that fits: {old} is v0.4.14; "
        f"{unstamped} answers 'development', which is no version number."
    )


def test_program_that_fails_is_quoted(bare: Path) -> None:
    broken = program(bare / "path", "helm", "v4.3.1", code=3)
    with pytest.raises(ToolMissingError) as caught:
        find_helm()
    assert f"{broken} version --template {{{{.Version}}}} ended with exit code 3" in str(
        caught.value
    )


def test_program_that_cannot_run_at_all_is_quoted(bare: Path) -> None:
    folder = bare / "path"
    folder.mkdir()
    broken = folder / "helm"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    with pytest.raises(ToolMissingError, match="Exec format error"):
        find_helm()


def test_version_is_asked_once_and_again_after_a_change(bare: Path) -> None:
    helm = program(bare / "path", "helm", "v4.3.1")
    find(HELM)
    find(HELM)
    assert calls(helm) == 1
    os.utime(helm, ns=(1, 1))
    find(HELM)
    assert calls(helm) == 2


def test_one_programs_answer_does_not_displace_anothers(bare: Path) -> None:
    helm = program(bare / "path", "helm", "v4.3.1")
    kubeconform = program(bare / "path", "kubeconform", "v0.8.0")
    for _ in range(2):
        find_helm()
        find_kubeconform()
    assert (calls(helm), calls(kubeconform)) == (1, 1)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_damaged_cache_is_replaced(bare: Path, text: str) -> None:
    helm = program(bare / "path", "helm", "v4.3.1")
    store = bare / "cache" / "tools.json"
    store.parent.mkdir()
    store.write_text(text, encoding="utf-8")
    assert find(HELM) == helm
    assert list(json.loads(store.read_text(encoding="utf-8"))) == [str(helm)]
