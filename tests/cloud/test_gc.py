"""What dead bakes left is found and deleted; what is anybody else's, alive or not known is not."""

from __future__ import annotations

import signal
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pylib.bake.gc import Row, Survey, Usage, Wishes, plan, survey
from pylib.bake.held import journals
from pylib.bake.plan import Run
from pylib.bake.sweep import CHANGED, DELETED, FAILED, GONE, Swept, sweep
from pylib.bake.target import Target
from pylib.cloud.records import DiskSpec, Operation
from pylib.cloud.wait import wait
from pylib.emulator import Fault
from pylib.journal import Entry, Journal
from tests.cloud.baking import pack, request
from tests.cloud.emulated_bake import PROJECT, Bench

BOOT = "projects/debian-cloud/global/images/family/debian-12"
DAY = 86_400.0


def _run(bench: Bench, name: str = "abc123000001") -> Run:
    asked = request()
    place = replace(asked.place, project=PROJECT, images_project=PROJECT)
    start = int(bench.cloud.clock.time())
    return Run(replace(asked, place=place), name, "us-central1-a", "nonce", start)


def _done(bench: Bench, operation: Operation) -> None:
    wait(bench.cloud, operation, 600)


def _new() -> str:
    return str(uuid.uuid4())


def _dead(bench: Bench) -> Run:
    """A run whose VM stopped by itself, so that the service does not delete it."""
    run = _run(bench)
    _done(bench, bench.cloud.insert_disk(run.disk(), _new()))
    machine = run.machine(BOOT, pack(run.guest_job(check=False)), check=False)
    _done(bench, bench.cloud.insert_instance(machine, _new()))
    bench.cloud.clock.sleep(300)
    _done(bench, bench.cloud.insert_image(run.image(), _new()))
    return run


def _rows(bench: Bench, wishes: Wishes | None = None) -> tuple[Row, ...]:
    return plan(survey(bench.cloud, (PROJECT,)), Usage(), wishes or Wishes())


def _doomed(rows: tuple[Row, ...]) -> list[str]:
    return [row.found.link for row in rows if row.delete]


def _results(swept: list[Swept]) -> set[str]:
    return {it.result for it in swept}


def test_a_stopped_vm_its_disks_and_the_candidate_go_once_the_run_is_over(bench: Bench) -> None:
    stranger = DiskSpec("somebodys", "us-central1-a", 10, "pd-ssd", {"owner": "bob"})
    _done(bench, bench.cloud.insert_disk(stranger, _new()))
    before = bench.emulator.inventory()
    run = _dead(bench)
    assert _doomed(_rows(bench)) == []
    bench.cloud.clock.sleep(DAY)

    swept = sweep(bench.cloud, _rows(bench), lambda _: None)

    assert [it.row.found.name for it in swept] == [run.vm, run.name, run.vm, "vllm-v0-33-0"]
    assert _results(swept) <= {DELETED, GONE}
    assert bench.emulator.inventory().differs(before) == []
    assert _rows(bench) == ()


@pytest.mark.fault("B26")
def test_a_zone_that_gives_no_answer_is_named_and_keeps_the_candidate(bench: Bench) -> None:
    run = _dead(bench)
    bench.cloud.clock.sleep(DAY)
    bench.emulator.change(page_size=1, unreachable=frozenset({"us-east4-a"}))

    seen = survey(bench.cloud, (PROJECT,))

    assert seen.unknown == tuple(
        f"{kind} of {PROJECT} in zones/us-east4-a: no answer" for kind in ("instances", "disks")
    )
    rows = plan(seen, Usage(), Wishes())
    assert [row.found.name for row in rows if row.delete] == [run.vm, run.name, run.vm]
    assert rows[-1].why == "whether a VM of its run still works is not known"


@pytest.mark.fault("B26")
def test_a_list_of_vms_that_fails_keeps_everything(bench: Bench) -> None:
    _dead(bench)
    bench.cloud.clock.sleep(DAY)
    bench.emulator.change(denied=frozenset({"compute.instances.list"}))
    seen = survey(bench.cloud, (PROJECT,))
    assert seen.unknown[0].startswith(f"instances of {PROJECT}: ")
    assert _doomed(plan(seen, Usage(), Wishes())) == []


@pytest.mark.fault("B27")
def test_a_label_of_a_clock_that_is_behind_does_not_end_a_live_run(bench: Bench) -> None:
    run = replace(_run(bench), started=1_000_000)
    _done(bench, bench.cloud.insert_disk(run.disk(), _new()))
    assert _doomed(_rows(bench)) == []


@pytest.mark.fault("B27")
def test_a_label_of_a_clock_that_is_ahead_keeps_nothing_for_ever(bench: Bench) -> None:
    run = replace(_run(bench), started=4_000_000_000)
    _done(bench, bench.cloud.insert_disk(run.disk(), _new()))
    bench.cloud.clock.sleep(3 * DAY)
    assert len(_doomed(_rows(bench))) == 1


@pytest.mark.fault("B27")
def test_a_run_whose_journal_a_process_holds_is_alive_and_a_free_one_is_held(
    bench: Bench, tmp_path: Path
) -> None:
    run = _dead(bench)
    bench.cloud.clock.sleep(DAY)
    path = tmp_path / "x.journal"
    with Journal(path, "image") as journal:
        journal.append(Entry("run", "start", 0.0, data={"run": run.id}))
        with journals([path, tmp_path / "absent"]) as held:
            assert (held.live, held.free) == ({run.id: path}, {})
            wishes = Wishes(dead=frozenset({run.id}), live=dict.fromkeys(held.live, "held"))
        assert _doomed(_rows(bench, wishes)) == []
    with journals([path]) as first, journals([path]) as second:
        assert first.free == second.free == {run.id: path}


def test_a_run_that_is_named_as_dead_is_not_waited_for(bench: Bench) -> None:
    run = _dead(bench)
    assert len(_doomed(_rows(bench, Wishes(dead=frozenset({run.id}))))) == 4


def test_a_label_alone_makes_nothing_a_bakes_own(bench: Bench) -> None:
    run = _run(bench)
    for name, labels in (("other", run.labels("fill")), (run.name, {"bake-run": run.id})):
        spec = DiskSpec(name, run.zone, 10, "pd-ssd", labels)
        _done(bench, bench.cloud.insert_disk(spec, _new()))
    bench.cloud.clock.sleep(3 * DAY)
    rows = _rows(bench)
    assert len(rows) == 2
    assert _doomed(rows) == []


@pytest.mark.fault("B12")
def test_a_strangers_disk_of_the_same_name_is_left_alone(bench: Bench) -> None:
    run = _run(bench)
    _done(bench, bench.cloud.insert_disk(run.disk(), _new()))
    bench.cloud.clock.sleep(DAY)
    rows = _rows(bench)
    _done(bench, bench.cloud.delete_disk(run.zone, run.name, _new()))
    _done(bench, bench.cloud.insert_disk(run.disk(), _new()))

    assert _results(sweep(bench.cloud, rows, lambda _: None)) == {CHANGED}

    assert Target("disk", PROJECT, run.zone, run.name).find(bench.cloud) is not None


@pytest.mark.fault("B19")
def test_what_may_not_be_deleted_is_named_and_the_rest_goes(bench: Bench) -> None:
    _dead(bench)
    bench.cloud.clock.sleep(DAY)
    bench.emulator.change(denied=frozenset({"compute.images.delete"}))
    swept = sweep(bench.cloud, _rows(bench), lambda _: None)
    [failed] = [it for it in swept if it.result == FAILED]
    assert failed.row.found.kind == "image"
    assert "compute.images.delete" in failed.why
    assert len(_rows(bench)) == 1


@pytest.mark.parametrize("action", ["drop-before", "drop-after"])
def test_a_lost_answer_ends_with_nothing_left(bench: Bench, action: str) -> None:
    _dead(bench)
    bench.cloud.clock.sleep(DAY)
    bench.emulator.faults.add(Fault("compute.instances.delete", action))
    sweep(bench.cloud, _rows(bench), lambda _: None)
    assert _rows(bench) == ()


def test_two_that_sweep_the_same_rows_do_each_other_no_harm(bench: Bench) -> None:
    _dead(bench)
    bench.cloud.clock.sleep(DAY)
    rows = _rows(bench)
    sweep(bench.cloud, rows, lambda _: None)
    assert _results(sweep(bench.cloud, rows, lambda _: None)) == {GONE}


@pytest.mark.fault("B14")
def test_a_signal_names_what_is_left(bench: Bench) -> None:
    _dead(bench)
    bench.cloud.clock.sleep(DAY)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        sweep(bench.cloud, _rows(bench), say)
    assert "gcloud compute images delete vllm-v0-33-0 --project=demo-project --quiet" in said[-1]
    sweep(bench.cloud, _rows(bench), lambda _: None)
    assert _rows(bench) == ()


def test_published_images_go_only_when_asked_and_never_one_that_is_in_use(bench: Bench) -> None:
    bench.bake()
    assert _rows(bench) == ()
    [image] = survey(bench.cloud, (PROJECT,)).found
    old = replace(image, id="1", name="old", created=image.created - DAY)
    seen = Survey(image.created, (image, old))

    def doomed(used: Usage | None = None, **wishes: Any) -> list[str]:
        asked = replace(Wishes(keep=1), **wishes)
        return _doomed(plan(seen, used or Usage(), asked))

    assert doomed() == [old.link]
    assert doomed(keep=2) == []
    assert doomed(older_than_seconds=2 * DAY) == []
    assert doomed(named={"1": "config.lock.yaml"}) == []
    assert doomed(Usage(frozenset({"1"}))) == []
    assert doomed(Usage(unknown=("disks",))) == []
