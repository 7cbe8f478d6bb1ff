"""Layers side by side: who goes first, and that an error of writing out is told."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pylib.guest.payload import layer, snapshots
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.image import Layer
from pylib.guest.payload.layer import Unpacked, unpack_layer
from pylib.guest.payload.registry import Address
from pylib.guest.payload.report import Report
from pylib.guest.payload.snapshots import Place
from tests.disk import layers
from tests.disk.registry import Answer, Registry, serving


@pytest.fixture
def registry(closed: None) -> Iterator[Registry]:
    """An empty one."""
    with serving(Registry()) as one:
        yield one


@pytest.fixture(autouse=True)
def anyone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite may not be root."""
    monkeypatch.setattr(os, "chown", lambda *_, **__: None)


def pushed(registry: Registry, packed: layers.Packed) -> Layer:
    """The layer as an image's in the registry."""
    registry.push("app:v1", layers.image([packed]))
    address = Address("r", "app", (f"http://{registry.address}",), with_account=False)
    digest = layers.digest_of(packed.blob)
    return Layer(address, digest, len(packed.blob), packed.diff_id, packed.diff_id, "")


def place(size: int, folder: Path) -> Place:
    """A snapshot whose layer has that size."""
    address = Address("r", "a", ("http://nowhere",), with_account=False)
    made = Layer(address, f"sha256:{size}", size, f"diff {size}", f"chain {size}", "")
    return Place(made, f"snapshots/{size}/fs", folder / f"{size}.records")


def test_larger_layers_go_first_in_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(one: Layer, _: bytes, records: Path, __: Callable[[int], None]) -> Unpacked:
        return Unpacked(records, (), os.nice(0), one.size)

    monkeypatch.setattr(snapshots, "unpack_layer", unpack)
    places = [place(size, tmp_path) for size in (10, 4000, 300, 5, 20)]
    done = snapshots.write(places, tmp_path, Report("n-1", lambda *_: 200))
    own = os.nice(0)
    nices = {one.tree_bytes: one.paths for one in done.values()}
    wanted = {size: min(19, own + 7 * rank) for rank, size in enumerate((4000, 300, 20, 10, 5))}
    assert nices == wanted


def test_what_cannot_be_written_out_is_no_success(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = pushed(registry, layers.gzipped(layers.Layer().file("f", b"1")))

    def refuse(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(layer, "sync", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        unpack_layer(wanted, os.fsencode(tmp_path), tmp_path / "records", lambda _: None)


@pytest.mark.fault("G9")
@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("pack", [layers.gzipped, layers.zstd, layers.plain])
def test_a_bit_that_flips_on_the_way_is_no_success(
    pack: Callable[[layers.Layer], layers.Packed], bit: int, registry: Registry, tmp_path: Path
) -> None:
    packed = pack(layers.Layer().file("f", hashlib.shake_256().digest(30000)))
    wanted = pushed(registry, packed)
    damaged = bytearray(packed.blob)
    damaged[len(damaged) // 2] ^= 1 << bit

    def damage(path: str, answer: Answer) -> Answer:
        return replace(answer, body=bytes(damaged)) if path.endswith(wanted.digest) else answer

    registry.unkind = damage
    with pytest.raises(GuestError, match=f"layer {wanted.digest}: "):
        unpack_layer(wanted, os.fsencode(tmp_path), tmp_path / "records", lambda _: None)


@pytest.mark.parametrize(("cores", "apart"), [(None, False), (2, False), (4, True)])
def test_a_thread_is_spent_on_the_diff_id_where_cores_are_free(
    cores: int | None, *, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert layer.hashes_apart() is apart
