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
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """Google's services at this machine; pauses take no time, connections end with the test."""
    opened: list[HTTPConnection] = []
    original = Session._connect

    def connect(session: Session, parts: SplitResult) -> HTTPConnection:
        opened.append(original(session, parts))
        return opened[-1]

    monkeypatch.setattr(Session, "_connect", connect)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with serving(Google()) as one:
        monkeypatch.setenv("GCE_METADATA_HOST", urlsplit(one.url).netloc)
        yield one
        for connection in opened:
            connection.close()
