"""``python -m tests.cloud.growth``: how plan, status and gc grow with cells and with what is there.

``plan`` is of a config with so many cells whose pools and disks are there already; ``status`` and
``gc`` look at a project with so many labelled disks, four of a run.  Calls are those to Google
Cloud; seconds are CPU time of the verb's own process, since the emulator's answers take as long as
an emulator's do; each column's ratio to the first line of its kind is printed beside it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from pylib.bake.gc import Wishes as GcWishes
from pylib.bake.gc import plan as gc_plan
from pylib.bake.gc import survey, usage
from pylib.bake.options import Options
from pylib.cloud.gcp import GoogleCloud, connect
from pylib.config.parse import load_config
from pylib.emulator import Emulator, Settings
from pylib.emulator.store import Ref
from pylib.kube import Kube
from pylib.up.site import Site, Wishes
from pylib.up.status import status
from pylib.up.up import plan
from tests.cloud.upping import CONFIG, PROJECT, KeptObjects

_QUOTAS = (
    *("us-central1/NVIDIA_L4_GPUS", "us-central1/G2_CPUS", "us-central1/SSD_TOTAL_GB"),
    *("GPUS_ALL_REGIONS", "CPUS_ALL_REGIONS"),
)
ZONES = tuple(f"us-central1-{letter}" for letter in "abc")


@dataclass(frozen=True)
class Row:
    """One measurement."""

    what: str
    size: int
    calls: int
    seconds: float
    mib: float


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.cloud.growth", description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[1, 5, 50])
    parser.add_argument("--resources", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args(words)
    if args.one:
        what, size, url, folder = args.one
        _measure(what, int(size), url, Path(folder))
        return 0
    rows = [_row("plan", cells) for cells in args.cells]
    rows += [_row(what, size) for what in ("status", "gc") for size in args.resources]
    sys.stdout.write(_table(rows))
    return 0


def _row(what: str, size: int) -> Row:
    """Measured in a process of its own, so that its memory is its own."""
    with tempfile.TemporaryDirectory() as name, _project(what, size, Path(name)) as url:
        words = [sys.executable, "-m", "tests.cloud.growth", "--one", what, str(size), url, name]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    calls, seconds, mib = done.stdout.split()
    return Row(what, size, int(calls), float(seconds), float(mib))


@contextmanager
def _project(what: str, size: int, folder: Path) -> Iterator[str]:
    """An emulated project with so much in it."""
    settings = Settings(project=PROJECT, quotas=dict.fromkeys(_QUOTAS, 1e6))
    with Emulator(folder / "e", settings=settings, guest="simulated") as emulator:
        emulator.add_cluster("vllm-cluster", "us-central1")
        if what == "plan":
            _furnish(emulator, folder, size)
        else:
            (folder / "config.yaml").write_text(CONFIG.read_text())
            _many_disks(emulator, size)
        yield emulator.url


def _furnish(emulator: Emulator, folder: Path, cells: int) -> None:
    """A config with so many cells, whose pools and disks exist."""
    document: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    base = document["cells"][0]
    document["weights"]["existing"] = True
    document["imageCache"]["existing"] = True
    document["cells"] = [
        {**base, "name": f"c{it}", "zone": ZONES[it % 3], "nodePool": {"name": f"pool-{it}"}}
        for it in range(cells)
    ]
    (folder / "config.yaml").write_text(yaml.safe_dump(document))
    disks = {
        f"c{it}": {"name": f"d-{it}", "zone": ZONES[it % 3], "type": "pd-ssd", "sizeGiB": 1024}
        for it in range(cells)
    }
    revision = {"name": "hand-made", "disks": disks}
    lock = {"version": 1, "weights": {"current": "hand-made", "revisions": [revision]}}
    (folder / "config.lock.yaml").write_text(yaml.safe_dump(lock))
    cloud = connect(PROJECT, endpoint=emulator.url)
    _image(emulator)
    site = _site(cloud, folder)
    _put(emulator, {f"d-{it}": ZONES[it % 3] for it in range(cells)}, {})
    _pools(emulator, site)


def _image(emulator: Emulator) -> None:
    ref = Ref("images", PROJECT, "global", "vllm-openai-image")
    with emulator.world.store.transaction():
        doc = {"id": "7", "name": ref.name, "status": "READY", "labelFingerprint": "x"}
        emulator.world.store.put(ref, {**doc, "creationTimestamp": "2026-01-01T00:00:00.000-08:00"})


def _pools(emulator: Emulator, site: Site) -> None:
    """Node pools as ``up`` makes them."""
    from pylib.provision.pools import image_link, wanted_pool
    from pylib.up.acts import make_pool

    image = image_link(site.config, site.lock())
    for cell in site.config.cells:
        spec = wanted_pool(site.config, cell, image)
        if spec is not None:
            make_pool(site.cloud, spec)


def _many_disks(emulator: Emulator, count: int) -> None:
    """Disks that a release and dead bakes own, as both verbs look for them."""
    _put(
        emulator,
        {f"disk-{it}-r{it // 4}": ZONES[it % 3] for it in range(count)},
        {
            "vfs-release": "vllm-openai",
            "vfs-namespace": "vllm",
            "vfs-revision": "hand-made",
            "bake-owner": "o",
            "bake-inputs": "i",
            "bake-phase": "fill",
        },
    )


def _put(emulator: Emulator, disks: dict[str, str], labels: dict[str, str]) -> None:
    """Disks without blocks, straight into the emulator's state."""
    with emulator.world.store.transaction():
        for number, (name, zone) in enumerate(disks.items()):
            where = f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/zones/{zone}"
            doc = {
                "kind": "compute#disk",
                "id": str(10_000_000 + number),
                "name": name,
                "zone": where,
                "type": f"{where}/diskTypes/pd-ssd",
                "sizeGb": "1024",
                "status": "READY",
                "labels": {**labels, "bake-run": name.rpartition("-")[2]},
                "labelFingerprint": "x",
                "creationTimestamp": "2026-01-01T00:00:00.000-08:00",
                "selfLink": f"{where}/disks/{name}",
            }
            emulator.world.store.put(Ref("disks", PROJECT, f"zones/{zone}", name), doc)


def _site(cloud: GoogleCloud, folder: Path) -> Site:
    file = folder / "config.yaml"
    return Site(
        file=file,
        config=load_config(file),
        cloud=cloud,
        connect=lambda: cast("Kube", KeptObjects()),
        wishes=Wishes(Options(owner="me", zones=("us-central1-a",))),
        say=lambda _: None,
        progress=lambda _: None,
    )


def _measure(what: str, size: int, url: str, folder: Path) -> None:
    cloud = connect(PROJECT, endpoint=url)
    site = _site(cloud, folder)
    acts: dict[str, Callable[[], int]] = {
        "plan": lambda: len(plan(site)),
        "status": lambda: len(status(site).lines),
        "gc": lambda: len(gc_plan(survey(cloud, (PROJECT,)), usage(cloud), GcWishes())),
    }
    began = time.process_time()
    found = acts[what]()
    seconds = time.process_time() - began
    assert found >= size, (found, size)
    sys.stdout.write(f"{cloud.counts.total()} {seconds:.3f} {_peak_mib():.0f}\n")


def _peak_mib() -> float:
    """Of this process since it began; getrusage's number is older than its exec."""
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def _table(rows: list[Row]) -> str:
    lines = [f"{'verb':8}{'size':>7}{'calls':>7}{'x':>7}{'cpu s':>9}{'x':>7}{'MiB':>6}{'x':>7}"]
    for row in rows:
        first = next(it for it in rows if it.what == row.what)
        lines.append(
            f"{row.what:8}{row.size:7}{row.calls:7}{row.calls / first.calls:7.1f}"
            f"{row.seconds:9.2f}{row.seconds / first.seconds:7.1f}"
            f"{row.mib:6.0f}{row.mib / first.mib:7.1f}"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
