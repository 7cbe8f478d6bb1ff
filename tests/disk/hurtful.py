"""Images made to hurt whoever unpacks them."""

from __future__ import annotations

import gzip
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.disk.layers import Image, Layer, Packed, digest_of, gzipped, image, index, plain, zstd

CAPABILITY = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
"""security.capability, revision 2, cap_net_bind_service as permitted and effective."""
Make = Callable[[Path], Image]


def whiteouts(_: Path) -> Image:
    """Of files, folders, what is not there, what comes again, and in folders not named."""
    base = Layer().folder("a", mode=0o700, uid=5, gid=6).file("a/b").file("a/c", b"1").folder("d")
    base.folder("d/e").file("d/e/f", b"2").file("g", b"3").folder("h").file("h/i", b"4")
    upper = Layer().gone("a/b").gone("d").gone("never").gone("deep/er/never").gone("g")
    upper.file("g", b"again").gone("h/i")
    return image([gzipped(base), gzipped(upper), gzipped(Layer().gone("a").file("d", b"a file"))])


def opaque(_: Path) -> Image:
    """Opaque folders: named before, after and not at all, and one inside another."""
    base = Layer()
    for name in ("a", "b", "c", "c/d"):
        base.folder(name).file(f"{name}/old", b"x")
    upper = Layer().folder("a", mode=0o750).opaque("a").file("a/new", b"1")
    upper.file("b/first", b"2").opaque("b").file("b/second", b"3").opaque("c/d")
    return image([gzipped(base), gzipped(upper)])


def hard_links(_: Path) -> Image:
    """Across folders, in chains, to symbolic links, of files that change later."""
    base = Layer().folder("a").folder("b").file("a/f", b"shared", mode=0o640, uid=3)
    base.link("b/g", "a/f").link("h", "b/g").symlink("a/s", "f").link("b/s", "a/s")
    base.file("one", b"1").link("two", "one").file("one", b"changed")
    upper = Layer().file("b/g", b"no longer shared").file("x", b"x").link("b/x", "x")
    return image([gzipped(base), gzipped(upper)])


def link_to_below(_: Path) -> Image:
    """A hard link to a file of a lower layer."""
    base = Layer().folder("a").file("a/f", b"below", mode=0o640, uid=3)
    return image([gzipped(base), gzipped(Layer().folder("b").link("b/g", "a/f"))])


def attributes(_: Path) -> Image:
    """Extended attributes, capabilities, setuid, setgid and sticky bits, owners, times."""
    made = Layer().file("cap", b"x", mode=0o755, xattrs={"security.capability": CAPABILITY})
    made.file("user", b"x", xattrs={"user.one": "1", "user.two": ""}).file("ro", b"x", mode=0o400)
    made.file("suid", b"x", mode=0o4755, uid=7).file("sgid", b"x", mode=0o2755, gid=7)
    made.folder("team", mode=0o2775, gid=50).file("team/f", b"x").folder("team/sub", gid=9)
    made.folder("tmp", mode=0o1777, mtime=1).file("tmp/late", b"x", mtime=1_234_567_890.123456789)
    made.folder("trusted", xattrs={"trusted.mine": "1", "user.dir": "2"}).file("old", mtime=0)
    made.symlink("link", "/nowhere", uid=4, gid=5, mtime=99)
    return image([gzipped(made)])


def special(_: Path) -> Image:
    """Devices, pipes, and a header for the whole archive."""
    made = Layer().add("null", tarfile.CHRTYPE, mode=0o666, device=(1, 3))
    made.add("disk", tarfile.BLKTYPE, mode=0o660, gid=6, device=(8, 300))
    made.add("pipe", tarfile.FIFOTYPE, mode=0o600).file("f", b"x")
    pax = tarfile.TarInfo.create_pax_global_header({"comment": "of all"})
    return image([gzipped(pax + made.tar())])


def names(_: Path) -> Image:
    """Odd, long and indirect ones."""
    made = Layer()
    for name in (
        "a b",
        "new\nline",
        "tab\t",
        "ünï",
        "日本",
        "-rf",
        "*",
        "'\"$(x)`",
        "\\",
        "a" * 255,
    ):
        made.file(name, name.encode())
    deep = "/".join(["d" * 100] * 12)
    made.file(deep, b"deep").folder("./dot/").file("./dot/f", b"1").file("/abs", b"2")
    made.file("x/../y", b"3").symlink("long", "t" * 1000).link("to-deep", deep).file("dot//g", b"4")
    return image([gzipped(made)])


def foreign_names(_: Path) -> Image:
    """Bytes that are no UTF-8, in GNU's form of archive, with long names."""
    made = Layer(tarfile.GNU_FORMAT).file("latin-\udce9", b"1").file("l" * 200, b"2")
    made.file("/".join(["p" * 90] * 4), b"3").symlink("s", "u" * 300)
    return image([gzipped(made)])


def through_links(_: Path) -> Image:
    """Paths that lead through symbolic links, of the same layer and of one below."""
    base = Layer().folder("usr").folder("usr/lib").symlink("lib", "usr/lib").file("lib/a", b"1")
    base.symlink("abs", "/usr/lib").symlink("up", "../../usr").file("up/b", b"2")
    upper = Layer().file("lib/c", b"3").file("abs/d", b"4").folder("lib", mode=0o700)
    return image([gzipped(base), gzipped(upper)])


def replaced(_: Path) -> Image:
    """The same path twice, as another type, in one layer and in the next."""
    base = Layer().file("a", b"1").file("a", b"2").folder("b").file("b/x").file("b", b"a file")
    base.file("c", b"3").folder("c").file("c/y").symlink("d", "c").file("d", b"4").folder("e")
    base.folder("e", mode=0o711).file("f", b"5").symlink("f", "c")
    upper = Layer().folder("a").file("a/z").file("c", b"file now").folder("e", mode=0o755, uid=8)
    return image([gzipped(base), gzipped(upper)])


def implied(_: Path) -> Image:
    """Folders that no entry names, over some that lower layers made with odd attributes."""
    base = Layer().folder("a", mode=0o700, uid=5, gid=6, mtime=12).folder("a/b", mode=0o2711, gid=7)
    base.file("p/q/r", b"1")
    upper = Layer().file("a/b/c/d", b"2").file("n/e/w", b"3").symlink("p/q/s", "r")
    return image([gzipped(base), gzipped(upper), gzipped(Layer().file("a/b/last", b"4"))])


def many_layers(_: Path) -> Image:
    """More than a hundred, each upon the one before; and an empty one twice."""
    layers = [gzipped(Layer().file("n", str(n).encode()).file(f"f{n}")) for n in range(118)]
    return image([*layers, gzipped(Layer()), gzipped(Layer())])


def compressions(_: Path) -> Image:
    """zstd, gzip of several members with names, and none."""
    two = Layer().file("two", os.urandom(300_000)).tar()
    parts = b"".join(gzip.compress(two[at : at + 70_000]) for at in range(0, len(two), 70_000))
    several = Packed(parts, digest_of(two), "gzip")
    first = zstd(Layer().file("one", b"1" * 1_000_000))
    return image([first, several, plain(Layer().file("three", b"3"))])


def docker_schema(_: Path) -> Image:
    """Docker's manifest, in Docker's list, among other architectures."""
    ours = image([gzipped(Layer().file("f", b"amd64"))], docker=True)
    arm = image([gzipped(Layer().file("f", b"arm64"))], docker=True, architecture="arm64")
    return index([("arm64", arm), ("amd64", ours)], docker=True)


def oci_index(_: Path) -> Image:
    """An index with an attestation, which is no image."""
    ours = image([gzipped(Layer().file("g", b"amd64"))])
    note = image([plain(b"{}" + bytes(510))], architecture="unknown")
    return index([("unknown", note), ("amd64", ours)])


def sparse(folder: Path) -> Image:
    """Files with holes, one of more than 4 GiB."""
    _holed(folder / "big", 5 << 30, 0, 1 << 20, (4 << 30) + 77)
    _holed(folder / "hole", 9 << 20)
    words = ("tar", "--sparse", "--format=posix", "--owner=3", "--group=4", "-c", "big", "hole")
    return image([plain(subprocess.run(words, cwd=folder, capture_output=True, check=True).stdout)])


def _holed(file: Path, size: int, *places: int) -> None:
    with file.open("wb") as made:
        made.truncate(size)
        for at in places:
            made.seek(at)
            made.write(b"here" * 3000)
    os.utime(file, (10, 10))


IMAGES: tuple[Make, ...] = (
    whiteouts,
    opaque,
    hard_links,
    attributes,
    special,
    names,
    foreign_names,
    through_links,
    replaced,
    implied,
    many_layers,
    compressions,
    docker_schema,
    oci_index,
    sparse,
)
