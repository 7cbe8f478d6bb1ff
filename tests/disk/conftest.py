"""Fixtures of the tests on real disks; all need root."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylib.emulator.guest.real import why_not
from tests.disk.daemon import Daemon, containerd, program
from tests.disk.guest import GIB, loop
from tests.disk.made import Made
from tests.disk.made import made as make
from tests.disk.registry import Registry, serving

CLONE_NEWNS = 0x20000
PRIVATE = ctypes.c_ulong((1 << 14) | (1 << 18))
"""MS_REC and MS_PRIVATE: include/uapi/linux/mount.h."""


@pytest.fixture(scope="session", autouse=True)
def own_mounts() -> None:
    """Mounts here are seen by nobody else: a guest that another test starts meanwhile, in mount
    namespaces of its own, would hold them for a moment when they are unmounted here."""
    if why_not():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for made in (libc.unshare(CLONE_NEWNS), libc.mount(b"", b"/", None, PRIVATE, None)):
        assert made == 0, os.strerror(ctypes.get_errno())


@pytest.fixture(autouse=True)
def root() -> None:
    """All here need loop devices and mounts."""
    if reason := why_not():
        pytest.skip(f"no real disks: {reason}")


@pytest.fixture
def registry() -> Iterator[Registry]:
    """An empty registry."""
    with serving(Registry()) as one:
        yield one


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the target disk."""
    return tmp_path / "target.raw"


@pytest.fixture
def device(root: None, file: Path) -> Iterator[str]:
    """A blank disk of ten GiB, which takes no room."""
    with loop(file, 10 * GIB) as node:
        yield node


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A containerd that pulls and unpacks."""
    if reason := why_not():
        pytest.skip(f"containerd cannot run: {reason}")
    if program("containerd") is None or program("ctr") is None:
        pytest.skip("containerd is not built; run scripts/install-tools disk")
    with containerd(tmp_path_factory.mktemp("judge") / "containerd") as one:
        yield one


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A disk that was made well."""
    if reason := why_not():
        pytest.skip(f"no real disks: {reason}")
    with make(tmp_path_factory.mktemp("made")) as one:
        yield one
