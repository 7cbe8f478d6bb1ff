"""Fixtures of the cloud tests: an emulator per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud.emulated import Bench, Raw, started


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[Bench]:
    """An emulator with simulated guests, on a clock that stands still."""
    with started(tmp_path / "emulator") as bench:
        yield bench


@pytest.fixture
def raw(emulated: Bench) -> Raw:
    """Its raw client."""
    return emulated.raw
