"""What the payload reads back is held against every record of it, and nothing else may be there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pylib.guest.payload import native
from pylib.guest.payload.checksum import check_of
from pylib.guest.payload.compare import Comparer, portions
from pylib.guest.payload.disk import READ_FLAGS
from pylib.guest.payload.extents import SMALL, Piece, extents_at, place_of, runs
from pylib.guest.payload.failure import GuestError
from pylib.guest.payload.tree import Record
from pylib.guest.payload.walk import is_file, records_on_disk
from pylib.proc import run

KIB = 1 << 10


def fill(tree: Path) -> None:
    """Files of all sizes that are read in ways of their own, links, a file with a hole."""
    (tree / "many").mkdir(parents=True)
    for number in range(300):
        (tree / f"many/{number}").write_bytes(os.urandom(number * 40))
    (tree / "large").write_bytes(os.urandom(3 * SMALL + 5))
    (tree / "more").hardlink_to(tree / "large")
    (tree / "twin").write_bytes(b"twin")
    (tree / "link").symlink_to("large")
    with (tree / "hole").open("wb") as file:
        file.seek(64 * KIB)
        file.write(b"after")


@pytest.fixture
def disk(device: str, tmp_path: Path) -> Iterator[Path]:
    """A tree on a disk that is mounted read-only, as after a bake."""
    place = tmp_path / "disk"
    place.mkdir()
    run(["mkfs.ext4", "-q", device])
    run(["mount", device, place])
    fill(place / "fs")
    run(["umount", place])
    native.mount(device, str(place), READ_FLAGS, "noload")
    yield place / "fs"
    native.unmount(str(place))


def records(tree: Path) -> list[Record]:
    """What is right for it."""
    root = os.fsencode(tree)
    return [
        it._replace(check=check_of((tree / os.fsdecode(it.path)).read_bytes()))
        if is_file(it)
        else it
        for it in records_on_disk(root)
    ]


def hold(device: str, tree: Path, wanted: list[Record]) -> tuple[dict[bytes, str], int]:
    """Compare all of it; the md5 sums, and the bytes read."""
    told: list[int] = []
    comparer = Comparer(device, told.append)
    for portion in portions(os.fsencode(tree), "fs", wanted):
        comparer.compare(portion)
    comparer.finish()
    return comparer.md5s["fs"], told[-1]


def changed(path: bytes, **about: Any) -> Callable[[list[Record]], list[Record]]:
    """One record with other fields."""
    return lambda found: [it._replace(**about) if it.path == path else it for it in found]


def without(path: bytes) -> Callable[[list[Record]], list[Record]]:
    """A record less, so that the disk holds a path more."""
    return lambda found: [it for it in found if it.path != path]


def with_one_more(found: list[Record]) -> list[Record]:
    """A record more, so that the disk holds a path less."""
    lost = next(it for it in found if it.path == b"twin")
    return [*found, lost._replace(path=b"many/lost", group=b"many/lost")]


def test_what_is_right_passes(device: str, disk: Path) -> None:
    wanted = [it for it in records(disk) if is_file(it) and it.path == it.group]
    sums = {
        it.path: hashlib.md5((disk / os.fsdecode(it.path)).read_bytes(), usedforsecurity=False)
        for it in wanted
    }
    assert hold(device, disk, records(disk)) == (
        {path: digest.hexdigest() for path, digest in sums.items()},
        sum(it.size for it in wanted),
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed(b"many/7", check="0"), "fs/many/7 holds other bytes than were written"),
        (changed(b"large", check="0"), "fs/large holds other bytes than were written"),
        (changed(b"hole", check="0"), "fs/hole holds other bytes than were written"),
        (changed(b"many", about=b"40700"), "fs/many is '40755 0 0 "),
        (changed(b"link", about=b"120777"), "fs/link is '120777 0 0 "),
        (changed(b"more", group=b"twin"), "fs/large is no hard link to fs/large with 1 names"),
        (without(b"many/7"), "fs/many/7 is on the disk and in no layer"),
        (without(b"more"), "fs/more is on the disk and in no layer"),
        (with_one_more, "fs/many/lost is not on the disk"),
    ],
)
def test_what_differs_is_named(
    change: Callable[[list[Record]], list[Record]], said: str, device: str, disk: Path
) -> None:
    with pytest.raises(GuestError) as caught:
        hold(device, disk, change(records(disk)))
    assert str(caught.value).startswith(said)


def test_what_was_read_back_before_is_read_again_only_where_it_lies_elsewhere(
    device: str, disk: Path
) -> None:
    """Its sum then tells which of the two it was."""
    before = "0" * 32
    extents = extents_at(os.fsencode(disk / "large"))
    moved = tuple((at, start + 4096, length) for at, start, length in extents)
    for found, md5 in ((extents, before), (moved, ""), ((), "")):
        wanted = changed(b"large", md5=before, extents=found)(records(disk))
        right = hashlib.md5((disk / "large").read_bytes(), usedforsecurity=False).hexdigest()
        sums, read = hold(device, disk, wanted)
        assert sums[b"large"] == (md5 or right)
        assert read == sum(it.size for it in wanted if is_file(it) and it.path == it.group)


def test_only_files_in_one_piece_are_read_by_their_place(disk: Path) -> None:
    places = {
        name: place_of(os.fsencode(disk / name), (disk / name).stat().st_size)
        for name in ("many/7", "large", "hole", "many/0")
    }
    assert places["hole"] is None
    assert places["many/0"] is None
    assert places["many/7"] is not None


def test_runs_are_near_and_not_too_long() -> None:
    pieces = [Piece(4096 * KIB, 10, 2), Piece(0, 4096, 0), Piece(8 * KIB, 9, 1)]
    pieces += [Piece(8192 * KIB + number * 200 * KIB, 190 * KIB, number) for number in range(40)]
    found = list(runs(pieces))
    assert [piece.number for piece in found[0]] == [0, 1]
    assert found[1] == [Piece(4096 * KIB, 10, 2)]
    assert [piece for run in found for piece in run] == sorted(pieces)
    assert all(run[-1].start + run[-1].size - run[0].start <= 4096 * KIB for run in found)
