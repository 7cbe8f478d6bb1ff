"""Sizing: arithmetic over published figures, held against published measurements."""

import pytest

from pylib import sizing
from pylib.sizing import (
    bake_disk_gib,
    disk_gib_for,
    grace_seconds,
    load_seconds,
    memory_gib,
    probe_budget_seconds,
)

GEMMA_GIB = 16e9 / 2**30


@pytest.mark.parametrize(
    ("disk_gib", "read_ahead_kib", "measured"),
    [
        (1024, 128, 84.12003243801882),
        (1024, 1024, 38.00010781598394),
        (2048, 128, 86.59166808301234),
        (2048, 1024, 29.2281584230077),
    ],
)
def test_lazy_load_is_within_7_percent_of_the_tutorials_rows(
    disk_gib: int, read_ahead_kib: int, measured: float
) -> None:
    found = load_seconds(GEMMA_GIB, "pd-ssd", disk_gib, read_ahead_kib=read_ahead_kib)
    assert found.seconds == pytest.approx(measured, rel=0.07)


@pytest.mark.parametrize(
    ("disk_gib", "seconds", "limited_by"), [(1024, 20.9, "disk"), (4096, 12.7, "machine")]
)
def test_parallel_load_takes_what_the_disk_or_the_machine_allows(
    disk_gib: int, seconds: float, limited_by: str
) -> None:
    found = load_seconds(GEMMA_GIB, "pd-ssd", disk_gib, parallel=True)
    assert (found.seconds, found.limited_by) == (seconds, limited_by)


def test_small_machine_limits_a_fast_disk() -> None:
    found = load_seconds(16, "pd-ssd", 2048, parallel=True, machine="g2-standard-4")
    assert (found.seconds, found.limited_by, found.mib_s) == (68.3, "machine", 240)
    assert "g,n}-family.json" in found.source


def test_machine_whose_limit_is_not_known_is_taken_at_the_types_limit() -> None:
    found = load_seconds(16, "pd-ssd", 2048, parallel=True, machine="a3-highgpu-8g")
    assert found.mib_s == 1200


def test_small_read_ahead_is_limited_by_latency_and_a_large_one_by_the_disk() -> None:
    slow = load_seconds(GEMMA_GIB, "pd-ssd", 1024, read_ahead_kib=128)
    fast = load_seconds(GEMMA_GIB, "pd-ssd", 1024, read_ahead_kib=4096)
    assert (slow.limited_by, fast.limited_by) == ("latency", "disk")
    assert fast.seconds == 32.2


def test_copying_limits_a_lazy_load_from_a_fast_disk() -> None:
    found = load_seconds(16, "hyperdisk-ml", 1024, read_ahead_kib=65536)
    assert found.limited_by == "cpu"


def test_readers_divide_the_limit_of_the_disk() -> None:
    alone = load_seconds(16, "pd-ssd", 2000, parallel=True)
    together = load_seconds(16, "pd-ssd", 2000, parallel=True, readers=4)
    assert together.seconds == pytest.approx(4 * alone.seconds, rel=0.01)
    assert together.limited_by == "disk"


def test_hyperdisk_is_held_to_the_rate_assumed_for_a_machine() -> None:
    found = load_seconds(132, "hyperdisk-ml", 500, parallel=True, machine="a3-highgpu-8g")
    assert (found.seconds, found.limited_by) == (56.3, "machine")
    assert "(unverified)" in found.source


def test_provisioned_rate_of_a_hyperdisk_counts() -> None:
    found = load_seconds(100, "hyperdisk-ml", 500, parallel=True, provisioned_mib_s=800)
    assert (found.seconds, found.limited_by) == (128.0, "disk")


@pytest.mark.parametrize(
    ("model", "disk_type", "disk", "message"),
    [
        (0, "pd-ssd", 100, "model_gib is 0, it must be above 0"),
        (16, "pd-ssd", -1, "disk_gib is -1, it must be above 0"),
        (float("nan"), "pd-ssd", 100, "model_gib is nan, it must be above 0"),
        (16, "hyperdisk-extreme", 100, "throughput_mib_s is 0, it must be above 0"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(
    model: float, disk_type: str, disk: float, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{message}$"):
        load_seconds(model, disk_type, disk)


def test_unknown_disk_type_is_refused_with_those_known() -> None:
    with pytest.raises(ValueError, match=r"^disk type 'ssd' is not known; known are pd-standard, "):
        load_seconds(16, "ssd", 100)


def test_readers_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^readers is 0, it must be above 0$"):
        load_seconds(16, "pd-ssd", 100, readers=0)


@pytest.mark.parametrize(
    ("load", "cached", "budget"), [(0, True, 600), (38, True, 690), (38, False, 1410)]
)
def test_probe_budget_doubles_load_and_start_in_steps_of_30(
    load: float, budget: int, *, cached: bool
) -> None:
    assert probe_budget_seconds(load, image_cached=cached) == budget


def test_probe_budget_takes_another_margin() -> None:
    assert probe_budget_seconds(60, margin=1) == 360


@pytest.mark.parametrize(("load", "margin"), [(-1, 2), (10, 0.5)])
def test_probe_budget_refuses_nonsense(load: float, margin: float) -> None:
    with pytest.raises(ValueError, match=rf"^load is {load} s .* margin {margin} "):
        probe_budget_seconds(load, margin=margin)


@pytest.mark.parametrize(("seconds", "gib"), [(20, 1086), (30, 558), (500, 18)])
def test_disk_for_a_wanted_time_is_the_smallest_that_keeps_it(seconds: float, gib: int) -> None:
    found = disk_gib_for(GEMMA_GIB, seconds, parallel=True)
    assert found == gib
    assert load_seconds(GEMMA_GIB, "pd-ssd", found, parallel=True).seconds <= seconds


def test_disk_for_a_wanted_time_knows_the_machine() -> None:
    message = r"^no pd-ssd loads 16 GiB in 30 s; the largest needs 68.3 s$"
    with pytest.raises(ValueError, match=message):
        disk_gib_for(16, 30, parallel=True, machine="g2-standard-4")


def test_disk_for_a_wanted_time_is_not_asked_of_a_hyperdisk() -> None:
    message = r"^hyperdisk-ml is provisioned by throughput, its size sets no rate$"
    with pytest.raises(ValueError, match=message):
        disk_gib_for(16, 30, "hyperdisk-ml")


@pytest.mark.parametrize(("model", "shm", "memory"), [(16, 0, 24), (16, 8, 32), (132, 0, 153)])
def test_memory_holds_the_weights_and_vllm(model: float, shm: float, memory: int) -> None:
    assert memory_gib(model, shm_gib=shm) == memory


def test_memory_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^model_gib is 0, it must be above 0$"):
        memory_gib(0)


def test_grace_is_the_sum_of_its_parts() -> None:
    assert grace_seconds(15, 60, 15) == 90


def test_grace_refuses_a_negative_part() -> None:
    message = r"^preStop 15, drain -1, buffer 5: none may be below 0$"
    with pytest.raises(ValueError, match=message):
        grace_seconds(15, -1, 5)


@pytest.mark.parametrize(
    ("content", "disk_type", "gib"),
    [(16, "pd-ssd", 19), (1, "pd-ssd", 10), (1, "hyperdisk-ml", 4), (132, "hyperdisk-ml", 138)],
)
def test_bake_disk_holds_the_content_and_the_file_system(
    content: float, disk_type: str, gib: int
) -> None:
    assert bake_disk_gib(content, disk_type) == gib


def test_content_beyond_the_largest_disk_is_refused() -> None:
    message = r"^64000 GiB do not fit the largest pd-ssd, 65536 GiB$"
    with pytest.raises(ValueError, match=message):
        bake_disk_gib(64_000)


def test_every_constant_has_a_source() -> None:
    sources = [value for name, value in vars(sizing).items() if name.endswith("_SOURCE")]
    assert len(sources) == 7
    assert all(source.text for source in sources)
