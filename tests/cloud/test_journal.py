"""The write-ahead journal: what survives, what is refused, who may hold it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pylib.journal import Entry, Journal, JournalError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "bake.journal"


def _fill(path: Path, *steps: str) -> None:
    with Journal(path, "image") as journal:
        for step in steps:
            journal.append(Entry(step, "begin", 1.5, "uuid", {"name": step}))


def test_entries_come_back_as_they_were_written(path: Path) -> None:
    _fill(path, "disk", "vm")
    with Journal(path, "image") as journal:
        assert journal.entries == [
            Entry("disk", "begin", 1.5, "uuid", {"name": "disk"}),
            Entry("vm", "begin", 1.5, "uuid", {"name": "vm"}),
        ]
        assert journal.last("vm", "begin") == journal.entries[1]
        assert journal.last("vm", "done") is None


@pytest.mark.fault("B16")
def test_an_entry_is_synced_before_append_returns(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        synced.append(path.stat().st_size)

    monkeypatch.setattr(os, "fsync", fsync)
    _fill(path, "disk")
    assert synced[-1] == path.stat().st_size


@pytest.mark.fault("B16")
@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_was_not_written_to_its_end_is_forgotten(path: Path, cut: int) -> None:
    _fill(path, "disk", "vm")
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])

    with Journal(path, "image") as journal:
        assert [entry.step for entry in journal.entries] == ["disk"]
        journal.append(Entry("image", "begin", 2))

    with Journal(path, "image") as journal:
        assert [entry.step for entry in journal.entries] == ["disk", "image"]


@pytest.mark.fault("B16")
def test_an_end_of_zeros_is_forgotten_too(path: Path) -> None:
    _fill(path, "disk")
    with path.open("ab") as file:
        file.write(b"\0" * 40 + b"\n")
    with Journal(path, "image") as journal:
        assert [entry.step for entry in journal.entries] == ["disk"]
    _fill(path, "vm")
    with Journal(path, "image") as journal:
        assert [entry.step for entry in journal.entries] == ["disk", "vm"]


def test_a_torn_first_line_is_a_new_journal(path: Path) -> None:
    path.write_bytes(b'{"jour')
    with Journal(path, "image") as journal:
        assert journal.entries == []


def test_a_broken_line_in_the_middle_is_refused(path: Path) -> None:
    _fill(path, "disk", "vm")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{}\n" + lines[2])
    with pytest.raises(JournalError, match=":2: is no journal entry, though lines follow"):
        Journal(path, "image")


@pytest.mark.fault("B16")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"journal":0,"kind":"image"}\n', "is of version 0; this program reads version 1"),
        ('{"some":"thing"}\n', "is no journal; this program reads version 1"),
        ('{"journal":1,"kind":"weights"}\n', "is the journal of a bake of 'weights', not 'image'"),
    ],
)
def test_a_journal_of_another_version_or_kind_is_refused(path: Path, text: str, said: str) -> None:
    path.write_text(text)
    with pytest.raises(JournalError) as caught:
        Journal(path, "image")
    assert said in str(caught.value)
    assert path.read_text() == text


@pytest.mark.fault("B16")
def test_a_full_disk_is_an_error_before_the_change_and_leaves_the_file_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(path, "image") as journal:
        journal.append(Entry("disk", "begin", 1))
        before = path.read_bytes()
        real = os.write

        def full(handle: int, data: bytes) -> int:
            if len(data) > 20:
                return real(handle, data[:20])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(JournalError, match="cannot be written: No space left on device"):
            journal.append(Entry("vm", "begin", 1, data={"name": "x" * 10}))
        monkeypatch.undo()
        assert [entry.step for entry in journal.entries] == ["disk"]
    assert path.read_bytes() == before


@pytest.mark.fault("B13")
def test_one_run_holds_it_at_a_time(path: Path) -> None:
    with Journal(path, "image"), pytest.raises(JournalError, match="another run holds"):
        Journal(path, "image")
    with Journal(path, "image"):
        pass


def test_a_file_that_was_removed_meanwhile_is_not_held_by_mistake(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    real = fcntl.flock
    raced: list[int] = []

    def flock(handle: int, how: int) -> None:
        if not raced:
            raced.append(1)
            path.unlink()
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    _fill(path, "disk")
    assert b"disk" in path.read_bytes()


def test_cleared_it_is_as_new_and_removed_it_is_gone(path: Path) -> None:
    _fill(path, "disk")
    with Journal(path, "image") as journal:
        journal.clear()
        assert journal.entries == []
        journal.append(Entry("vm", "begin", 1))
    with Journal(path, "image") as journal:
        assert [entry.step for entry in journal.entries] == ["vm"]
        journal.remove()
    assert not path.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "no" / "bake.journal"
    with pytest.raises(JournalError, match=f"{missing}: the journal cannot be opened"):
        Journal(missing, "image")
