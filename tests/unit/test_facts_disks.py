"""Disk types: rates, sizes and sharing, as their sources give them."""

import pytest

from pylib.facts import Evidence
from pylib.facts.disks import (
    DISK_TYPES,
    PD_MAX_MIB_S,
    PD_SSD_KNEE_GIB,
    DiskType,
    read_mib_s,
)


@pytest.mark.parametrize(
    ("disk_type", "gib", "mib_s"),
    [
        ("pd-ssd", 100, 288.0),
        ("pd-ssd", 1024, 731.52),
        ("pd-ssd", 2048, 1200),
        ("pd-balanced", 1024, 426.72),
        ("pd-standard", 500, 60.0),
        ("hyperdisk-ml", 1024, 24_576),
        ("hyperdisk-balanced", 1024, 140),
    ],
)
def test_rate_follows_type_and_size(disk_type: str, gib: float, mib_s: float) -> None:
    assert read_mib_s(disk_type, gib) == pytest.approx(mib_s)


def test_provisioned_rate_replaces_the_default_up_to_the_types_limit() -> None:
    assert read_mib_s("hyperdisk-ml", 100, 2400) == 2400
    assert read_mib_s("hyperdisk-balanced", 100, 5000) == 2400


def test_knee_of_pd_ssd_is_where_its_rate_meets_the_machines_limit() -> None:
    assert read_mib_s("pd-ssd", PD_SSD_KNEE_GIB) == PD_MAX_MIB_S
    assert read_mib_s("pd-ssd", PD_SSD_KNEE_GIB - 1) < PD_MAX_MIB_S


@pytest.mark.parametrize(
    ("disk_type", "readers"),
    [
        ("pd-ssd", 100),
        ("hyperdisk-ml", 2500),
        ("pd-balanced", 10),
        ("hyperdisk-balanced", None),
        ("hyperdisk-extreme", 1),
    ],
)
def test_readers_of_one_disk(disk_type: str, readers: int | None) -> None:
    assert DISK_TYPES[disk_type].readers.count == readers


def test_types_without_an_access_mode_are_not_shareable() -> None:
    alone = {name for name, disk in DISK_TYPES.items() if disk.readers.count == 1}
    assert alone == {"hyperdisk-extreme", "hyperdisk-throughput"}


def test_hyperdisks_are_told_by_their_name() -> None:
    assert DISK_TYPES["hyperdisk-ml"].hyperdisk
    assert not DISK_TYPES["pd-ssd"].hyperdisk


@pytest.mark.parametrize("disk", DISK_TYPES.values(), ids=DISK_TYPES)
def test_every_figure_names_its_source(disk: DiskType) -> None:
    sources = [disk.rate.source, disk.readers.source, disk.size_source]
    assert all(source.text for source in sources)


def test_a_weak_source_says_so_when_cited() -> None:
    ten = DISK_TYPES["pd-balanced"].readers.source
    assert ten.evidence is Evidence.UNVERIFIED
    assert ten.cite.endswith("(unverified)")
    assert DISK_TYPES["pd-ssd"].readers.source.cite == DISK_TYPES["pd-ssd"].readers.source.text


def test_sizes_bound_each_other() -> None:
    assert all(0 < disk.min_gib < disk.max_gib for disk in DISK_TYPES.values())
