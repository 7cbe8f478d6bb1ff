"""Files read back for their sums, one by one and eight at a time, past the page cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pylib.guest.payload import contents, md5x8
from pylib.guest.payload.checksum import check_of
from pylib.guest.payload.contents import Source, Sums, UnreadError, sums_of

_CHUNK = 1 << 20
_EDGES = (0, 1, 55, 56, 63, 64, 65, 4095, 4096, 4097)
_SIZES = (*_EDGES, *(_CHUNK + near for near in (-9, -8, -1, 0, 1)), 2 * _CHUNK, 3 * _CHUNK + 5)

Way = Callable[[Sequence[Source]], Iterator[tuple[int, Sums]]]


@pytest.fixture(params=["one", "eight"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """Each way of reading, where the machine has it."""
    if request.param == "one":
        monkeypatch.setattr(contents, "code_here", lambda: None)
    elif md5x8.code() is None:
        pytest.skip("the CPU has no AVX2")
    return sums_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """On a filesystem that can be read past the cache."""
    probe = tmp_path / "probe"
    probe.write_bytes(b"")
    try:
        os.close(os.open(probe, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        pytest.skip(f"{tmp_path} cannot be read past the page cache")
    return tmp_path


def made(folder: Path, sizes: Sequence[int]) -> list[Source]:
    """Files of these sizes."""
    found = []
    for number, size in enumerate(sizes):
        (folder / f"{number}").write_bytes(os.urandom(size))
        found.append(Source(os.fsencode(folder / f"{number}"), size))
    return found


def right(source: Source) -> Sums:
    """What the sums of a file are."""
    content = Path(os.fsdecode(source.path)).read_bytes()[: source.size]
    return Sums(hashlib.md5(content, usedforsecurity=False).hexdigest(), check_of(content))


def open_files() -> set[str]:
    """What this process has open."""
    return {str(one.resolve()) for one in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize("stride", [1, 5, 8])
def test_sums_are_right_whatever_the_sizes(way: Way, folder: Path, stride: int) -> None:
    sizes = [*_SIZES, *_SIZES]
    sizes = [size for start in range(stride) for size in sizes[start::stride]]
    sources = made(folder, sizes)
    assert sorted(way(sources)) == [(at, right(one)) for at, one in enumerate(sources)]


def test_nothing_to_read_is_no_error(way: Way) -> None:
    assert list(way([])) == []


@pytest.mark.parametrize("said", [_CHUNK + 7, 5 * _CHUNK])
def test_a_file_that_is_shorter_than_said_has_other_sums(way: Way, folder: Path, said: int) -> None:
    (source,) = made(folder, [_CHUNK + 6])
    assert list(way([source._replace(size=said)])) == [(0, right(source))]


def test_the_file_that_cannot_be_read_is_named(way: Way, folder: Path) -> None:
    sources = [*made(folder, [10, _CHUNK]), Source(os.fsencode(folder / "none"), 3)]
    with pytest.raises(UnreadError) as caught:
        list(way(sources))
    assert caught.value.number == 2
    assert str(caught.value) == "[Errno 2] No such file or directory"


def test_an_error_leaves_no_file_open(way: Way, folder: Path) -> None:
    before = open_files()
    with pytest.raises(UnreadError):
        list(way([*made(folder, [_CHUNK] * 9), Source(os.fsencode(folder), 5)]))
    assert open_files() == before
