"""The init container's check of the weights."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.chart.scripts import script

MODEL = "gemma/gemma-7b"
FILES = {f"{MODEL}/config.json": b"{}", f"{MODEL}/model.safetensors": b"1" * 100}


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume with a model and its manifest."""
    root = tmp_path / "model-data"
    for path, content in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    write(root, [{"path": p, "size": len(c), "sha256": "-"} for p, c in FILES.items()])
    return root


def write(root: Path, manifest: Any) -> None:
    """Write the manifest."""
    (root / "weights.manifest.json").write_text(json.dumps(manifest))


def check(root: Path, log: Path, model: str = MODEL, sha256: str = "") -> tuple[int, str]:
    """Exit code of the check, and what it wrote to the termination log."""
    words = ["--root", str(root), "--model", model]
    words += ["--manifest-sha256", sha256] if sha256 else []
    code: int = script("check_weights").main(words, str(log))
    return code, log.read_text()


def test_a_good_volume_passes(
    volume: Path, termination_log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = hashlib.sha256((volume / "weights.manifest.json").read_bytes()).hexdigest()
    assert check(volume, termination_log) == (0, "")
    assert check(volume, termination_log, sha256=digest) == (0, "")
    assert "2 files have the sizes of the manifest.\n" in capsys.readouterr().out


def test_an_empty_volume_is_named(tmp_path: Path, termination_log: Path) -> None:
    assert check(tmp_path, termination_log) == (
        1,
        "There is no weights.manifest.json at the root of the volume. The volume is empty or was "
        "not baked by this project; if it is good nevertheless, set weights.verify: none.",
    )


def test_another_revision_is_named(volume: Path, termination_log: Path) -> None:
    digest = hashlib.sha256((volume / "weights.manifest.json").read_bytes()).hexdigest()
    assert check(volume, termination_log, sha256="a" * 64) == (
        1,
        f"The manifest's sha256 is {digest}, not {'a' * 64}: this disk holds another revision. "
        "Set the disk and manifestSha256 of the same revision in weights.disk.revisions.",
    )


def test_another_model_is_named(volume: Path, termination_log: Path) -> None:
    assert check(volume, termination_log, model="gemma/gemma-7") == (
        1,
        "The manifest knows no file below gemma/gemma-7; it knows gemma/gemma-7b. "
        "Set model.directory and model.name to one of these.",
    )


def test_missing_short_and_odd_files_are_named(volume: Path, termination_log: Path) -> None:
    (volume / MODEL / "config.json").unlink()
    (volume / MODEL / "config.json").symlink_to("/etc/passwd")
    (volume / MODEL / "model.safetensors").write_bytes(b"1" * 99)
    entries = [{"path": p, "size": len(c)} for p, c in FILES.items()]
    write(volume, [*entries, {"path": f"{MODEL}/gone", "size": 1}])
    assert check(volume, termination_log) == (
        1,
        "3 of 3 files differ from the manifest: gemma/gemma-7b/config.json is not a plain file; "
        "gemma/gemma-7b/model.safetensors has 99 bytes instead of 100; "
        "gemma/gemma-7b/gone is missing. "
        "The disk's image was cut too early or from an unclean file system: bake it again.",
    )


def test_five_wrong_files_stand_for_all(volume: Path, termination_log: Path) -> None:
    write(volume, [{"path": f"{MODEL}/{i}", "size": 1} for i in range(8)])
    _, message = check(volume, termination_log)
    assert "gemma/gemma-7b/4 is missing and 3 more." in message


@pytest.mark.parametrize(
    "manifest", [[], {}, "x", [1], [{"path": "a"}], [{"path": 1, "size": 1}], [{"size": 1}]]
)
def test_a_manifest_that_is_none_is_named(
    volume: Path, termination_log: Path, manifest: Any
) -> None:
    write(volume, manifest)
    assert check(volume, termination_log) == (
        1,
        "weights.manifest.json is not a list of files with path and size: bake the disk again.",
    )


def test_a_manifest_cut_short_is_named(volume: Path, termination_log: Path) -> None:
    (volume / "weights.manifest.json").write_text('[{"path": "a"')
    code, message = check(volume, termination_log)
    assert (code, message.startswith("weights.manifest.json is not a list")) == (1, True)
