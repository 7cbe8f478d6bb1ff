"""The cache folder: which one it is, and that writing is whole or not at all."""

import os
import tempfile
from pathlib import Path

import pytest

from pylib import cache
from pylib.errors import ToolFailedError


def test_folder_of_the_environment_is_made_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFS_CACHE_DIR", str(tmp_path / "a" / "b"))
    assert cache.folder() == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()
    assert cache.folder() == tmp_path / "a" / "b"


def test_relative_folder_is_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VFS_CACHE_DIR", "here")
    assert cache.folder() == tmp_path / "here"


def test_xdg_folder_comes_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VFS_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "vllm-fast-start"


def test_home_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VFS_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "vllm-fast-start"


@pytest.mark.parametrize("name", ["file/below", "100%", "a#b", "a?b", "{{x}}"])
def test_what_cannot_be_used_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VFS_CACHE_DIR", str(tmp_path / name))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "vllm-fast-start"


def test_folder_that_may_not_be_written_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFS_CACHE_DIR", str(tmp_path / "a"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "a")
    assert cache.folder() == tmp_path / "vllm-fast-start"


def test_temporary_folder_stands_in_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("VFS_CACHE_DIR", str(tmp_path / "%"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    folder = cache.folder()
    assert folder.parent == Path(tempfile.gettempdir())
    assert folder.name.startswith("vllm-fast-start-")
    assert cache.folder() == folder


def test_written_file_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "sub" / "file.json"
    cache.write(file, "one")
    cache.write(file, "zwei ü")
    assert file.read_text(encoding="utf-8") == "zwei ü"
    assert list(file.parent.iterdir()) == [file]


def test_folder_that_cannot_be_made_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ToolFailedError) as caught:
        cache.write(tmp_path / "file" / "x", "text")
    assert str(caught.value) == (
        f"{tmp_path}/file/x: cannot be written: File exists. "
        "Make room there, or set VFS_CACHE_DIR to another folder."
    )


def test_failed_write_leaves_the_old_file_and_no_part_of_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    file = tmp_path / "file"
    file.write_text("old", encoding="utf-8")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ToolFailedError, match="No space left on device"):
        cache.write(file, "new")
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]
