"""``up`` on a real control plane: again, changed and back under a stream of requests, pruned,
killed, taken away and made again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pylib.errors import ProvisionError
from pylib.lock import lock_path
from pylib.up import acts
from tests.cluster.bed.bed import Bed
from tests.cluster.bed.clients import Clients
from tests.cluster.bed.wait import until
from tests.cluster.whole import NEW, OLD, Whole, whole

ADAPTER = "v1beta1.custom.metrics.k8s.io"


@pytest.fixture
def one(bed: Bed, namespace: str, helm: Path, tmp_path: Path) -> Iterator[Whole]:
    """A config, a project with two models, two nodes; nothing is made."""
    with whole(bed, namespace, tmp_path) as found:
        yield found


def settled(one: Whole, clients: Clients, word: str) -> None:
    """Return when the pod of a model is alone, and twenty requests found only it."""
    until(lambda: len(one.pods()) == 1, 30, "one pod is left", show=one.pods)
    until(lambda: clients.outcome.last == word, 20, f"{word} has answered")
    before = clients.outcome.by_text()
    until(lambda: (clients.outcome.by_text() - before).total() > 20, 20, "requests go on")
    assert set(clients.outcome.by_text() - before) == {word}


def kept(one: Whole) -> list[str]:
    """What the last ``up`` said of what it keeps."""
    return [line for line in one.said if line.startswith("kept")]


@pytest.mark.fault("B15")
def test_an_update_and_the_way_back_by_the_old_files_lose_no_request_and_no_disk(
    one: Whole,
) -> None:
    one.pre_stop = 3
    one.write()
    one.up()
    config, lock = one.file.read_text(), lock_path(one.file).read_text()
    with one.clients() as clients, one.lookout() as watched:
        settled(one, clients, OLD)
        one.write(NEW)
        assert one.up() == ["create weights bake", "create disk"]
        settled(one, clients, NEW)
        assert len(one.made("images")) == 3
        assert one.made("disks") == sorted([one.disk(OLD), one.disk(NEW)])
        assert None not in one.volumes(OLD)
        [line] = kept(one)
        assert line.startswith(f"kept    revision {one.revision(OLD)} on {one.disk(OLD)}: about $")

        one.file.write_text(config)
        lock_path(one.file).write_text(lock)
        calls = one.calls()
        assert one.up() == []
        settled(one, clients, OLD)
        assert one.changes(calls) == []
        outcome = clients.stop()
    assert outcome.lost == []
    assert watched.missing == []
    assert watched.least_ready == 1
    assert watched.looks > 50
    assert one.made("disks") == sorted([one.disk(OLD), one.disk(NEW)])
    assert lock_path(one.file).read_text() == lock
    [line] = kept(one)
    assert one.disk(NEW) in line


def serves(one: Whole) -> None:
    """``up`` made all of it, once, and left nothing of the bakes."""
    volume, claim = one.volumes(OLD)
    assert volume is not None
    assert claim is not None
    assert volume["spec"]["csi"]["volumeHandle"] == one.handle(OLD)
    assert (volume["status"]["phase"], claim["status"]["phase"]) == ("Bound", "Bound")
    assert one.made("disks") == [one.disk(OLD)]
    assert one.made("instances") == []
    assert len(one.made("images")) == 2
    assert list(one.folder.glob("*.journal")) == []
    assert one.history()[-1] == "deployed"


def unchanged(one: Whole) -> None:
    """``up`` again changes neither the project nor an object of the release."""
    calls, versions, history = one.calls(), one.versions(), one.history()
    assert one.up() == []
    assert one.changes(calls) == []
    assert one.versions() == versions
    assert one.history() == history


def test_up_twice_then_pruned_then_taken_away_and_made_again(
    one: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = one.version("apiregistration.k8s.io/v1", "APIService", ADAPTER)
    assert one.up() == [
        *("create role", "create image bake", "create weights bake"),
        *("create node pool", "create disk"),
    ]
    serves(one)
    unchanged(one)
    assert one.version("apiregistration.k8s.io/v1", "APIService", ADAPTER) == adapter
    assert kept(one) == []

    one.write(NEW)
    one.vms.lets_go.clear()
    monkeypatch.setattr(acts, "DISK_SECONDS", 60.0)
    with pytest.raises(ProvisionError, match=f"disk {one.disk(OLD)} in .* is attached to gpu-"):
        one.up(prune=True)
    until(lambda: one.volumes(OLD) == (None, None), 20, "they have left the release")
    assert one.disk(OLD) in one.made("disks")

    one.vms.lets_go.set()
    monkeypatch.undo()
    assert one.up(prune=True) == ["delete disk"]
    assert one.made("disks") == [one.disk(NEW)]
    assert len(one.made("images")) == 3

    assert one.down() == ["delete release", "delete node pool", "delete disk"]
    assert one.made("disks") == one.made("nodePools") == []
    assert one.up() == ["create node pool", "create disk"]
    unchanged(one)


def at(one: Whole, method: str) -> Callable[[], bool]:
    """Whether the project was asked for that."""
    begun = one.calls()
    return lambda: method in one.changes(begun)


@pytest.mark.fault("B15")
def test_killed_in_bake_pool_and_helm_the_same_command_ends_as_an_undisturbed_one(
    one: Whole,
) -> None:
    one.emulator.change(delays={"*": (0.0, 6.0)})
    chance = os.urandom(4)
    bakes = ("compute.instances.insert", "compute.images.insert", "compute.instances.delete")
    moments = (
        (at(one, bakes[chance[3] % 3]), 0.5),
        (at(one, "container.nodePools.create"), 0.5),
        (lambda: bool(one.history()), 0.1),
    )
    for (moment, longest), byte in zip(moments, chance, strict=False):
        one.killed(moment, longest * byte / 256)

    said = one.process()

    assert said.endswith(" things done\n"), chance
    one.emulator.change(delays={})
    serves(one)
    unchanged(one)
