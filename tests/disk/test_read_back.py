"""Large files on their way to the disk and back, while the rest of their layer is unpacked."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from pylib.guest.payload import bigfile, readback
from pylib.guest.payload.buffers import Flow, arena
from pylib.guest.payload.checksum import check_of
from pylib.guest.payload.disk import FEATURES
from pylib.guest.payload.extents import extents_at
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.image import Layer
from pylib.guest.payload.layer import load_records, unpack_layer
from pylib.guest.payload.native import address_of
from pylib.guest.payload.pool import run_all
from pylib.guest.payload.readback import ReadBack
from pylib.guest.payload.registry import Address
from pylib.guest.payload.tree import Node, Record
from pylib.proc import run
from tests.disk import layers
from tests.disk.guest import GIB
from tests.disk.registry import Registry

KIB = 1 << 10
SIZES = (256 * KIB, 256 * KIB + 1, 300 * KIB + 511, 700_000, 1 << 20, (1 << 20) + 4095, 3_500_001)
"""Whole pages and not, and longer than a block of the tar."""


def content(number: int, size: int) -> bytes:
    """Of a file."""
    return hashlib.shake_128(b"%d" % number).digest(size)


FILES = {f"d/{number}": content(number, SIZES[number % len(SIZES)]) for number in range(21)}


@pytest.fixture(params=[512, 4096])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An empty folder on a disk with sectors of so many bytes."""
    yield from _place(tmp_path, request.param)


@pytest.fixture
def usual(tmp_path: Path) -> Iterator[Path]:
    """An empty folder on a disk as most are."""
    yield from _place(tmp_path, 512)


def _place(folder: Path, sector: int) -> Iterator[Path]:
    file, mount = folder / "disk.raw", folder / "disk"
    mount.mkdir()
    with file.open("wb") as made:
        made.truncate(GIB)
    how = ["--find", "--show", "--direct-io=on", f"--sector-size={sector}", str(file)]
    node = run(["losetup", *how]).stdout.strip()
    try:
        run(["mkfs.ext4", "-q", "-O", FEATURES, node])
        run(["mount", "-o", "noatime", node, mount])
        (mount / "fs").mkdir()
        yield mount / "fs"
    finally:
        run(["umount", mount])
        run(["losetup", "--detach", node])


def unpacked(
    registry: Registry, root: Path, made: layers.Layer, diff_id: str = ""
) -> dict[str, Record]:
    """The records of a layer, by path, when it lies at ``root``."""
    packed = layers.gzipped(made)
    registry.push("app:v1", layers.image([packed]))
    address = Address("r", "app", (f"http://{registry.address}",), with_account=False)
    digest = layers.digest_of(packed.blob)
    chain = diff_id or packed.diff_id
    wanted = Layer(address, digest, len(packed.blob), chain, chain, "")
    records = root.parent.parent / "records"
    work = partial(unpack_layer, wanted, os.fsencode(root), records, lambda _: None)
    run_all([work], 1)  # a process of its own, as in a bake
    return {os.fsdecode(record.path): record for record in load_records(records)}


def with_files(files: dict[str, bytes]) -> layers.Layer:
    """A layer of them."""
    made = layers.Layer().folder("d")
    for name, data in files.items():
        made.file(name, data)
    return made


def md5(data: bytes) -> str:
    """In hex."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("cores", [2, 16])
def test_files_are_as_in_the_tar_and_what_was_read_back_has_its_sum_and_place(
    place: Path,
    registry: Registry,
    cores: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    found = unpacked(registry, place, with_files(FILES))
    for name, data in FILES.items():
        assert (place / name).read_bytes() == data, name
        assert found[name].check == check_of(data)
        assert found[name].md5 == md5(data)
        assert found[name].extents == extents_at(os.fsencode(place / name)) != ()


def test_names_that_come_twice_have_the_sums_of_their_last_files(
    usual: Path, registry: Registry
) -> None:
    made = layers.Layer().folder("d")
    for number in range(40):
        made.file(f"d/{number % 20}", content(number, 256 * KIB + number))
    found = unpacked(registry, usual, made)
    for number in range(20):
        data = content(number + 20, 256 * KIB + number + 20)
        assert (usual / f"d/{number}").read_bytes() == data
        assert found[f"d/{number}"].md5 == md5(data)


@pytest.mark.fault("G9")
def test_other_bytes_on_the_disk_than_were_written_end_the_layer(
    usual: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = bigfile._write_all

    def spoil(descriptor: int, parts: Sequence[memoryview], offset: int) -> None:
        write(descriptor, parts, offset)
        if os.fstat(descriptor).st_size == len(FILES["d/3"]):
            other = arena(4096)
            other[:] = b"?" * 4096
            write(descriptor, [other], 0)

    monkeypatch.setattr(bigfile, "_write_all", spoil)
    with pytest.raises(GuestError, match=r"^layer sha256:\w+: .*/fs/d/(3|10|17) holds other bytes"):
        unpacked(registry, usual, with_files(FILES))


@pytest.mark.fault("G9")
@pytest.mark.parametrize("cores", [1, 16])
def test_a_layer_that_unpacks_to_another_sum_is_refused_on_any_number_of_cores(
    usual: Path, registry: Registry, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    wrong = layers.digest_of(b"other")
    with pytest.raises(GuestError, match=f"but its image's config says {wrong}"):
        unpacked(registry, usual, with_files(FILES), wrong)


@pytest.mark.parametrize(("step", "works"), [(4096, True), (12_288 + 5, True), (4095, False)])
def test_a_write_that_takes_less_goes_on_from_the_last_whole_page(
    step: int, works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwritev

    def some(descriptor: int, parts: Sequence[memoryview], offset: int) -> int:
        return real(descriptor, [memoryview(b"".join(parts))[:step]], offset)

    monkeypatch.setattr(os, "pwritev", some)
    data = content(1, 10 * 4096)
    parts = [memoryview(data)[start : start + 5 * 512] for start in range(0, len(data), 5 * 512)]
    with (tmp_path / "f").open("w+b", buffering=0) as file:
        if works:
            bigfile._write_parts(file.fileno(), parts, 0)
            assert (tmp_path / "f").read_bytes() == data
        else:
            with pytest.raises(OSError, match="the disk took less than a page") as caught:
                bigfile._write_parts(file.fileno(), parts, 0)
            assert caught.value.errno == errno.EIO


def test_a_kernel_that_wants_whole_sectors_in_each_part_gets_one_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every kernel takes parts of less than a sector from a disk with sectors of 4096."""
    real = os.pwritev

    def strict(descriptor: int, parts: Sequence[memoryview], offset: int) -> int:
        if any(len(part) % 4096 or address_of(part) % 4096 for part in parts):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(descriptor, parts, offset)

    monkeypatch.setattr(os, "pwritev", strict)
    memory = arena(5 * 4096)
    memory[:] = content(1, 5 * 4096)
    with (tmp_path / "f").open("w+b", buffering=0) as file:
        bigfile._write_parts(file.fileno(), [memory[:512], memory[512:]], 0)
    assert (tmp_path / "f").read_bytes() == bytes(memory)


def test_a_filesystem_that_cannot_tell_where_a_file_lies_has_none_read(tmp_path: Path) -> None:
    run(["mount", "-t", "tmpfs", "none", tmp_path])
    try:
        (tmp_path / "f").write_bytes(b"content")
        assert extents_at(os.fsencode(tmp_path / "f")) == ()
    finally:
        run(["umount", tmp_path])


def taken(back: ReadBack, folder: Path, check: str = "") -> list[Node]:
    """The nodes of a dozen files that are to be read back."""
    nodes = []
    for number in range(12):
        (folder / str(number)).write_bytes(data := content(number, 5000))
        os.sync()
        nodes.append(Node(0o100644, size=len(data), check=check or check_of(data)))
        back.take(b"f", os.open(folder / str(number), os.O_RDONLY | os.O_DIRECT), nodes[-1])
    return nodes


def test_what_waits_is_closed_when_the_reading_fails(
    usual: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    flow = Flow()
    starts: list[Callable[[], None]] = []
    monkeypatch.setattr(flow, "spawn", starts.append)
    taken(ReadBack(flow), usual, "wrong")
    with pytest.raises(GuestError, match=r"^f holds other bytes than were written$"):
        starts[0]()
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_of_more_than_may_wait_none_is_read_and_none_stays_open(
    usual: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readback, "_MOST", 3)
    before = set(Path("/proc/self/fd").iterdir())
    flow = Flow()
    starts: list[Callable[[], None]] = []
    monkeypatch.setattr(flow, "spawn", starts.append)
    back = ReadBack(flow)
    nodes = taken(back, usual)
    assert [bool(node.extents) for node in nodes] == [True] * 3 + [False] * 9
    back.end()
    (start,) = starts
    start()
    assert [bool(node.md5) for node in nodes] == [True] * 3 + [False] * 9
    assert set(Path("/proc/self/fd").iterdir()) == before
