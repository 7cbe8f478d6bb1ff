"""The guest's faster inflate: what the host sends, and what makes it zlib's turn instead."""

from __future__ import annotations

import base64
import gzip
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylib.guest import inflater, pack
from pylib.guest.payload import isal
from pylib.guest.payload.inflate import Gzip

FILE = inflater.extension()
there = pytest.mark.skipif(FILE is None, reason="the package isal has no library here")


@pytest.fixture(autouse=True)
def unchosen() -> Iterator[None]:
    """Each test chooses anew."""
    isal.inflater.cache_clear()
    yield
    isal.inflater.cache_clear()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The guest's log."""
    caplog.set_level(logging.INFO)
    return caplog


def test_without_a_library_zlib_does_it(
    monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(isal.SETTING, raising=False)
    assert isal.inflater() == isal.Inflater("zlib", Gzip)
    assert said.messages == ["gzip by zlib; not by ISA-L: it did not come along"]


@pytest.mark.parametrize("content", [b"", b"no library", b"\x7fELF\x02\x01\x01"])
def test_what_is_no_library_is_left(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: pytest.LogCaptureFixture,
    content: bytes,
) -> None:
    file = tmp_path / "inflate.so"
    file.write_bytes(content)
    monkeypatch.setenv(isal.SETTING, str(file))
    assert isal.inflater().name == "zlib"
    assert said.messages[0].startswith(f"gzip by zlib; not by ISA-L: {file}: ")


def test_another_library_is_left(
    monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(isal.SETTING, "libz.so.1")
    assert isal.inflater().name == "zlib"
    assert "isal_inflate_init" in said.messages[0]


@there
def test_one_that_decompresses_wrongly_is_left(
    monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(isal.SETTING, str(FILE))
    monkeypatch.setattr(isal, "decompressed", lambda *_: b"other")
    assert isal.inflater().name == "zlib"
    assert said.messages == ["gzip by zlib; not by ISA-L: it decompresses wrongly"]


@there
def test_one_that_ends_its_process_is_left(
    monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    """As an instruction would that this processor does not know."""
    monkeypatch.setenv(isal.SETTING, str(FILE))
    monkeypatch.setattr(isal, "_prove", lambda _: os._exit(4))
    assert isal.inflater().name == "zlib"
    assert "ended without a word, with status 4" in said.messages[0]


@there
def test_the_host_sends_its_own() -> None:
    assert FILE is not None
    sent = pack.metadata({})["vfs-inflate"]
    assert gzip.decompress(base64.b64decode(sent)) == FILE.read_bytes()
    assert sent == pack.metadata({})["vfs-inflate"]


def test_a_large_job_leaves_no_room_for_it() -> None:
    found = pack.metadata({"images": ["r" * 220_000]})
    assert "vfs-inflate" not in found
    assert sum(map(len, found.values())) < pack.LARGEST


@pytest.mark.parametrize(
    "content", [b"", b"\xcf\xfa\xed\xfe" * 8, b"\x7fELF\x02\x01" + b"\0" * 12 + b"\xb7\0"]
)
def test_another_machines_library_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """macOS's, or one for Arm."""
    (tmp_path / "isal").mkdir()
    (tmp_path / "isal" / "__init__.py").touch()
    (tmp_path / "isal" / "igzip_lib.cpython-311-x.so").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    assert inflater.extension() == tmp_path / "isal" / "igzip_lib.cpython-311-x.so"
    assert inflater.inflater() == ""
    assert "vfs-inflate" not in pack.metadata({})


def test_a_host_without_the_package_sends_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflater, "find_spec", lambda _: None)
    assert "vfs-inflate" not in pack.metadata({})
