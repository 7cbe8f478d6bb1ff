"""A plan as lines to paste: what they say, where they end, and what they leave to the bakes."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylib.bake.options import Options
from pylib.lock import load_lock, lock_path
from pylib.proc import run
from pylib.up.printed import bake_line, printed
from pylib.up.up import plan
from pylib.verbs import bake
from pylib.verbs import plan as plan_verb
from pylib.verbs import up as up_verb
from pylib.verbs.bake_arguments import options_of
from tests.cloud.upping import Upper, upper

POOL = "vllm-l4"
KEPT_AT = "projects/p/secrets/s"


@pytest.fixture
def one(tmp_path: Path, installed: list[Any]) -> Iterator[Upper]:
    """An emulated project."""
    with upper(tmp_path) as found:
        yield found


def _lines(one: Upper, **wishes: Any) -> list[str]:
    return list(printed(plan(one.site(**wishes)), one.file))


def _commands(one: Upper, **wishes: Any) -> list[str]:
    """The first words of each line that is none of a comment or an object."""
    lines = (it for it in _lines(one, **wishes) if it.startswith(("gcloud ", "python ")))
    return [it.partition(" --")[0].replace(str(one.file), "CONFIG") for it in lines]


@pytest.mark.parametrize("verb", [up_verb, plan_verb])
def test_the_flag_prints_and_does_nothing(
    one: Upper, verb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up_verb, "_site", lambda *_: one.site())
    parser = argparse.ArgumentParser()
    verb.arguments(parser)
    before, out = one.changes(), io.StringIO()

    code = verb.run(parser.parse_args(["-f", str(one.file), "--print", "gcloud"]), out)

    assert code == 0
    assert out.getvalue().splitlines() == _lines(one)
    assert one.changes() == before


def test_what_follows_from_a_bake_is_a_comment_and_how_to_go_on(one: Upper) -> None:
    lines = _lines(one)
    last = max(number for number, line in enumerate(lines) if not line.startswith("#"))
    assert lines[last].startswith("python -m pylib bake weights")
    assert lines[last + 1].startswith("# later: create  node pool of cell us-central1-a")
    assert lines[-1].endswith(f"python -m pylib plan -f {one.file} --print gcloud")


def test_a_pool_of_another_name_is_written_down_by_up_before_the_release(one: Upper) -> None:
    one.up()
    one.edit("machineType: g2-standard-24", "machineType: g2-standard-48")
    one.edit("count: 2", "count: 4")
    assert _commands(one) == [
        f"gcloud container node-pools create {_other_pool(one)}",
        "python -m pylib up -f CONFIG",
    ]


def _other_pool(one: Upper) -> str:
    [line] = one.plan()
    name = line.split()[3].removesuffix(":")
    assert name.startswith(f"{POOL}-")
    return name


def test_a_pool_in_error_goes_before_it_is_made_anew(one: Upper) -> None:
    one.emulator.change(quotas={"us-central1/NVIDIA_L4_GPUS": 1})
    with pytest.raises(Exception, match="RUNNING_WITH_ERROR"):
        one.up()
    assert _commands(one)[:2] == [
        f"gcloud container node-pools delete {POOL}",
        f"gcloud container node-pools create {POOL}",
    ]


def test_what_is_pruned_is_what_will_be_old(one: Upper) -> None:
    """The lock file still calls the old revision current, until the new one has disks."""
    one.up()
    [old] = one.made("disks")
    revision = old.rpartition("-")[2]
    one.put_model("gemma/gemma-7b-it", 3)
    one.edit("gs://my-models/gemma/gemma-7b", "gs://my-models/gemma/gemma-7b-it")
    one.edit("machineType: g2-standard-24", "machineType: g2-standard-48")
    one.edit("count: 2", "count: 4")
    one.fill_with("ee" * 32)
    one.bake()
    lock = lock_path(one.file)
    weights = load_lock(lock).weights
    assert weights is not None
    assert weights.current == revision

    lines = _lines(one, prune=True)

    assert [it for it in lines if it.startswith("# delete")] == [
        f"# delete  revision {revision}: is not the current one",
        f"# delete  disk {old} in us-central1-a: of no current revision",
        f"# delete  node pool {POOL}: no cell is on it",
    ]
    one.up()
    _paste_python(_lines(one, prune=True))
    weights = load_lock(lock).weights
    assert weights is not None
    assert [it.name for it in weights.revisions] == ["ee" * 6]


def _paste_python(lines: list[str]) -> None:
    """Run the one line of code in them."""
    [line] = [it for it in lines if it.startswith("python -c")]
    run([sys.executable, *shlex.split(line)[1:]])


def test_a_bake_is_printed_with_all_that_up_bakes_with(one: Upper) -> None:
    options = Options(
        owner="",
        zones=("us-central1-a", "us-central1-b"),
        network="vpc",
        subnetwork="sub",
        machine_type="n2-standard-16",
        disk_type="pd-balanced",
        timeout_seconds=600,
        external_ip=True,
        service_account="bake@p.iam.gserviceaccount.com",
        labels={"team": "search", "cost": "a b"},
        storage_locations=("us",),
        log_bucket="logs",
        boot_image="projects/p/global/images/i",
        mirrors=(("docker.io", "https://mirror.example"),),
        shards=4,
        token_secret=KEPT_AT,
    )
    parser = argparse.ArgumentParser()
    bake.arguments(parser)
    words = shlex.split(bake_line("weights", one.file, options))
    found = options_of(parser.parse_args(words[4:]))
    assert options == Options(**{**vars(found), "owner": ""})
