"""The payload's tar reader against Python's own writer, and against what is no tar."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable

import pytest

from pylib.guest.payload.paths import clean, resolve
from pylib.guest.payload.tarhead import BadTarError, Entry, number, parse, parse_pax
from pylib.guest.payload.tarstream import TarStream

BLOCK = 512


def stream(data: bytes, step: int = 4 * BLOCK) -> TarStream:
    """A reader that gets the archive in steps."""
    parts = [memoryview(data[at : at + step]) for at in range(0, len(data), step)]
    return TarStream(lambda: parts.pop(0) if parts else None)


def entries(data: bytes, step: int = 4 * BLOCK) -> list[Entry]:
    """All of them."""
    return list(stream(data, step).entries())


def archive(*infos: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT, end: bool = True) -> bytes:
    """One with these members, whose content is as long as they say."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as tar:
        for info in infos:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return made.getvalue() if end else made.getvalue()[: made.tell()]


def member(name: str = "f", **about: object) -> tarfile.TarInfo:
    """A member with fields set."""
    info = tarfile.TarInfo(name)
    for key, value in about.items():
        setattr(info, key, value)
    return info


def checked(head: bytearray) -> bytes:
    """A header whose checksum is right again."""
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def header(**fields: bytes) -> bytearray:
    """A plain header with some fields overwritten."""
    places = {"mode": 100, "uid": 108, "size": 124, "mtime": 136, "kind": 156, "magic": 257}
    head = bytearray(archive(member(size=0), form=tarfile.USTAR_FORMAT)[:BLOCK])
    for name, value in fields.items():
        head[places[name] : places[name] + len(value)] = value
    return head


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("step", [BLOCK, 3 * BLOCK, 1 << 20])
def test_what_python_writes_is_read(form: int, step: int) -> None:
    long = "/".join(["d" * 40] * 5)
    made = archive(
        member("a", size=700, mode=0o4711, uid=5, gid=6, mtime=12),
        member(long, size=3),
        member("s", type=tarfile.SYMTYPE, linkname="t" * 90),
        member("dev", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("dir", type=tarfile.DIRTYPE),
        form=form,
    )
    first, second, link, device, folder = entries(made, step)
    assert (first.name, first.size, first.mode, first.uid, first.gid) == (b"a", 700, 0o4711, 5, 6)
    assert first.mtime == 12 * 10**9
    assert (second.name, second.size) == (long.encode(), 3)
    assert (link.kind, link.link) == (b"2", b"t" * 90)
    assert (device.kind, device.device) == (b"3", (1, 3))
    assert (folder.kind, folder.name) == (b"5", b"dir/")


def test_pax_says_more_than_the_header() -> None:
    pax = {
        "path": "long" * 30,
        "uid": "3000000",
        "gid": "4000000",
        "mtime": "-1.5",
        "atime": "7.123456789123",
        "SCHILY.xattr.user.a": "1",
        "comment": "",
    }
    made = archive(member("short", pax_headers=pax))
    [entry] = entries(made)
    assert (entry.name, entry.uid, entry.gid) == (b"long" * 30, 3_000_000, 4_000_000)
    assert (entry.mtime, entry.atime) == (-1_500_000_000, 7_123_456_789)
    assert dict(entry.xattrs) == {b"user.a": b"1"}


def test_pax_gives_link_and_size() -> None:
    [link] = entries(archive(member("s", type=tarfile.SYMTYPE, pax_headers={"linkpath": "to"})))
    assert link.link == b"to"
    [entry] = entries(archive(member("f", size=5, pax_headers={"size": "5"})))
    assert (entry.size, entry.stored) == (5, 5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"0000644\0", 0o644),
        (b"  644 \0 ", 0o644),
        (b"\0" * 8, 0),
        (b"\x80\0\0\0\0\0\x01\0", 256),
        (b"\xff" * 8, -1),
    ],
)
def test_numbers_are_octal_or_of_base_256(text: bytes, value: int) -> None:
    assert number(text) == value


def test_an_old_header_of_a_folder_is_one_by_its_name() -> None:
    head = header(kind=b"\0", magic=b"\0" * 8)
    head[0:4] = b"dir/"
    assert parse(checked(head)).kind == b"5"


def test_a_checksum_of_signed_bytes_is_taken() -> None:
    head = header()
    head[0:2] = b"\xe9\0"
    head[148:156] = b" " * 8
    total = sum(byte - 256 if byte > 127 else byte for byte in head)
    head[148:156] = b"%06o\0 " % total
    assert parse(bytes(head)).name == b"\xe9"


def test_gnu_keeps_times_where_others_keep_a_prefix() -> None:
    head = header(magic=b"ustar  \0")
    head[345:357] = b"00000000017\0"
    head[357:369] = b"00000000020\0"
    entry = parse(checked(head))
    assert (entry.name, entry.atime) == (b"f", 15 * 10**9)
    head[345:357] = b"prefix\0\0\0\0\0\0"
    assert parse(checked(head)).name == b"prefix/f"
    head[345:357] = b"pr\xe9fix\0\0\0\0\0\0"
    assert parse(checked(head)).name == b"f"


def test_star_has_a_shorter_prefix() -> None:
    head = header()
    head[345:349] = b"pre\0"
    head[508:512] = b"tar\0"
    assert parse(checked(head)).name == b"pre/f"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: header(size=b"x"), "wrong checksum"),
        (lambda: checked(header(mtime=b"9")), "for a number"),
        (lambda: checked(header(size=b"\xff" * 12)), "has -1 bytes"),
    ],
)
def test_a_damaged_header_is_refused(make: Callable[[], bytes], said: str) -> None:
    with pytest.raises(BadTarError, match=said):
        parse(bytes(make()))


@pytest.mark.parametrize(
    "body", [b"x", b"12 ", b"9 path=a\n9", b"8 =aaaa\n", b"11 path=abc", b"1" * 30]
)
def test_a_damaged_pax_header_is_refused(body: bytes) -> None:
    with pytest.raises(BadTarError, match="a pax header has"):
        parse_pax(body)


@pytest.mark.parametrize("value", [("uid", "x"), ("mtime", "1.x"), ("mtime", "x")])
def test_a_pax_value_that_is_no_number_is_refused(value: tuple[str, str]) -> None:
    with pytest.raises(BadTarError, match="a pax header"):
        entries(archive(member("f", pax_headers=dict([value]))))


def test_an_archive_may_end_without_its_padding() -> None:
    made = archive(member(size=5))[: BLOCK + 5]
    assert [entry.size for entry in entries(made)] == [5]
    assert entries(b"") == []


@pytest.mark.parametrize(
    ("cut", "said"),
    [(BLOCK + 3, "in the middle of a file"), (BLOCK - 9, "in the middle of a tar header")],
)
def test_an_archive_that_breaks_off_is_refused(cut: int, said: str) -> None:
    with pytest.raises(BadTarError, match=said):
        entries(archive(member(size=5))[:cut])


def test_data_after_one_empty_header_is_refused() -> None:
    made = archive(member(size=0))
    with pytest.raises(BadTarError, match="after an empty one"):
        entries(made[:BLOCK] + bytes(BLOCK) + made[:BLOCK])
    assert len(entries(made[:BLOCK] + bytes(BLOCK))) == 1


def test_a_name_too_long_for_memory_is_refused() -> None:
    head = header(kind=b"L", size=b"77777777777\0")
    with pytest.raises(BadTarError, match="name or pax header of"):
        entries(checked(head))


def gnu_sparse(*pairs: tuple[int, int], size: int, data: int, more: bytes = b"") -> bytes:
    """An old GNU sparse member; ``more`` is a block of the map after the header."""
    head = header(kind=b"S", size=b"%011o\0" % data, magic=b"ustar  \0")
    for index, (offset, length) in enumerate(pairs):
        at = 386 + 24 * index
        head[at : at + 24] = b"%011o\0%011o\0" % (offset, length)
    head[482] = 1 if more else 0
    head[483:495] = b"%011o\0" % size
    padded = b"y" * data + bytes(-data % BLOCK)
    return checked(head) + more + padded


def test_an_old_gnu_sparse_file_has_its_map_in_headers() -> None:
    [entry] = entries(gnu_sparse((0, 3), (9000, 4), size=9004, data=7))
    assert (entry.size, entry.stored) == (9004, 7)
    assert entry.extents == [(0, 3), (9000, 4)]
    more = (b"%011o\0%011o\0" % (9000, 4)).ljust(BLOCK, b"\0")
    [entry] = entries(gnu_sparse((0, 3), (10, 1), (20, 1), (30, 1), size=9004, data=10, more=more))
    assert entry.extents == [(0, 3), (10, 1), (20, 1), (30, 1), (9000, 4)]


@pytest.mark.parametrize(
    ("pairs", "data", "said"),
    [
        (((9, 3), (0, 4)), 7, "out of order"),
        (((0, 9005),), 9005, "beyond its end"),
        (((0, 3),), 7, "does not fit its data"),
    ],
)
def test_a_sparse_map_that_is_wrong_is_refused(
    pairs: tuple[tuple[int, int], ...], data: int, said: str
) -> None:
    with pytest.raises(BadTarError, match=said):
        entries(gnu_sparse(*pairs, size=9004, data=data))


def test_pax_sparse_files_of_three_versions() -> None:
    zero = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": "9000"}
    zero |= {"GNU.sparse.map": "0,2,8997,3", "GNU.sparse.name": "real"}
    [entry] = entries(archive(member("f", size=5, pax_headers=zero)))
    assert (entry.name, entry.size) == (b"real", 9000)
    assert entry.extents == [(0, 2), (8997, 3)]

    one = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "100"}
    info = member("f", size=BLOCK + 4, pax_headers=one)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(b"1\n96\n4\n".ljust(BLOCK, b"\0") + b"data"))
    [entry] = entries(made.getvalue())
    assert (entry.size, entry.extents) == (100, [(96, 4)])


def test_pairs_of_the_oldest_pax_sparse_form() -> None:
    body = b""
    for key, value in (("offset", 0), ("numbytes", 2), ("offset", 7), ("numbytes", 3)):
        text = f" GNU.sparse.{key}={value}\n".encode()
        body += str(len(text) + 2).encode() + text
    assert parse_pax(body)[b"GNU.sparse.map"] == b"0,2,7,3"
    with pytest.raises(BadTarError, match="out of order"):
        parse_pax(body[body.index(b"\n") + 1 :])


@pytest.mark.parametrize("text", ["0,x", "0"])
def test_a_pax_sparse_map_that_is_none_is_refused(text: str) -> None:
    pax = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": text}
    with pytest.raises(BadTarError, match="sparse map that is no map"):
        entries(archive(member("f", size=5, pax_headers=pax)))


def test_a_sparse_version_that_nobody_knows_changes_nothing() -> None:
    pax = {"GNU.sparse.major": "2", "GNU.sparse.minor": "0"}
    [entry] = entries(archive(member("f", size=5, pax_headers=pax)))
    assert entry.extents is None


def test_data_is_read_in_pieces_across_blocks() -> None:
    reader = stream(archive(member("a", size=3000), member("b", size=1)), BLOCK)
    found = reader.entries()
    next(found)
    assert reader.read(10) == b"x" * 10
    assert sum(len(piece) for piece in reader.pieces(2000)) == 2000
    assert next(found).name == b"b"


def test_names_are_cleaned_and_never_leave_the_tree() -> None:
    assert clean(b"/a//b/./c/../d/") == b"a/b/d"
    assert clean(b"../../etc/passwd") == b"etc/passwd"


def test_links_are_followed_inside_the_tree_and_circles_refused() -> None:
    links = {b"lib": b"usr/lib", b"abs": b"/usr", b"up": b"../../usr", b"x": b"y", b"y": b"x"}
    assert resolve(b"lib/a", links.get) == b"usr/lib/a"
    assert resolve(b"abs/b", links.get) == b"usr/b"
    assert resolve(b"up/c", links.get) == b"usr/c"
    assert resolve(b"", links.get) == b""
    with pytest.raises(BadTarError, match="circle"):
        resolve(b"x/f", links.get)
