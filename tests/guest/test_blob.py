"""Blobs that come in parts, are cut, or are not what was asked for."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pylib.guest.payload import blob, web
from pylib.guest.payload.blob import Blob, Download
from pylib.guest.payload.buffers import Flow
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.registry import Address, Repository
from tests.disk.layers import Image, digest_of
from tests.disk.registry import Answer, Registry, serving

DATA = os.urandom(100_000)
DIGEST = digest_of(DATA)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, closed: None) -> Iterator[Registry]:
    """It holds one blob; pieces are of 4 KiB, pauses take no time."""
    monkeypatch.setattr(blob, "PIECE", 4096)
    monkeypatch.setattr(blob, "_LANES_FROM", 4 * 4096)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with serving(Registry()) as one:
        one.push("a:v1", Image(b"{}", "x", {DIGEST: DATA, digest_of(b"small"): b"small"}))
        yield one


def fetched(registry: Registry, digest: str = DIGEST, size: int = len(DATA)) -> bytes:
    """The blob, piece by piece."""
    address = Address("r", "a", (f"http://{registry.address}",), with_account=False)
    flow = Flow()

    def work() -> bytes:
        download = Download(flow, Blob(Repository(address), digest, size))
        download.start()
        found = b""
        for part in download.parts():
            found += ctypes.string_at(*part)
        return found

    return flow.run(work)


def test_a_large_blob_comes_over_several_connections(registry: Registry) -> None:
    assert fetched(registry) == DATA
    assert len(registry.asked) == 1 + -(-len(DATA) // 4096)


def test_a_connection_that_gets_the_next_piece_too_asks_for_it_at_once(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []
    monkeypatch.setattr(blob, "LANES", 1)
    monkeypatch.setattr(blob, "pause_before", pauses.append)
    assert fetched(registry) == DATA
    assert pauses == []


def test_a_small_blob_comes_over_one(registry: Registry) -> None:
    assert fetched(registry, digest_of(b"small"), 5) == b"small"
    assert len(registry.asked) == 1


def test_a_server_without_ranges_sends_all(registry: Registry) -> None:
    def whole(path: str, answer: Answer) -> Answer:
        return Answer(body=DATA, headers=answer.headers[:1]) if answer.status == 206 else answer

    registry.unkind = whole
    assert fetched(registry) == DATA


@pytest.mark.fault("G8")
def test_a_download_that_is_cut_goes_on_where_it_was(registry: Registry) -> None:
    left = [1000, 50, 3000]

    def cut(_: str, answer: Answer) -> Answer:
        if len(answer.body) < 4096 or not left:
            return answer
        return replace(answer, cut=min(len(answer.body), left.pop()))

    registry.unkind = cut
    assert fetched(registry) == DATA
    assert left == []


@pytest.mark.fault("G8")
def test_a_download_that_never_comes_ends(registry: Registry) -> None:
    def cut(_: str, answer: Answer) -> Answer:
        return replace(answer, cut=len(answer.body)) if len(answer.body) > 1 else answer

    registry.unkind = cut
    with pytest.raises(GuestError, match=f"broke off at byte [0-9]+ of 100000 {web.TRIES} times"):
        fetched(registry)


def test_another_part_than_was_asked_for_is_refused(registry: Registry) -> None:
    def other(_: str, answer: Answer) -> Answer:
        about = tuple(
            (name, "bytes 7-8/9" if name == "Content-Range" else value)
            for name, value in answer.headers
        )
        return replace(answer, headers=about)

    registry.unkind = other
    with pytest.raises(GuestError, match="asked for bytes from 0, the registry sends bytes 7-8/9"):
        fetched(registry)


def test_storage_behind_the_registry_is_asked_directly_until_it_refuses(
    registry: Registry,
) -> None:
    with serving(Registry()) as storage:
        storage.push("a:v1", Image(b"{}", "x", {DIGEST: DATA}))
        place = f"http://{storage.address}/v2/a/blobs/{DIGEST}"
        registry.unkind = lambda *_: Answer(307, headers=(("Location", place),))
        gone = [5]

        def ends(_: str, answer: Answer) -> Answer:
            gone[0] -= 1
            return Answer(403) if gone[0] == 0 else answer

        storage.unkind = ends
        assert fetched(registry) == DATA
        assert len(registry.asked) < len(storage.asked)
        assert gone[0] < 0
