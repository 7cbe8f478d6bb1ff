"""An image that a disk or a node pool uses stays; sweeps side by side, and killed at any call."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

from pylib.bake.gc import Row, Wishes, plan, survey, usage
from pylib.bake.sweep import DELETED, FAILED, GONE, Swept, sweep
from pylib.cloud.gcp import GoogleCloud, connect
from tests.cloud.baking import request
from tests.cloud.emulated import GLOBAL, ZONAL, Raw
from tests.cloud.emulated_bake import PROJECT, Bench

OLD, NEW = "vllm-v0-33-0", "vllm-v0-34-0"
CLUSTER = f"/v1/projects/{PROJECT}/locations/us-central1/clusters/demo"
USED = "published; a disk or a node pool uses it"


@pytest.fixture
def raw(bench: Bench) -> Raw:
    """A project with two published images of a family, of which one is to stay; and a cluster."""
    bench.bake()
    bench.cloud.clock.sleep(60)
    bench.bake(request(image_name=NEW, images=("docker.io/vllm/vllm-openai:v0.34.0",)))
    bench.emulator.change(delays={})
    bench.emulator.add_cluster("demo", "us-central1")
    return Raw(bench.emulator.url)


def _rows(bench: Bench) -> tuple[Row, ...]:
    """What ``gc --images --keep 1`` finds."""
    return plan(survey(bench.cloud, (PROJECT,)), usage(bench.cloud), Wishes(keep=1))


def _why(bench: Bench) -> dict[str, tuple[bool, str]]:
    return {row.found.name: (row.delete, row.why) for row in _rows(bench)}


def _images(bench: Bench) -> list[str]:
    paths = bench.emulator.inventory().paths()
    found = [path.rpartition("/")[2] for path in paths if f"{PROJECT}/global/images/" in path]
    return sorted(found)


def test_the_older_image_of_a_family_goes_when_nobody_uses_it(bench: Bench, raw: Raw) -> None:
    assert _why(bench)[OLD][0]
    assert not _why(bench)[NEW][0]
    sweep(bench.cloud, _rows(bench), lambda _: None)
    assert _images(bench) == [NEW]


def test_an_image_that_a_disk_was_made_from_stays_as_long_as_the_disk(
    bench: Bench, raw: Raw
) -> None:
    """In whichever zone the disk is."""
    zonal = ZONAL.replace("us-central1-a", "us-east4-b")
    body = {"name": "weights", "sizeGb": "60", "sourceImage": f"global/images/{OLD}"}
    raw.done("POST", f"{zonal}/disks", body)
    assert _why(bench)[OLD] == (False, USED)
    assert sweep(bench.cloud, _rows(bench), lambda _: None) == []
    raw.done("DELETE", f"{zonal}/disks/weights")
    assert _why(bench)[OLD][0]


@pytest.mark.parametrize(
    "link",
    [
        f"projects/{PROJECT}/global/images/{OLD}",
        f"global/images/{OLD}",
        f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/images/{OLD}",
    ],
)
def test_an_image_that_a_node_pool_starts_with_stays_as_long_as_the_pool(
    bench: Bench, raw: Raw, link: str
) -> None:
    """No disk may be there: a pool that is scaled to zero makes them later."""
    _pool(bench, raw, link)
    assert _why(bench)[OLD] == (False, USED)
    assert sweep(bench.cloud, _rows(bench), lambda _: None) == []
    assert _images(bench) == [OLD, NEW]
    raw.send("DELETE", f"{CLUSTER}/nodePools/gpus")
    bench.cloud.clock.sleep(0)
    assert _why(bench)[OLD][0]


def _pool(bench: Bench, raw: Raw, link: str) -> None:
    config = {
        "machineType": "g2-standard-4",
        "diskType": "pd-ssd",
        "gcfsConfig": {"enabled": True},
        "secondaryBootDisks": [{"diskImage": link, "mode": "CONTAINER_IMAGE_CACHE"}],
    }
    pool = {"name": "gpus", "config": config, "initialNodeCount": 0}
    raw.post(f"{CLUSTER}/nodePools", {"nodePool": pool})
    bench.cloud.clock.sleep(0)
    assert raw.get(f"{CLUSTER}/nodePools/gpus")["status"] == "RUNNING"


@pytest.mark.fault("B26")
@pytest.mark.parametrize("call", ["compute.disks.list", "container.clusters.list"])
def test_an_image_whose_users_are_not_known_stays(bench: Bench, raw: Raw, call: str) -> None:
    bench.emulator.change(denied=frozenset({call}))
    delete, why = _why(bench)[OLD]
    assert (delete, why) == (False, "published; whether a disk or a node pool uses it is not known")


def test_an_image_that_somebody_deletes_first_is_told_as_gone(bench: Bench, raw: Raw) -> None:
    rows = _rows(bench)
    raw.done("DELETE", f"{GLOBAL}/images/{OLD}")
    assert [it.result for it in sweep(bench.cloud, rows, lambda _: None)] == [GONE]


def _left_by_a_dead_run(bench: Bench) -> None:
    """All that a bake makes, by a client that died before it published."""
    real: Any = bench.cloud.insert_instance
    bench.emulator.change(delays={})

    def dies(spec: Any, request_id: str) -> Any:
        if spec.name.endswith("-checkvm"):
            raise SystemExit
        return real(spec, request_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.cloud, "insert_instance", dies)
        patch.setattr("pylib.bake.runner._undo", lambda *_: None)
        with pytest.raises(SystemExit):
            bench.bake()
    bench.cloud.clock.sleep(86_400)


def test_two_sweeps_at_the_same_time_leave_nothing_and_fail_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    _left_by_a_dead_run(bench)
    others = [connect(PROJECT, endpoint=bench.emulator.url, clock=bench.cloud.clock) for _ in "ab"]
    start = threading.Barrier(len(others))
    done: list[list[Swept]] = []

    def work(cloud: Any) -> None:
        rows = plan(survey(cloud, (PROJECT,)), usage(cloud), Wishes())
        start.wait()
        done.append(sweep(cloud, rows, lambda _: None))

    threads = [threading.Thread(target=work, args=(cloud,)) for cloud in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    results = [it.result for swept in done for it in swept]
    assert len(done) == 2
    assert results
    assert FAILED not in results
    assert set(results) <= {DELETED, GONE}
    assert bench.made() == []


class Killed(BaseException):
    """Kill -9 of the process, as its tests see it."""


READS = ("service_time", "marked", "images_of_disks", "images_of_pools", "again", "operation")


def _killed_at(bench: Bench, number: int, *, after: bool) -> bool:
    """One gc that is killed before its call of that number, or after its deletion of that number;
    whether it was."""
    cloud = connect(PROJECT, endpoint=bench.emulator.url, clock=bench.cloud.clock)
    numbers = itertools.count(1)

    def deadly(call: Any) -> Any:
        def asked(*words: Any) -> Any:
            dies = next(numbers) == number
            if dies and not after:
                raise Killed
            answer = call(*words)
            if dies:
                raise Killed
            return answer

        return asked

    for name in ("delete", *(() if after else READS)):
        setattr(cloud, name, deadly(getattr(cloud, name)))
    try:
        _gc(cloud)
    except Killed:
        return True
    return False


def _gc(cloud: GoogleCloud) -> list[Swept]:
    rows = plan(survey(cloud, (PROJECT,)), usage(cloud), Wishes())
    return sweep(cloud, rows, lambda _: None)


@pytest.mark.fault("B15")
@pytest.mark.parametrize(("after", "calls"), [(False, 19), (True, 4)], ids=["before", "after"])
def test_killed_at_any_call_the_next_gc_ends_as_an_undisturbed_one(
    bench: Bench, after: bool, calls: int
) -> None:
    before = bench.emulator.inventory()
    for number in itertools.count(1):
        _left_by_a_dead_run(bench)
        assert len(bench.made()) > 3
        was_killed = _killed_at(bench, number, after=after)
        if was_killed:
            assert FAILED not in {it.result for it in _gc(bench.cloud)}, f"killed at call {number}"
        assert bench.emulator.inventory().differs(before) == [], f"killed at call {number}"
        if not was_killed:
            assert number >= calls
            return
        bench.journal.unlink()
