"""``python -m tests.cluster.bed``: a control plane to try things on.

``up`` keeps one until a signal comes.  ``run -f CONFIG -- COMMAND…`` makes the nodes that the cells
of a config want, and runs a command with KUBECONFIG set.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from pylib.config.model import Config, Disk
from pylib.config.parse import load_config
from pylib.kube import Kube
from pylib.lock import Lock, LockedDisk, LockedRevision, LockedWeights, lock_path
from pylib.manifests import Manifest
from pylib.release import Release, release_of_config
from pylib.render import render_release
from pylib.values import make_values
from tests.cluster.autoscaled import METRICS
from tests.cluster.bed.adapter_cluster import registered
from tests.cluster.bed.bed import Bed, missing_binaries
from tests.cluster.bed.monitoring import FakeMonitoring
from tests.cluster.bed.stages import predicted_seconds

_CELL = "cell"


def main() -> int:
    """Start a control plane, and keep it or run a command on it."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.bed", description=__doc__)
    verbs = parser.add_subparsers(required=True)
    up = verbs.add_parser("up", help="until a signal comes")
    up.set_defaults(verb=_up)
    run = verbs.add_parser("run", help="for one command")
    run.add_argument("-f", "--config", type=Path, required=True, help="whose cells get nodes")
    run.add_argument("--speed", type=float, default=20, help="how much faster pods start (20)")
    run.add_argument("command", nargs="+", help="what to run")
    run.set_defaults(verb=_run)
    args = parser.parse_args()
    if absent := missing_binaries():
        parser.error(f"not built: {', '.join(absent)}; run scripts/install-tools cluster")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        code: int = args.verb(args)
    except KeyboardInterrupt:
        return 130
    return code


def _up(_: argparse.Namespace) -> int:
    began = time.monotonic()
    with Bed() as bed:
        _say(f"ready after {time.monotonic() - began:.1f} s; Ctrl-C ends it")
        sys.stdout.write(f"export KUBECONFIG={bed.kubeconfig}\n")
        sys.stdout.flush()
        signal.pause()
    return 0


def _run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    with Bed() as bed, FakeMonitoring() as monitoring, registered(bed, monitoring):
        _say(f"control plane ready after {time.monotonic() - began:.1f} s")
        _furnish(bed, args.config, args.speed)
        _say("simulated: Cloud Monitoring and its adapter; every pod reports that it is idle")
        ended = threading.Event()
        reports = threading.Thread(target=_report_idle, args=(bed, monitoring, ended), daemon=True)
        reports.start()
        try:
            settings = {**os.environ, "KUBECONFIG": str(bed.kubeconfig)}
            return subprocess.run(args.command, env=settings, check=False).returncode
        finally:
            ended.set()
            reports.join()


def _report_idle(bed: Bed, monitoring: FakeMonitoring, ended: threading.Event) -> None:
    """What Managed Service for Prometheus would write of pods that nobody asks anything."""
    kube = Kube.connect(bed.kubeconfig)
    while not ended.wait(1):
        for pod in kube.list("v1", "Pod", labels=_CELL):
            meta = pod["metadata"]
            for metric in METRICS.values():
                monitoring.set(metric, {meta["name"]: 0}, namespace=meta["namespace"])


def _furnish(bed: Bed, config_file: Path, speed: float) -> None:
    """Nodes for each cell, and the time after which its pods are ready."""
    config = load_config(config_file)
    for cell in config.cells:
        pool = cell.nodePool.name if cell.nodePool else ""
        for index in range(max(1, cell.minNodes)):
            bed.add_node(
                f"{cell.key}-{index}",
                zone=cell.zone,
                pool=pool,
                machine=cell.machineType,
                gpus=cell.accelerator.count,
                accelerator=cell.accelerator.type,
                cached_image=config.imageCache.name or "",
            )
    manifests = render_release(_release(config_file, config)).manifests
    for name, seconds in _predictions(manifests):
        bed.stages.ready_after(name, seconds / speed)
        _say(
            f"simulated: pods of cell {name} are ready after {seconds / speed:.1f} s, "
            f"{speed:g} times faster than the {seconds:.0f} s that sizing predicts"
        )


def _release(file: Path, config: Config) -> Release:
    """The config's release, as it is or, before anything is baked, as it will be."""
    if lock_path(file).exists():
        return release_of_config(file)
    disks = {
        cell.key: LockedDisk(name="later", zone=cell.zone, type=it.type, sizeGiB=it.sizeGiB)
        for cell in config.cells
        if isinstance(it := config.weights, Disk)
    }
    later = LockedRevision(name="later", disks=disks)
    lock = Lock(version=1, weights=LockedWeights(current="later", revisions=(later,)))
    named = config.release
    return Release(file, named.name, named.namespace, make_values(config, lock), "")


def _predictions(manifests: tuple[Manifest, ...]) -> list[tuple[str, float]]:
    volumes = {
        one.get("metadata", "labels", _CELL): one
        for one in manifests
        if one.kind == "PersistentVolume"
    }
    return [
        (cell, predicted_seconds(one, volumes[cell]))
        for one in manifests
        if one.kind == "Deployment" and (cell := one.get("metadata", "labels", _CELL)) in volumes
    ]


def _say(text: str) -> None:
    sys.stderr.write(f"==> {text}\n")


def _end(number: int, frame: Any) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
