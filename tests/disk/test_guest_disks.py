"""Which disk it is, how it is formatted, and that it is let go of."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pylib.proc import run
from tests.disk.guest import GIB, do, job, loop
from tests.disk.layers import Layer, gzipped, image
from tests.disk.made import Made
from tests.disk.registry import Answer, Registry

TIB = 1024 * GIB
PACKED = gzipped(Layer().folder("d").file("d/f", b"content" * 5000))
SMALL = image([PACKED])
BLOB = next(iter(SMALL.blobs))
READ_BY_LINUX_3_18 = (
    "has_journal ext_attr resize_inode dir_index filetype extent 64bit flex_bg sparse_super "
    "large_file huge_file dir_nlink extra_isize metadata_csum"
)
"""Features of ext4 that the filesystem has."""
NEWER = """\
[defaults]
base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr,sparse_super2
[fs_types]
ext4 = {
  features = has_journal,extent,huge_file,flex_bg,metadata_csum,metadata_csum_seed,64bit,large_dir
}
"""
"""What a newer mke2fs may do by itself."""


@pytest.fixture
def reference(registry: Registry) -> str:
    """The small image in the registry."""
    return registry.push("app:v1", SMALL)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """Where the payload works; what it could not unmount is unmounted in the end."""
    yield tmp_path / "work"
    for place in (tmp_path / "work").glob("vfs-*/disk"):
        if place.is_mount():
            run(["umount", place])


@pytest.mark.fault("G1")
def test_a_disk_that_cannot_be_unmounted_is_no_success(
    device: str, registry: Registry, reference: str, work: Path
) -> None:
    """Somebody has a file of it open, from when its first layer is asked for."""
    with ExitStack() as held:

        def hold(path: str, answer: Answer) -> Answer:
            if path.endswith(BLOB):
                [place] = work.glob("vfs-*/disk")
                descriptor = os.open(place, os.O_RDONLY)
                held.callback(os.close, descriptor)
            return answer

        registry.unkind = hold
        report = do(job(device, reference), work)

    assert (report["result"], report["digest"]) == ("fail", "")
    assert "/disk cannot be unmounted: " in report["message"]
    assert "Device or resource busy" in report["message"]


@pytest.mark.fault("G5")
def test_a_partitioned_disk_and_a_partition_are_refused_though_they_are_blank(
    file: Path, reference: str, work: Path
) -> None:
    with file.open("wb") as disk:
        disk.truncate(GIB)
    node = run(["losetup", "--find", "--show", "--partscan", file]).stdout.strip()
    try:
        run(["addpart", node, "1", "2048", "16384"])  # whether the kernel reads tables or not
        whole = do(job(node, reference), work)
        part = do(job(_partition(Path(node).name, work), reference), work)
    finally:
        run(["losetup", "--detach", node])
    said = f"{node} has partitions ({Path(node).name}p1): it is not formatted"
    assert said in whole["message"]
    assert "is a partition, not a whole disk" in part["message"]


def _partition(name: str, folder: Path) -> str:
    """A node of the first partition; udev may not be there to make one."""
    numbers = Path(f"/sys/block/{name}/{name}p1/dev").read_text(encoding="ascii").split(":")
    node = folder / "part"
    os.mknod(node, 0o60600, os.makedev(int(numbers[0]), int(numbers[1])))
    return str(node)


@pytest.mark.fault("G5")
@pytest.mark.parametrize("name", ["sdb", "nvme0n2"])
def test_the_link_by_id_counts_whatever_the_node_is_called_and_may_come_late(
    name: str, device: str, reference: str, tmp_path: Path, work: Path
) -> None:
    os.mknod(tmp_path / name, 0o60600, Path(device).stat().st_rdev)
    links = tmp_path / "disk" / "by-id"
    links.mkdir(parents=True)
    link = links / "google-vfs-target"
    late = threading.Timer(0.8, link.symlink_to, [f"../../{name}"])
    late.start()
    report = do(job(str(link), reference), work)
    late.join()
    assert report["result"] == "ok", report["log"]


@pytest.mark.fault("G6")
def test_a_disk_of_another_size_is_not_the_one(device: str, reference: str, work: Path) -> None:
    report = do(job(device, reference, device_bytes=11 * GIB), work)
    said = f"{device} has {10 * GIB} bytes, not {11 * GIB}: it is another disk"
    assert said in report["message"]


@pytest.mark.fault("G7")
def test_the_filesystem_has_the_features_that_every_node_reads_whatever_the_defaults(
    device: str, file: Path, reference: str, tmp_path: Path, work: Path
) -> None:
    config = tmp_path / "mke2fs.conf"
    config.write_text(NEWER, encoding="ascii")
    inside = f'mount --bind {config} /etc/mke2fs.conf && exec "$@"'
    report = do(job(device, reference), work, "unshare", "--mount", "sh", "-c", inside, "sh")
    assert report["result"] == "ok", report["log"]

    shown = run(["dumpe2fs", "-h", file]).stdout
    about = dict(line.split(":", 1) for line in shown.splitlines() if ":" in line)
    assert sorted(about["Filesystem features"].split()) == sorted(READ_BY_LINUX_3_18.split())
    assert about["Block size"].strip() == "4096"
    assert about["Reserved block count"].strip() == "0"
    assert run(["e2fsck", "-fn", file]).code == 0


@pytest.mark.fault("G19")
def test_a_disk_that_is_larger_than_its_image_passes(made: Made, tmp_path: Path) -> None:
    file = made.copy(tmp_path)
    with file.open("r+b") as disk:
        disk.truncate(10 * GIB)
    assert made.check(file)["digest"] == made.digest


@pytest.mark.fault("G19")
def test_a_disk_of_two_tebibytes_is_made_and_checked_quickly(
    reference: str, tmp_path: Path, work: Path
) -> None:
    file, start = tmp_path / "large.raw", time.monotonic()
    with loop(file, 2 * TIB) as node:
        asked = job(node, reference, device_bytes=2 * TIB)
        report = do(asked, work)
        assert report["result"] == "ok", report["log"]
        check = do(job(node, reference, verify={"digest": report["digest"]}), work)
    assert check["result"] == "ok", check["message"]
    assert time.monotonic() - start < 60
    assert file.stat().st_blocks * 512 < GIB
