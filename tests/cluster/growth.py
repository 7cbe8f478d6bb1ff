"""``python -m tests.cluster.growth``: what render and install cost as nodes and cells grow.

Each row is a control plane of its own with so many GPU nodes, spread over so many cells of one
release: seconds and peak memory of rendering, of helm's install, and the time from then until every
cell is ready; and what the release's objects weigh.  Columns end with the growth against the first
row.  Simulated: the nodes and their pods (kwok makes them ready at once), so nothing here is a
model's start.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from pylib.kube import Kube
from pylib.proc import run_measured
from tests.chart.helmtool import Values, merged
from tests.cluster.bed import gke
from tests.cluster.bed.bed import TOOLS, Bed
from tests.cluster.bed.wait import until
from tests.cluster.release import NAME, SMALL, Helm, cell, revision, write_values

ZONES = "abcf"
NAMESPACE = "growth"
READY_SECONDS = 300.0


@dataclass(frozen=True)
class Row:
    """One size: seconds, MiB, and the resident memory of the API server after it."""

    nodes: int
    cells: int
    render_s: float
    render_mib: float
    install_s: float
    install_mib: float
    ready_s: float
    api_mib: float


def measure(nodes: int, cells: int) -> Row:
    """A fresh control plane with so many nodes, and one release of so many cells on it."""
    with Bed() as bed, tempfile.TemporaryDirectory() as folder:
        _add_nodes(bed, nodes, cells)
        values = write_values(Path(folder), _many(cells))
        named = ["--values", values, "--release", NAME, "--namespace", NAMESPACE]
        render = [sys.executable, "-m", "pylib", "render", *named]
        rendered = run_measured([str(word) for word in render])
        bed.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        settings = [f"{key}={value}" for key, value in Helm(TOOLS / "helm", bed).settings().items()]
        chart = Path("charts/vllm-fast-start")
        words = [TOOLS / "helm", "install", NAME, chart, "-n", NAMESPACE, "-f", values]
        installed = run_measured([str(word) for word in ["env", *settings, *words]])
        began = time.monotonic()
        until(lambda: _ready(bed.kube) == cells, READY_SECONDS, f"{cells} cells are ready")
        return Row(
            nodes=nodes,
            cells=cells,
            render_s=rendered.seconds,
            render_mib=rendered.peak_mib,
            install_s=installed.seconds,
            install_mib=installed.peak_mib,
            ready_s=time.monotonic() - began,
            api_mib=_resident_mib("kube-apiserver", bed.folder),
        )


def _add_nodes(bed: Bed, nodes: int, cells: int) -> None:
    bodies = [
        gke.node(f"n{i}", zone=f"us-central1-{ZONES[i % cells % 4]}", pool=f"pool-{i % cells}")
        for i in range(nodes)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(bed.kube.create, bodies))

    def all_ready() -> bool:
        taints = [node["spec"].get("taints", []) for node in bed.kube.list("v1", "Node")]
        return not any("not-ready" in taint["key"] for some in taints for taint in some)

    until(all_ready, READY_SECONDS, f"{nodes} nodes are ready")


def _many(count: int) -> Values:
    """The small release with so many cells, in four zones, each with a pool and a disk."""
    names = [f"c{index}" for index in range(count)]
    cells = [
        cell(name, zone=f"us-central1-{ZONES[i % 4]}", nodePool=f"pool-{i}")
        for i, name in enumerate(names)
    ]
    return merged(
        SMALL, {"cells": cells, "weights": {"disk": {"revisions": [revision(cells=names)]}}}
    )


def _ready(kube: Kube) -> int:
    found = kube.list("apps/v1", "Deployment", NAMESPACE)
    return sum(one.get("status", {}).get("readyReplicas", 0) >= 1 for one in found)


def _resident_mib(program: str, folder: Path) -> float:
    """Resident memory of one of the control plane's programs, from /proc."""
    for entry in Path("/proc").glob("[0-9]*"):
        words = (entry / "cmdline").read_bytes().split(b"\0")
        if Path(words[0].decode()).name == program and str(folder).encode() in b" ".join(words):
            lines = (entry / "status").read_text(encoding="utf-8").splitlines()
            [resident] = [line for line in lines if line.startswith("VmRSS")]
            return int(resident.split()[1]) / 1024
    raise AssertionError(f"{program} does not run")


def table(rows: list[Row]) -> str:
    """The rows as text, with each figure's growth against the first row."""
    names = [field.name for field in fields(Row)]
    lines = ["  ".join(f"{name:>14}" for name in names)]
    for row in rows:
        pairs = zip(astuple(row), astuple(rows[0]), strict=True)
        lines.append("  ".join(f"{new:>7.5g} {new / old:>5.1f}x" for new, old in pairs))
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure the sizes that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.growth", description=__doc__)
    sizes = ["100:5", "100:50", "1000:5", "1000:50"]
    parser.add_argument("sizes", nargs="*", default=sizes, metavar="NODES:CELLS")
    rows = []
    for size in parser.parse_args().sizes:
        nodes, _, cells = size.partition(":")
        rows.append(measure(int(nodes), int(cells)))
    sys.stdout.write(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
