"""Tar headers in each dialect, and the ones that are refused."""

from __future__ import annotations

import tarfile

import pytest

from pylib.guest.payload import tarhead
from pylib.guest.payload.tarhead import BadTarError, apply_pax, number, parse, parse_pax


def header(form: int, **more: object) -> bytes:
    """The first block that Python's own tarfile writes for a member."""
    member = tarfile.TarInfo("a/b")
    for name, value in more.items():
        setattr(member, name, value)
    return member.tobuf(form)[: tarhead.BLOCK]


def summed(head: bytearray) -> bytes:
    """The header with its checksum put right."""
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_a_header_of_either_dialect_is_read(form: int) -> None:
    found = parse(header(form, mode=0o4755, uid=7, gid=8, size=9, mtime=10))
    assert (found.name, found.kind, found.mode) == (b"a/b", tarhead.REGULAR, 0o4755)
    assert (found.uid, found.gid, found.size, found.mtime) == (7, 8, 9, 10 * 10**9)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"0000017\0", 15),
        (b" 17 \0", 15),
        (b"\0\0\0", 0),
        (b"\x80\0\0\x10", 16),
        (b"\xff\xff\xff\xfe", -2),
    ],
)
def test_a_number_is_octal_or_base_256(text: bytes, value: int) -> None:
    assert number(text) == value


def test_a_number_of_letters_is_refused() -> None:
    with pytest.raises(BadTarError, match="for a number"):
        number(b"9z9\0")


def test_a_wrong_checksum_is_refused() -> None:
    head = bytearray(header(tarfile.USTAR_FORMAT))
    head[0] ^= 1
    with pytest.raises(BadTarError, match="wrong checksum"):
        parse(bytes(head))


def test_a_negative_size_is_refused() -> None:
    head = bytearray(header(tarfile.GNU_FORMAT))
    head[124:136] = b"\xff" * 12
    with pytest.raises(BadTarError, match="has -1 bytes"):
        parse(summed(head))


def test_a_checksum_of_signed_bytes_is_taken() -> None:
    head = bytearray(header(tarfile.USTAR_FORMAT))
    head[0] = 0xE9
    total = int(summed(head)[148:154], 8) - 256
    head[148:156] = b"%06o\0 " % total
    assert parse(bytes(head)).name == b"\xe9/b"


def test_an_old_file_whose_name_ends_in_a_slash_is_a_folder() -> None:
    head = bytearray(header(tarfile.USTAR_FORMAT, size=5))
    head[0:4], head[156] = b"a/b/", 0
    found = parse(summed(head))
    assert (found.kind, found.size) == (tarhead.FOLDER, 0)


def test_a_long_name_is_put_together_from_the_prefix() -> None:
    name = "p" * 100 + "/" + "n" * 50
    assert parse(header(tarfile.USTAR_FORMAT, name=name)).name == name.encode()


def test_gnu_keeps_atime_where_ustar_has_its_prefix() -> None:
    head = bytearray(header(tarfile.GNU_FORMAT))
    head[345:357], head[357:369] = b"00000000012\0", b"00000000013\0"
    found = parse(summed(head))
    assert (found.atime, found.name) == (10 * 10**9, b"a/b")


def test_a_gnu_header_with_a_prefix_for_atime_has_a_prefix() -> None:
    head = bytearray(header(tarfile.GNU_FORMAT))
    head[345:349] = b"some"
    assert parse(summed(head)).name == b"some/a/b"


def test_a_device_has_its_numbers() -> None:
    found = parse(header(tarfile.USTAR_FORMAT, type=tarfile.CHRTYPE, devmajor=1, devminor=3))
    assert found.device == (1, 3)


def test_pax_records_change_the_entry() -> None:
    entry = parse(header(tarfile.USTAR_FORMAT, size=1))
    records = {
        b"path": b"long",
        b"linkpath": b"to",
        b"size": b"4",
        b"uid": b"5",
        b"gid": b"6",
        b"mtime": b"-1.5",
        b"atime": b"2.1234567899",
        b"comment": b"ignored",
        b"SCHILY.xattr.user.a": b"x",
    }
    apply_pax(entry, records)
    assert (entry.name, entry.link, entry.size, entry.stored) == (b"long", b"to", 4, 4)
    assert (entry.uid, entry.gid) == (5, 6)
    assert (entry.mtime, entry.atime) == (-1_500_000_000, 2_123_456_789)
    assert entry.xattrs == {b"user.a": b"x"}


def test_an_empty_pax_value_keeps_the_header_s_own() -> None:
    entry = parse(header(tarfile.USTAR_FORMAT))
    apply_pax(entry, {b"path": b""})
    assert entry.name == b"a/b"


@pytest.mark.parametrize(
    ("records", "message"),
    [({b"uid": b"me"}, "value that is no number"), ({b"mtime": b"1.x"}, "has the time b'1.x'")],
)
def test_pax_values_that_are_no_numbers_are_refused(
    records: dict[bytes, bytes], message: str
) -> None:
    with pytest.raises(BadTarError, match=message):
        apply_pax(parse(header(tarfile.USTAR_FORMAT)), records)


def test_sparse_pairs_are_kept_in_order() -> None:
    body = b"23 GNU.sparse.offset=0\n" + b"25 GNU.sparse.numbytes=4\n"
    pairs = body.replace(b"25 ", b"%d " % len(b"25 GNU.sparse.numbytes=4\n"))
    assert parse_pax(pairs)[tarhead.SPARSE_MAP] == b"0,4"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"x path=a\n", "record of length"),
        (b"9 path=ab", "has the record"),
        (b"7 path\n", "has the record"),
        (b"6 =ab\n", "has the record"),
        (b"25 GNU.sparse.numbytes=4\n", "out of order"),
    ],
)
def test_malformed_pax_records_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(BadTarError, match=message):
        parse_pax(body)
