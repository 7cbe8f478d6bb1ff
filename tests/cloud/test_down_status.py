"""``down`` takes away what is ours and nothing else; ``status`` lists it with age, use and cost."""

from __future__ import annotations

import argparse
import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylib.cloud.records import DiskSpec
from pylib.cloud.wait import wait
from pylib.lock import load_lock, lock_path
from pylib.up.down import Extent, plan_down
from pylib.up.status import status
from pylib.verbs import down as down_verb
from pylib.verbs import status as status_verb
from pylib.verbs import up as up_verb
from tests.cloud.fake_parts import MANIFEST
from tests.cloud.upping import PROJECT, Upper, upper

DISK = f"vllm-openai-us-central1-a-{MANIFEST[:12]}"


@pytest.fixture
def one(tmp_path: Path, installed: list[Any]) -> Iterator[Upper]:
    """An emulated project with everything of the config."""
    with upper(tmp_path) as found:
        found.up()
        yield found


def _somebodys_disk(one: Upper) -> None:
    spec = DiskSpec("somebodys", "us-central1-a", 10, "pd-ssd", {"vfs-release": "other"})
    wait(one.cloud, one.cloud.insert_disk(spec, str(uuid.UUID(int=9))), 60)


def test_down_takes_away_release_pools_and_disks_and_leaves_images_and_strangers(
    one: Upper,
) -> None:
    _somebodys_disk(one)

    done = one.down()

    assert [it.kind for it in done] == ["release", "node pool", "disk"]
    assert one.made("disks") == ["somebodys"]
    assert one.made("nodePools") == []
    assert len(one.made("images")) == 2
    assert not one.kube.has_release
    assert one.kube.objects
    lock = load_lock(lock_path(one.file))
    assert lock.weights is not None
    assert lock.weights.revisions[0].disks == {}
    assert lock.weights.revisions[0].image is not None
    assert one.down() == []


def test_after_down_up_makes_it_again_from_the_same_images(one: Upper) -> None:
    one.down()
    done = one.up()
    assert [it.kind for it in done] == ["node pool", "disk"]
    assert one.plan() == []


def test_down_takes_images_and_adapter_when_it_is_told_to(one: Upper) -> None:
    one.down(images=True, adapter=True)
    assert one.made("images") == []
    assert one.kube.objects == {}
    lock = load_lock(lock_path(one.file))
    assert (lock.weights, lock.imageCache, lock.pools) == (None, None, None)


def test_an_adapter_that_somebody_else_put_there_stays(one: Upper) -> None:
    for body in one.kube.objects.values():
        body["metadata"].pop("labels")
    one.down(adapter=True)
    assert one.kube.objects


def test_an_image_that_is_another_one_by_now_stays(one: Upper) -> None:
    path = lock_path(one.file)
    lock = load_lock(path)
    assert lock.imageCache is not None
    path.write_text(path.read_text().replace(str(lock.imageCache.id), "1"))
    one.down(images=True)
    assert one.made("images") == ["vllm-openai-image"]


def test_down_waits_until_no_node_has_the_disk(one: Upper) -> None:
    one.attach(DISK)
    with pytest.raises(Exception, match=f"{DISK} in us-central1-a is attached to a-node"):
        one.down()
    assert f"wait: a-node has disk {DISK}" in one.said
    assert one.made("disks") != []
    one.detach()
    one.down()
    assert one.made("disks") == []


def test_what_the_config_calls_existing_is_never_taken_away(
    tmp_path: Path, installed: list[Any]
) -> None:
    lock = Path("values/gemma-7b-tutorial/config.lock.yaml").read_text()
    with upper(tmp_path) as one:
        one.edit("  kind: disk\n", "  kind: disk\n  existing: true\n")
        one.edit("{name: vllm-l4}", "{name: vllm-l4, existing: true}")
        lock_path(one.file).write_text(lock)
        assert plan_down(one.site(), Extent()) == []
        one.down()
        assert load_lock(lock_path(one.file)).weights is not None


def test_status_lists_what_is_there_with_age_use_and_cost(one: Upper) -> None:
    one.cloud.clock.sleep(3 * 86_400)
    found = status(one.site())
    lines = {line.kind: line for line in found.lines}
    assert (lines["disk"].name, lines["disk"].days) == (DISK, 3.0)
    assert lines["disk"].month == 174.08
    assert lines["disk"].use == f"current revision {MANIFEST[:12]}, 0 nodes have it"
    assert lines["node pool"].month == 1460.0
    assert {it.use for it in found.lines if it.kind == "image"} == {
        "image cache",
        f"revision {MANIFEST[:12]}",
    }
    assert found.month >= 1634.08
    assert found.unknown == ()


def test_a_zone_out_of_reach_is_said_and_not_taken_for_empty(one: Upper) -> None:
    one.emulator.change(unreachable=frozenset({"us-central1-a"}))
    found = status(one.site())
    assert found.unknown == ("disks in zones/us-central1-a",)


def test_status_asks_as_often_as_there_are_pages(one: Upper) -> None:
    before = one.cloud.counts.total()
    status(one.site())
    assert one.cloud.counts.total() - before == 4


def _run(verb: Any, one: Upper, *words: str) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    verb.arguments(parser)
    out = io.StringIO()
    line = ["-f", str(one.file), "--endpoint", one.emulator.url, *words]
    code: int = verb.run(parser.parse_args(line), out)
    return code, out.getvalue()


@pytest.fixture
def verbs(one: Upper, monkeypatch: pytest.MonkeyPatch) -> Upper:
    """The verbs find the cluster in memory, and the test's own clock."""
    monkeypatch.setattr("pylib.verbs.site._kube", lambda *_: one.kube)
    monkeypatch.setattr("pylib.cloud.gcp.connect", lambda *_, **__: one.cloud)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return one


def test_the_verb_down_shows_first_and_deletes_when_told_to(verbs: Upper) -> None:
    code, said = _run(down_verb, verbs)
    assert code == 0
    assert f"delete  disk {DISK} in us-central1-a" in said
    assert said.endswith("nothing was deleted; --yes does it\n")
    assert verbs.made("disks") == [DISK]
    shown = json.loads(_run(down_verb, verbs, "--output", "json")[1])
    assert [it["kind"] for it in shown] == ["release", "node pool", "disk"]
    code, said = _run(down_verb, verbs, "--yes")
    assert said.endswith("3 things taken away\n")
    assert verbs.made("disks") == []


def test_the_verb_status_is_text_or_json(verbs: Upper) -> None:
    code, said = _run(status_verb, verbs)
    assert code == 0
    assert f"disk {DISK}: READY, pd-ssd of 1024 GiB in us-central1-a, 0 days old, $174.08" in said
    document = json.loads(_run(status_verb, verbs, "--output", "json")[1])
    assert {it["kind"] for it in document["resources"]} == {"image", "disk", "node pool"}


def test_the_verb_up_does_nothing_the_second_time(verbs: Upper) -> None:
    code, said = _run(up_verb, verbs, "--yes", "--zone", "us-central1-a")
    assert code == 0
    assert "0 to do, " in said
    assert said.endswith("0 things done\n")
    assert f"reuse   disk {DISK} in us-central1-a" in said
    assert PROJECT in verbs.file.read_text()
