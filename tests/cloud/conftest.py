"""Fixtures of the cloud tests: an emulator per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylib.cloud.gcp import connect
from pylib.emulator import Emulator, ManualClock, Settings
from pylib.up import down as downs
from pylib.up import release as releases
from tests.cloud import emulated_bake
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


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[emulated_bake.Bench]:
    """A bake on it: slow operations, a clock that moves when it is slept on."""
    clock = ManualClock()
    settings = Settings(project=emulated_bake.PROJECT, delays={"*": (1, 4)})
    folder, guest = tmp_path / "emulator", emulated_bake.fill
    with Emulator(folder, settings=settings, guest=guest, clock=clock) as emulator:
        cloud = connect(emulated_bake.PROJECT, endpoint=emulator.url, clock=clock)
        yield emulated_bake.Bench(emulator, cloud, tmp_path / "bake.journal")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Values of each release that ``up`` brings into the cluster, which only remembers it."""
    found: list[Any] = []

    def install(release: Any, kube: Any, **_: Any) -> None:
        kube.install()
        found.append(release.values)

    def is_installed(site: Any) -> bool:
        return bool(site.kube.has_release)

    def uninstall(site: Any) -> None:
        site.kube.uninstall()

    monkeypatch.setattr(releases, "install_release", install)
    monkeypatch.setattr(downs, "is_installed", is_installed)
    monkeypatch.setattr(downs, "uninstall", uninstall)
    return found
