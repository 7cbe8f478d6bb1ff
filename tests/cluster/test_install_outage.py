"""``install`` while the API server is away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pylib.install.deadline import Deadline
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.wait import until
from tests.cluster.installing import Installer, add_kind, remove_kind
from tests.cluster.release import SECONDS


class Said(list[str]):
    """What install says; a mark for the test's other thread once helm is known to have failed."""

    def __init__(self, failed: Path) -> None:
        super().__init__()
        self._failed = failed

    def append(self, line: str) -> None:
        super().append(line)
        if line.startswith("the API server went away"):
            self._failed.touch()


@pytest.fixture
def outage(
    install: Installer, bed: Bed, slow_helm: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], None]], Said]:
    """Installs, while the API server is away from before helm's first request until helm has
    failed; the argument runs on the server before it goes."""
    monkeypatch.setenv("VFS_HELM", str(slow_helm / "bin" / "helm"))

    def away(before: Callable[[], None]) -> None:
        until((slow_helm / "began").exists, SECONDS, "helm begins")
        before()
        bed.stop("kube-apiserver")
        (slow_helm / "go").touch()
        until((slow_helm / "failed").exists, SECONDS, "helm has failed")
        bed.restart("kube-apiserver")

    def run(before: Callable[[], None]) -> Said:
        said = install.said = Said(slow_helm / "failed")
        thread = threading.Thread(target=away, args=(before,))
        thread.start()
        try:
            assert install().ready
        finally:
            thread.join()
        return said

    return run


def test_helm_runs_again_when_the_api_server_was_away_for_it(
    outage: Callable[[Callable[[], None]], Said], nodes: None
) -> None:
    said = outage(lambda: None)
    assert any(line.startswith("the API server went away while helm") for line in said)


def test_helm_waits_for_a_kind_that_the_server_does_not_list_yet_when_it_is_back(
    outage: Callable[[Callable[[], None]], Said],
    bed: Bed,
    nodes: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone: list[dict[str, Any]] = []
    pause = Deadline.pause

    def pause_and_list(deadline: Deadline) -> None:
        if gone:
            add_kind(bed, gone.pop())
        pause(deadline)

    monkeypatch.setattr(Deadline, "pause", pause_and_list)
    try:
        outage(lambda: gone.append(remove_kind(bed)))
        assert gone == []
    finally:
        for kept in gone:
            add_kind(bed, kept)


def test_the_wait_outlives_a_restart_of_the_api_server(
    install: Installer, bed: Bed, nodes: None
) -> None:
    bed.stages.ready_after("a", 8)
    restart = threading.Timer(2, bed.restart, ("kube-apiserver",))
    restart.start()
    try:
        assert install().ready
    finally:
        restart.join()
