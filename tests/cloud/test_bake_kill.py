"""kill -9 before and after every call, then the same command again; signals; generated faults."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylib.bake.interrupt import SIGNALS, InterruptedRunError
from pylib.bake.plan import Bake, SourceDisk
from pylib.cloud.faults import Kind
from pylib.cloud.records import Disk
from tests.cloud.baking import Client, request, weights_request
from tests.cloud.fake import FakeCompute
from tests.cloud.fake_parts import MANIFEST, Fault, Killed

SOURCE = Disk("pvc-1", "42", "us-central1-a", "READY", 60, "pd-balanced", {})
"""A disk that a claim's Job filled."""


def _client(folder: Path) -> Client:
    journal = folder / "bake.journal"
    cloud = FakeCompute(journal=journal)
    cloud.disks[(SOURCE.zone, SOURCE.name)] = SOURCE
    cloud.content[SOURCE.id] = MANIFEST
    return Client(cloud, journal)


def _end(client: Client) -> tuple[list[str], list[tuple[str, str, frozenset[str]]], bool]:
    """The state at the end, apart from what differs between any two runs."""
    images = [(it.name, it.family, frozenset(it.labels)) for it in client.cloud.made()]
    return client.cloud.left(), images, client.journal.exists()


def _calls(folder: Path, bake: Bake | None = None) -> int:
    folder.mkdir()
    client = _client(folder)
    client.bake(bake)
    return client.cloud.calls


KINDS = {
    "image": request(),
    "weights": weights_request(),
    "claim": weights_request(
        disk=SourceDisk(SOURCE.zone, SOURCE.name, SOURCE.id), zones=(SOURCE.zone,)
    ),
}


@pytest.mark.fault("B15", "B17")
@pytest.mark.parametrize("after", [False, True], ids=["before-call", "after-call"])
@pytest.mark.parametrize("hours", [0, 2], ids=["at-once", "two-hours-later"])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_any_call_the_next_run_ends_as_an_undisturbed_one(
    tmp_path: Path, kind: str, after: bool, hours: int
) -> None:
    bake = KINDS[kind]
    total = _calls(tmp_path / "whole", bake)
    undisturbed = _client(tmp_path)
    undisturbed.bake(bake)
    wanted = _end(undisturbed)
    for call in range(1, total + 1):
        folder = tmp_path / str(call)
        folder.mkdir()
        client = _client(folder)
        client.cloud.kill_at, client.cloud.kill_after = call, after
        with pytest.raises(Killed):
            client.bake(bake)
        client.cloud.revive()
        client.cloud.clock.sleep(hours * 3600.0)
        client.bake(bake)
        assert _end(client) == wanted, f"killed at call {call}"


@pytest.mark.fault("B15")
@pytest.mark.parametrize("after", [False, True], ids=["before-call", "after-call"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_check_that_is_killed_at_any_call_leaves_the_image_and_nothing_else(
    tmp_path: Path, kind: str, after: bool
) -> None:
    check = replace(KINDS[kind], verify_only=True)
    for call in itertools.count(1):
        folder = tmp_path / str(call)
        folder.mkdir()
        client = _client(folder)
        client.bake(KINDS[kind])
        images = client.cloud.made()
        client.cloud.kill_at, client.cloud.kill_after = client.cloud.calls + call, after
        try:
            client.bake(check)
        except Killed:
            client.cloud.revive()
            client.bake(check)
        else:
            break
        assert client.cloud.left() == [SOURCE.name], f"killed at call {call}"
        assert client.cloud.made() == images, f"killed at call {call}"
        assert not client.journal.exists()
    assert call > 15


@pytest.mark.fault("B15")
def test_killed_twice_in_a_row_it_still_ends_the_same(tmp_path: Path) -> None:
    total = _calls(tmp_path / "whole")
    for first, second in itertools.product(range(3, total, 7), (2, 5, 9)):
        folder = tmp_path / f"{first}-{second}"
        folder.mkdir()
        client = _client(folder)
        client.cloud.kill_at, client.cloud.kill_after = first, True
        with pytest.raises(Killed):
            client.bake()
        client.cloud.revive()
        client.cloud.kill_at = client.cloud.calls + second
        try:
            client.bake()
        except Killed:
            client.cloud.revive()
            client.bake()
        assert client.cloud.left() == [SOURCE.name]
        assert len(client.cloud.made()) == 1


@pytest.mark.fault("B16")
def test_a_journal_torn_at_its_end_is_resumed_from(tmp_path: Path) -> None:
    client = _client(tmp_path)
    client.cloud.kill_at, client.cloud.kill_after = 9, True
    with pytest.raises(Killed):
        client.bake()
    client.cloud.revive()
    with client.journal.open("ab") as file:
        file.write(b'{"step":"vm","eve')

    client.bake()

    assert client.cloud.left() == [SOURCE.name]
    assert len(client.cloud.made()) == 1


@pytest.mark.fault("B14")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_any_phase_leaves_nothing_unpublished(
    tmp_path: Path, number: signal.Signals
) -> None:
    calls = ["image_of_family", "insert_disk", "insert_instance", "guest_attribute", "insert_image"]
    for call in [*calls, "label_image", "set_family"]:
        folder = tmp_path / call
        folder.mkdir()
        client = _client(folder)
        client.cloud.plan.append(Fault(call, "nothing", run=_send(number)))
        with pytest.raises(InterruptedRunError):
            client.bake()
        assert client.cloud.left() == [SOURCE.name], call
        published = [i for i in client.cloud.made() if i.labels["bake-phase"] == "published"]
        assert client.cloud.made() == published, call
        assert signal.getsignal(number) is not None


def _send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.fault("B14")
def test_a_second_signal_prints_the_commands_for_what_is_left(tmp_path: Path) -> None:
    client = _client(tmp_path)
    client.cloud.plan.append(Fault("guest_attribute", "nothing", run=_send(signal.SIGINT)))
    client.cloud.plan.append(Fault("delete_instance", "nothing", run=_send(signal.SIGINT)))

    with pytest.raises(InterruptedRunError):
        client.bake()

    [said] = [step.text for step in client.steps if step.name == "left"]
    assert client.cloud.left() != [SOURCE.name]
    for name in set(client.cloud.left()) - {SOURCE.name}:
        assert f" delete {name} " in said
    client.bake()
    assert client.cloud.left() == [SOURCE.name]


@pytest.mark.fault("B14")
def test_a_signal_after_the_publication_keeps_the_image(tmp_path: Path) -> None:
    client = _client(tmp_path)
    client.cloud.plan.append(Fault("delete_instance", "nothing", run=_send(signal.SIGTERM)))

    with pytest.raises(InterruptedRunError):
        client.bake()

    assert len(client.kept) == 1
    assert len(client.cloud.made()) == 1
    client.bake()
    assert client.cloud.left() == [SOURCE.name]


_CALLS = (
    *("insert_disk", "insert_instance", "insert_image", "label_image", "set_family"),
    *("delete_instance", "delete_disk", "delete_image", "operation", "disk", "instance"),
    *("image", "guest_attribute", "image_of_family"),
)
_FAULTS = st.builds(
    Fault,
    call=st.sampled_from(_CALLS),
    how=st.sampled_from(["before", "after", "operation", "stuck"]),
    nth=st.integers(1, 12),
    times=st.integers(1, 3),
    kind=st.sampled_from([Kind.UNKNOWN, Kind.DENIED, Kind.QUOTA, Kind.CREDENTIALS, Kind.IN_USE]),
    code=st.sampled_from(
        ["INTERNAL_ERROR", "QUOTA_EXCEEDED", "ZONE_RESOURCE_POOL_EXHAUSTED", "RESOURCE_NOT_READY"]
    ),
)


@settings(max_examples=100)
@given(st.lists(_FAULTS, max_size=5), st.none() | st.integers(1, 40), st.booleans())
def test_whatever_goes_wrong_something_left_is_named_and_later_runs_mend_it(
    tmp_path_factory: pytest.TempPathFactory, faults: list[Fault], kill: int | None, after: bool
) -> None:
    client = _client(tmp_path_factory.mktemp("bake"))
    client.cloud.plan = faults
    client.cloud.kill_at, client.cloud.kill_after = kill, after
    for _ in range(4):
        try:
            said = client.error()
        except Killed:
            client.cloud.revive()
            continue
        assert not said or [name for name in client.cloud.left() if name not in said] in (
            [],
            [SOURCE.name],
        )
    client.cloud.plan = []
    client.bake()
    client.bake()
    assert client.cloud.left() == [SOURCE.name]
    [image] = client.cloud.made()
    assert image.labels["bake-phase"] == "published"
    assert image.family == "vllm-cache"
