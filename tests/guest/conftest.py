"""What several tests of the guest need."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import SplitResult, urlsplit

import pytest

from pylib.guest.payload.web import Session
from tests.guest.google import Google, serving


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The guest's connections end with the test; in a VM they end with the process."""
    opened: list[HTTPConnection] = []
    original = Session._connect

    def connect(session: Session, parts: SplitResult) -> HTTPConnection:
        opened.append(original(session, parts))
        return opened[-1]

    monkeypatch.setattr(Session, "_connect", connect)
    yield
    for connection in opened:
        connection.close()


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, closed: None) -> Iterator[Google]:
    """Google's services at this machine; pauses take no time."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with serving(Google()) as one:
        monkeypatch.setenv("GCE_METADATA_HOST", urlsplit(one.url).netloc)
        yield one
