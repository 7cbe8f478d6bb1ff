"""GPU machines: what they are made of, and which disks they attach."""

import pytest

from pylib.facts.disks import DISK_TYPES
from pylib.facts.machines import (
    ACCELERATORS,
    FAMILIES,
    MACHINE_TYPES,
    attaches,
    family_of,
    most_gpus,
    pd_read_cap,
)


@pytest.mark.parametrize(
    ("machine", "family"),
    [
        ("g2-standard-24", "g2"),
        ("a2-ultragpu-1g", "a2"),
        ("a3-highgpu-8g", "a3"),
        ("a3-ultragpu-8g", "a3-ultra"),
        ("a4-highgpu-8g", "a4"),
        ("a4x-highgpu-4g", "a4x"),
        ("n1-custom-8-30720", "n1"),
    ],
)
def test_family_of_a_machine_type(machine: str, family: str) -> None:
    found = family_of(machine)
    assert found is not None
    assert found.name == family


def test_machine_that_is_no_gpu_machine_has_no_family() -> None:
    assert family_of("e2-standard-4") is None
    assert attaches("e2-standard-4", "pd-ssd") is None


@pytest.mark.parametrize(
    ("machine", "disk_type", "fits"),
    [
        ("g2-standard-24", "pd-ssd", True),
        ("g2-standard-24", "hyperdisk-balanced", False),
        ("g2-standard-24", "hyperdisk-ml", True),
        ("a2-highgpu-1g", "hyperdisk-balanced", False),
        ("a3-highgpu-8g", "pd-standard", False),
        ("a3-highgpu-8g", "pd-ssd", True),
        ("a3-ultragpu-8g", "pd-ssd", False),
        ("a4-highgpu-8g", "pd-ssd", False),
        ("a4-highgpu-8g", "hyperdisk-ml", True),
        ("g4-standard-48", "pd-balanced", False),
        ("n1-standard-8", "hyperdisk-ml", False),
    ],
)
def test_disk_types_that_attach(machine: str, disk_type: str, *, fits: bool) -> None:
    assert attaches(machine, disk_type) is fits


def test_families_without_persistent_disk() -> None:
    only = {
        name
        for name, family in FAMILIES.items()
        if not any(disk.startswith("pd-") for disk in family.disk_types)
    }
    assert only == {"a3-ultra", "a4", "a4x", "g4"}


def test_tables_agree_with_each_other() -> None:
    for family in FAMILIES.values():
        assert family.disk_types <= DISK_TYPES.keys()
    for accelerator in ACCELERATORS.values():
        assert accelerator.family in FAMILIES
    for machine in MACHINE_TYPES.values():
        family_found = family_of(machine.name)
        assert family_found is not None
        assert family_found.name in (machine.family, "a3-ultra")
        assert ACCELERATORS[machine.accelerator].family == family_found.name


@pytest.mark.parametrize(
    ("machine", "gpus", "vcpus", "memory"),
    [
        ("g2-standard-24", 2, 24, 96),
        ("g2-standard-32", 1, 32, 128),
        ("a2-highgpu-8g", 8, 96, 680),
        ("a2-megagpu-16g", 16, 96, 1360),
        ("a3-highgpu-2g", 2, 52, 468),
        ("a3-megagpu-8g", 8, 208, 1872),
        ("a3-ultragpu-8g", 8, 224, 2952),
        ("g4-standard-384", 8, 384, 1440),
    ],
)
def test_shape_of_a_machine(machine: str, gpus: int, vcpus: int, memory: int) -> None:
    found = MACHINE_TYPES[machine]
    assert (found.gpus, found.vcpus, found.memory_gib) == (gpus, vcpus, memory)


@pytest.mark.parametrize(
    ("machine", "mib_s"),
    [
        ("g2-standard-4", 240),
        ("g2-standard-12", 800),
        ("g2-standard-16", 1200),
        ("a2-highgpu-1g", 800),
        ("a2-ultragpu-2g", 1200),
        ("a3-highgpu-8g", None),
        ("n1-standard-4", 240),
        ("n1-highmem-8", 800),
        ("n1-custom-16-61440", 1200),
        ("n1-standard", None),
        ("n1-ultramem-x", None),
        ("e2-standard-4", None),
    ],
)
def test_read_limit_of_a_machine(machine: str, mib_s: int | None) -> None:
    assert pd_read_cap(machine) == mib_s


def test_most_gpus_of_an_accelerator() -> None:
    assert most_gpus("nvidia-l4") == 8
    assert most_gpus("nvidia-tesla-a100") == 16
    assert most_gpus("nvidia-tesla-t4") is None


def test_memory_of_an_accelerator() -> None:
    assert {label: ACCELERATORS[label].memory_gb for label in ("nvidia-l4", "nvidia-b200")} == {
        "nvidia-l4": 24,
        "nvidia-b200": 180,
    }
