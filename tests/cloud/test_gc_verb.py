"""The verb ``gc`` on the emulator: plan, deletion, JSON, exit codes."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import pytest

from pylib.cloud.clock import Clock
from pylib.cloud.gcp import GoogleCloud
from pylib.cloud.records import DiskSpec
from pylib.cloud.wait import wait
from pylib.errors import ConfigError
from pylib.journal import Entry, Journal
from pylib.verbs import gc as verb
from tests.cloud.emulated_bake import PROJECT, Bench

LABELS = {
    "bake-run": "abc",
    "bake-owner": "ann",
    "bake-inputs": "0123",
    "bake-phase": "fill",
    "bake-expires": "1",
}


@pytest.fixture
def config(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config whose project has one disk of a dead run."""

    def connect(project: str, endpoint: str | None) -> GoogleCloud:
        assert endpoint is None
        return bench.cloud

    monkeypatch.setattr("pylib.cloud.gcp.connect", connect)
    for name in ("config.yaml", "config.lock.yaml"):
        text = Path("values/gemma-7b-fast", name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("my-project", PROJECT), encoding="utf-8")
    spec = DiskSpec("image-abc", "us-central1-a", 10, "pd-ssd", LABELS)
    wait(bench.cloud, bench.cloud.insert_disk(spec, "00000000-0000-0000-0000-0000000000aa"), 60)
    clock: Clock = bench.cloud.clock
    clock.sleep(86_400)
    return tmp_path / "config.yaml"


def _gc(config: Path, *words: str) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    verb.arguments(parser)
    out = io.StringIO()
    code = verb.run(parser.parse_args(["-f", str(config), *words]), out)
    return code, out.getvalue()


def test_without_yes_nothing_is_deleted_and_with_it_the_journal_goes_too(config: Path) -> None:
    journal = config.with_name("config.bake-image.journal")
    with Journal(journal, "image") as opened:
        opened.append(Entry("run", "start", 0.0, data={"run": "abc"}))
    code, said = _gc(config)
    assert code == 0
    assert said.endswith("1 to delete; nothing was deleted, --yes does it\n")
    code, said = _gc(config, "--yes")
    assert code == 0
    assert "deleted disk image-abc in us-central1-a\n" in said
    assert not journal.exists()
    assert _gc(config, "--yes") == (0, "nothing to delete\n")


@pytest.mark.fault("B19")
def test_what_stays_is_told_with_its_command_and_an_exit_code(config: Path, bench: Bench) -> None:
    bench.emulator.change(denied=frozenset({"compute.disks.delete"}))
    code, said = _gc(config, "--yes")
    assert code == 9
    assert f"    gcloud compute disks delete image-abc --project={PROJECT} --zone=us-" in said
    code, said = _gc(config, "--yes", "--json")
    assert code == 9
    [entry] = json.loads(said)["resources"]
    assert (entry["name"], entry["delete"], entry["result"]) == ("image-abc", True, "failed")


@pytest.mark.fault("B26")
def test_what_is_not_known_is_an_exit_code(config: Path, bench: Bench) -> None:
    bench.emulator.change(unreachable=frozenset({"us-east4-a"}))
    code, said = _gc(config, "--images")
    assert code == 9
    assert f"not known: disks of {PROJECT} in zones/us-east4-a: no answer\n" in said


@pytest.mark.parametrize(
    "words", [["--images", "--keep", "0"], ["--images", "--older-than", "-1"], ["--keep", "3"]]
)
def test_wishes_that_make_no_sense_are_refused(config: Path, words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"--keep|--older-than"):
        _gc(config, *words)
