"""What several tests of the guest need."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.guest.google import Google, serving


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, closed: None) -> Iterator[Google]:
    """Google's services at this machine; pauses take no time."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with serving(Google()) as one:
        monkeypatch.setenv("GCE_METADATA_HOST", urlsplit(one.url).netloc)
        yield one
