"""``python -m tests.disk.bench``: what the guest payload costs against the serial way of baking.

Each way writes the same image from the same registry on this machine to the same kind of blank
disk (a loop device past the page cache), in turn, so many times; the table has the fastest.
``dropped``: all caches are dropped before each.  ``warm``: besides, free memory was touched and the
image's blobs are in the page cache, so that neither the host's memory nor a registry's disk counts.

    serial   containerd pulls and unpacks; each snapshot is viewed, `cp -r -p`, md5 of all, umount;
             by Debian's package, as gke-disk-image-builder does
    newer    the same with the newest containerd, which unpacks faster
    script   gke-disk-image-builder's own startup.sh, where DISK_IMAGE_BUILDER_SCRIPT names it
    payload  the guest payload in a process of its own, as a VM runs it: it reads all back from the
             disk, which no other way does, and takes the sums from there

``written`` is what the disk took, as a multiple of the tree in whole blocks with its folders;
memory is that of all processes of a way at its peak, shared pages once.  All ways must have written
the same contents, by the sums in ``snapshots.metadata``.

The second table is the payload alone, warm: more cores, one large layer against the same tree in
four, and a layer four times as large.  Needs root, loop devices, containerd, 25 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.disk.bench_image import Made, images
from tests.disk.bench_place import Cost, drop_caches, registry, warm
from tests.disk.bench_ways import OWN, debians, payload, script, serial

BASELINE = "serial"
_ROOM = 1.4
"""Size of the disk as a multiple of the tree, and 2 GiB."""


@dataclass(frozen=True)
class Row:
    """The fastest of some runs, and how many cores it had."""

    name: str
    image: Made
    cost: Cost
    cores: int


class Bench:
    """One folder, one registry; ``runs`` of each measurement."""

    def __init__(self, folder: Path, host: str, runs: int) -> None:
        self._folder, self._host, self._runs = folder, host, runs

    def reference(self, image: Made) -> str:
        """What to pull."""
        return f"{self._host}/bench/{image.name}@{image.digest}"

    def ways(self, image: Made) -> dict[str, Callable[[Callable[[], None]], Cost]]:
        """Each way, given what to do just before it starts."""
        place = (self._folder, int(image.tree_bytes * _ROOM) + (2 << 30), self.reference(image))
        found: dict[str, Callable[[Callable[[], None]], Cost]] = {
            BASELINE: partial(serial, *place, debians(self._folder)),
            "newer": partial(serial, *place, OWN),
            "payload": partial(payload, *place),
        }
        if "DISK_IMAGE_BUILDER_SCRIPT" in os.environ:
            source = Path(os.environ["DISK_IMAGE_BUILDER_SCRIPT"])
            found["script"] = partial(script, *place, debians(self._folder), source)
        return found

    def compare(self, image: Made, *, is_warm: bool) -> list[Row]:
        """All ways in turn, so many times; the baseline's row first."""
        ways = self.ways(image)
        costs: dict[str, list[Cost]] = {name: [] for name in ways}
        for _ in range(self._runs):
            for name, way in ways.items():
                costs[name].append(way(partial(self._prepare, image, is_warm=is_warm)))
                show(f"{name}: {costs[name][-1].seconds:.1f} s, load {os.getloadavg()[0]:.1f}")
        rows = [Row(name, image, fastest(some), cores_here()) for name, some in costs.items()]
        for row in rows[1:]:
            if row.cost.checksums != rows[0].cost.checksums:
                raise AssertionError(f"{row.name} and {BASELINE} wrote different contents")
        return rows

    def grow(self, image: Made, cores: int) -> Row:
        """The payload alone."""
        place = (self._folder, int(image.tree_bytes * _ROOM) + (2 << 30), self.reference(image))
        use = sorted(os.sched_getaffinity(0))[:cores]
        prepare = partial(self._prepare, image, is_warm=True)
        costs = [payload(*place, prepare, use) for _ in range(self._runs)]
        show(f"payload {image.name}, {cores} cores: {min(it.seconds for it in costs):.1f} s")
        return Row("payload", image, fastest(costs), cores)

    def _prepare(self, image: Made, *, is_warm: bool) -> None:
        drop_caches()
        if is_warm:
            blobs = self._folder / "blobs"
            manifest = json.loads((blobs / image.digest).read_text(encoding="utf-8"))
            warm([blobs / layer["digest"] for layer in manifest["layers"]])


def fastest(costs: Sequence[Cost]) -> Cost:
    """The one of least seconds, with the most memory that any took."""
    best = min(costs, key=lambda cost: cost.seconds)
    return replace(best, peak_mib=max(cost.peak_mib for cost in costs))


def cores_here() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def steps() -> list[int]:
    """One core, two, four, and so on, up to all."""
    powers = [1 << power for power in range(cores_here().bit_length())]
    return sorted({*powers, cores_here()})


def show(text: str) -> None:
    """Progress, for who waits."""
    sys.stderr.write(f"{text}\n")


def compared(rows: Sequence[Row]) -> str:
    """The ways, with ratios against the first row."""
    head = f"{'way':10}{'seconds':>8}{'ratio':>7}{'cpu s':>7}{'MiB':>6}{'written':>9}"
    lines = [head]
    for row in rows:
        base, cost = rows[0].cost.seconds, row.cost
        lines.append(
            f"{row.name:10}{cost.seconds:8.1f}{base / cost.seconds:6.1f}x"
            f"{cost.cpu:7.0f}{cost.peak_mib:6.0f}"
            f"{cost.written / cost.allocated:8.2f}x   {parts(cost)}"
        )
    return "\n".join(lines) + "\n"


def parts(cost: Cost) -> str:
    """Seconds of the parts that took any, and the note."""
    took = [f"{name} {took:.1f}" for name, took in cost.parts.items() if took >= 0.05]
    return ", ".join([*took, cost.note] if cost.note else took)


def grown(rows: Sequence[Row]) -> str:
    """The payload's rows; MB/s of the tree."""
    head = f"{'image':9}{'layers':>7}{'tree MB':>9}{'cores':>6}{'seconds':>9}{'MB/s':>6}{'MiB':>6}"
    lines = [head]
    for row in rows:
        size = row.image.tree_bytes / 1e6
        lines.append(
            f"{row.image.name:9}{row.image.layers:7}{size:9.0f}{row.cores:6}{row.cost.seconds:9.1f}"
            f"{size / row.cost.seconds:6.0f}{row.cost.peak_mib:6.0f}   {parts(row.cost)}"
        )
    return "\n".join(lines) + "\n"


def about(made: dict[str, Made]) -> str:
    """The machine and the image."""
    image = made["whole"]
    return (
        f"{platform.system()} {platform.release()}, {cores_here()} cores, load "
        f"{os.getloadavg()[0]:.1f}\n"
        f"image {image.digest}: {image.layers} layers, {image.files} files, "
        f"{image.tree_bytes / 1e9:.2f} GB, {image.compressed / 1e9:.2f} GB compressed\n"
    )


def main() -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.disk.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = Path(tempfile.gettempdir()) / "disk-bench"
    parser.add_argument("--folder", type=Path, default=default, help="keeps the images (4 GB)")
    parser.add_argument("--gib", type=float, default=6.0, help="size of the image's tree")
    parser.add_argument("--runs", type=int, default=2, help="of each measurement")
    parser.add_argument("--only", choices=("dropped", "warm", "growth"), nargs="+")
    asked = parser.parse_args()
    only = asked.only or ["dropped", "warm", "growth"]
    made = images(asked.folder, asked.gib)
    sys.stdout.write(about(made))
    with registry(asked.folder / "blobs") as host:
        bench = Bench(asked.folder, host, asked.runs)
        for state in ("dropped", "warm"):
            if state in only:
                rows = bench.compare(made["whole"], is_warm=state == "warm")
                sys.stdout.write(f"\n{state}, against {BASELINE}\n{compared(rows)}")
        if "growth" in only:
            few = [(name, cores) for name in ("whole", "one", "four") for cores in steps()]
            found = [bench.grow(made[name], cores) for name, cores in few]
            found.append(bench.grow(made["quarter"], cores_here()))
            sys.stdout.write(f"\npayload, warm\n{grown(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
